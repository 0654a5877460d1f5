using Microsoft.Extensions.Logging;

namespace Roadbalancer.State;

/// <content>Events 2120 to 2139.</content>
internal sealed partial class FallbackState
{
    [LoggerMessage(2120, LogLevel.Warning, "Redis does not serve ({Reason}): deciding from this instance's memory until it does")]
    private partial void LogFallen(string reason);

    [LoggerMessage(2121, LogLevel.Information, "Redis serves: deciding together with the other instances")]
    private partial void LogShared();

    [LoggerMessage(2122, LogLevel.Error, "The return to Redis failed by a fault of the balancer; trying again")]
    private partial void LogReturnFailed(Exception exception);
}
