using Microsoft.Extensions.Logging;

namespace Roadbalancer.Ledger;

/// <content>Events 6010 to 6029.</content>
internal sealed partial class SettleLoop
{
    [LoggerMessage(6010, LogLevel.Information, "Statistics and run-time changes are kept in {Folder}; changes of version {Version} were taken over")]
    private partial void LogOpened(string folder, long version);

    [LoggerMessage(6011, LogLevel.Error, "Nothing outlasts this process: {Reason}")]
    private partial void LogNone(string reason);

    [LoggerMessage(6012, LogLevel.Warning, "Not everything could be settled; it is tried again at each interval: {What}")]
    private partial void LogBehind(string what);

    [LoggerMessage(6013, LogLevel.Information, "Everything is settled again")]
    private partial void LogCaughtUp();

    [LoggerMessage(6014, LogLevel.Error, "A settlement failed by a fault of the balancer")]
    private partial void LogFailed(Exception exception);

    [LoggerMessage(6015, LogLevel.Error, "Run-time changes of version {Version} are in force but not on the disk: {Reason}")]
    private partial void LogNotKept(long version, string reason);
}
