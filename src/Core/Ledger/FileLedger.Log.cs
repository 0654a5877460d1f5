using Microsoft.Extensions.Logging;

namespace Roadbalancer.Ledger;

/// <content>Events 6000 to 6009.</content>
internal sealed partial class FileLedger
{
    [LoggerMessage(6000, LogLevel.Error, "{Path} cannot be read ({Reason}); it is kept as {Aside}, and what it held is not known any more")]
    private partial void LogSetAside(string path, string aside, string reason);
}
