using Microsoft.Extensions.Logging;

namespace Roadbalancer.Options;

internal sealed partial class OptionsWatcher
{
    [LoggerMessage(1000, LogLevel.Information, "{File} has changed and is in force as version {Version}. {Mode}")]
    private static partial void LogSwapped(ILogger logger, string file, string version, string mode);

    [LoggerMessage(1001, LogLevel.Error, "{File} has changed but is ignored; the configuration before stays in force. {Errors}")]
    private static partial void LogRefused(ILogger logger, string file, string errors);

    [LoggerMessage(1002, LogLevel.Warning, "The new configuration: {Warning}")]
    private static partial void LogWarning(ILogger logger, string warning);

    [LoggerMessage(1003, LogLevel.Warning, "Listening addresses change only with a restart: {Wanted} is configured, {Present} stays")]
    private static partial void LogListening(ILogger logger, string wanted, string present);

    [LoggerMessage(1004, LogLevel.Error, "{File} could not be reloaded; the configuration before stays in force")]
    private static partial void LogFailed(ILogger logger, string file, Exception exception);
}
