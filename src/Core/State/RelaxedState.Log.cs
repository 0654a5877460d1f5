using Microsoft.Extensions.Logging;

namespace Roadbalancer.State;

/// <content>Events 2160 to 2179.</content>
internal sealed partial class RelaxedState
{
    [LoggerMessage(2160, LogLevel.Warning, "Redis does not serve ({Reason}): deciding without the other instances until it does")]
    private partial void LogFallen(string reason);

    [LoggerMessage(2161, LogLevel.Information, "Redis serves: deciding from memory with what the other instances report, ten times a second")]
    private partial void LogShared();

    [LoggerMessage(2162, LogLevel.Error, "The report to Redis failed by a fault of the balancer; trying again")]
    private partial void LogReportFailed(Exception exception);
}
