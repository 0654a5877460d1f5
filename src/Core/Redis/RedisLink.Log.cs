using Microsoft.Extensions.Logging;

namespace Roadbalancer.Redis;

/// <content>Events 2100 to 2119.</content>
internal sealed partial class RedisLink
{
    [LoggerMessage(2100, LogLevel.Information, "Connected to Redis at {Address}")]
    private partial void LogConnected(string address);

    [LoggerMessage(2101, LogLevel.Warning, "Redis at {Address} cannot be reached: {Reason}. Trying again every second")]
    private partial void LogUnreachable(string address, string reason);

    [LoggerMessage(2102, LogLevel.Error, "A listener to Redis messages failed")]
    private partial void LogListenerFailed(Exception exception);
}
