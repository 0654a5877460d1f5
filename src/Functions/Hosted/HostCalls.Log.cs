namespace Roadbalancer.Functions.Hosted;

internal sealed partial class HostCalls
{
    [LoggerMessage(5010, LogLevel.Information, "Timer {Name}: {Report}")]
    private partial void LogTimerRan(string name, string report);

    [LoggerMessage(5011, LogLevel.Warning, "Timer {Name}: the host's call was malformed and refused; nothing was done")]
    private partial void LogTimerRefused(string name);

    [LoggerMessage(5012, LogLevel.Error, "Timer {Name} failed by a fault of the program")]
    private partial void LogTimerFailed(Exception exception, string name);

    [LoggerMessage(5013, LogLevel.Debug, "{Report}")]
    private partial void LogBatch(string report);

    [LoggerMessage(5014, LogLevel.Warning, "{Report}")]
    private partial void LogBatchRefused(string report);
}
