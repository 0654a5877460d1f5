using Microsoft.Extensions.Logging;

namespace Roadbalancer.Proxy;

internal sealed partial class AttemptLoop
{
    [LoggerMessage(3000, LogLevel.Debug, "Request {RequestId} ended as {Outcome} after {ElapsedMs} ms: {Attempts}")]
    private partial void LogEnded(string requestId, string outcome, string attempts, long elapsedMs);

    [LoggerMessage(3001, LogLevel.Warning, "Request {RequestId} was lost as {Outcome} after {ElapsedMs} ms: {Attempts}")]
    private partial void LogLost(string requestId, string outcome, string attempts, long elapsedMs);

    [LoggerMessage(3002, LogLevel.Warning, "Request {RequestId} is not tried again: the retry budget is used up")]
    private partial void LogBudgetUsedUp(string requestId);

    [LoggerMessage(3003, LogLevel.Warning, "Every backend is out: request {RequestId} goes to {Backend} all the same")]
    private partial void LogPanic(string requestId, string backend);

    [LoggerMessage(3004, LogLevel.Information, "Broken stream of request {RequestId} was taken up by {Backend} as {Join}: {Outcome}")]
    private partial void LogJoined(string requestId, string backend, JoinMode join, OutcomeKind outcome);

    [LoggerMessage(3005, LogLevel.Information, "Dropped {Count} malformed events from a stream of {Backend} for request {RequestId}")]
    private partial void LogDropped(string requestId, string backend, int count);
}
