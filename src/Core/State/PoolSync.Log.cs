using Microsoft.Extensions.Logging;

namespace Roadbalancer.State;

/// <content>Events 2140 to 2159.</content>
internal sealed partial class PoolSync
{
    [LoggerMessage(2140, LogLevel.Information, "Run-time changes of version {Version} are in force: {Backends} backends by {Strategy}")]
    private partial void LogApplied(long version, int backends, string strategy);

    [LoggerMessage(2142, LogLevel.Warning, "Two instances without Redis between them changed the pool as version {Version}: what was changed {Where} is in force, the other is lost")]
    private partial void LogApart(long version, string where);

    [LoggerMessage(2141, LogLevel.Error, "The run-time changes in Redis cannot be read; the pool stays as it is")]
    private partial void LogUnreadable(Exception exception);
}
