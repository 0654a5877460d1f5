using Microsoft.Extensions.Logging;

namespace Roadbalancer.Keys;

/// <content>What operators hear; never a secret.</content>
internal sealed partial class KeyChanges
{
    [LoggerMessage(8010, LogLevel.Information, "Client key {Key} has been made")]
    private partial void LogCreated(string key);

    [LoggerMessage(8011, LogLevel.Information, "Client key {Key} has been changed")]
    private partial void LogChanged(string key);

    [LoggerMessage(8012, LogLevel.Information, "Client key {Key} has been taken away")]
    private partial void LogRemoved(string key);
}
