using Microsoft.Extensions.Logging;

namespace Roadbalancer.Admin;

/// <content>Events 7000 to 7019: the audit.</content>
internal sealed partial class PoolChanges
{
    [LoggerMessage(7000, LogLevel.Information, "{By} from {From}: {Action} {Backend}, version {Version}: {Before} -> {After}")]
    private partial void LogChanged(string by, string from, string action, string backend, long version, string before, string after);
}
