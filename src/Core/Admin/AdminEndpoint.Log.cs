using Microsoft.Extensions.Logging;

namespace Roadbalancer.Admin;

/// <content>Events 7030 to 7039.</content>
internal sealed partial class AdminEndpoint
{
    [LoggerMessage(7030, LogLevel.Warning, "Refused {Method} {Path} from {From}: {Reason}")]
    private partial void LogRefused(string from, string method, string path, string? reason);

    [LoggerMessage(7031, LogLevel.Error, "A fault of the balancer in the management API; request {RequestId}")]
    private partial void LogBug(Exception exception, string requestId);
}
