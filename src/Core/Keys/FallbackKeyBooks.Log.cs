using Microsoft.Extensions.Logging;

namespace Roadbalancer.Keys;

/// <content>What operators hear.</content>
internal sealed partial class FallbackKeyBooks
{
    [LoggerMessage(8020, LogLevel.Warning, "Redis does not serve: limits of client keys hold for each instance alone")]
    private partial void LogAlone();

    [LoggerMessage(8021, LogLevel.Information, "Limits of client keys hold for all instances together")]
    private partial void LogShared();
}
