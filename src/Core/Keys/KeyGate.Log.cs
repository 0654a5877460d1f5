using Microsoft.Extensions.Logging;

namespace Roadbalancer.Keys;

/// <content>What operators hear.</content>
internal sealed partial class KeyGate
{
    [LoggerMessage(8001, LogLevel.Debug, "Request {RequestId} is refused to client key {Key}: {Reason}")]
    private partial void LogRefused(string requestId, string key, string reason);
}
