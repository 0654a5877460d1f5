using Microsoft.Extensions.Logging;

namespace Roadbalancer.State;

/// <content>Events 2000 to 2099.</content>
internal sealed partial class StateLog
{
    [LoggerMessage(2000, LogLevel.Information, "Backend {Backend} is out for {Seconds:0.0} s: {Cause}")]
    private partial void LogOpened(string backend, double seconds, string cause);

    [LoggerMessage(2001, LogLevel.Information, "Backend {Backend} failed its trial and stays out for {Seconds:0.0} s: {Cause}")]
    private partial void LogTrialFailed(string backend, double seconds, string cause);

    [LoggerMessage(2002, LogLevel.Information, "Backend {Backend} is back")]
    private partial void LogClosed(string backend);

    [LoggerMessage(2003, LogLevel.Information, "Backend {Backend} refuses the credentials configured for it: {Cause}")]
    private partial void LogMisconfigured(string backend, string cause);

    [LoggerMessage(2004, LogLevel.Information, "Backend {Backend} accepts its credentials again")]
    private partial void LogCredentialsAccepted(string backend);

    [LoggerMessage(2005, LogLevel.Information, "Backend {Backend} is left alone for {Seconds:0.0} s: {Cause}")]
    private partial void LogParked(string backend, double seconds, string cause);

    /// <summary>Clients choose model names, so these come as often as they like.</summary>
    [LoggerMessage(2006, LogLevel.Debug, "Backend {Backend} does not have the model {Model}")]
    private partial void LogModelAbsent(string backend, string? model);
}
