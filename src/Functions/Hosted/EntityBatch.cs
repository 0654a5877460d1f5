using System.Text.Json;
using Google.Protobuf;
using Roadbalancer.Functions.Hosted.Wire;
using Roadbalancer.Ledger;

namespace Roadbalancer.Functions.Hosted;

/// <summary>What became of a batch.</summary>
/// <param name="Result">A whole <c>EntityBatchResult</c>, whatever came.</param>
/// <param name="Report">A line for the log.</param>
/// <param name="Refused">The batch could not be read; nothing of it was done.</param>
internal readonly record struct EntityBatchReply(byte[] Result, string Report, bool Refused);

/// <summary>
/// The host's batches of operations on a durable entity. A batch that is not answered by a whole result is lost, and one that is answered late stops
/// the program: so every one is answered, at once, and failures are told inside the result.
/// </summary>
internal static class EntityBatch
{
    /// <summary>The name of the function's input.</summary>
    public const string InputName = "context";

    /// <summary>The largest call, in bytes; a batch of what the host is configured for is far smaller.</summary>
    public const int Limit = 16 * 1024 * 1024;

    /// <summary>
    /// When to leave the rest of a batch for the next: what has no result comes back at once, with the state of now. <see cref="LeastDone"/> are done
    /// each time, so that a batch of the usual size, or a slow first call, does not come in parts.
    /// </summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(30);

    private const int LeastDone = 32;

    /// <summary>So many characters of results are enough for one reply; the rest comes back likewise.</summary>
    private const int MostResult = 4 * 1024 * 1024;

    /// <summary>Answers a call.</summary>
    /// <param name="call">Its body.</param>
    /// <param name="begin">The entity over a state.</param>
    /// <param name="time">Measures how long the batch takes.</param>
    public static EntityBatchReply Answer(ReadOnlyMemory<byte> call, Func<string?, IEntityRun> begin, TimeProvider time)
    {
        var batch = new EntityBatchRequest();
        try
        {
            if (Invocation.Input(call, InputName) is not { } input || Invocation.Unquoted(input) is not { } base64)
            {
                return Refuse(batch, "the call has no text under Data.context");
            }

            batch.MergeFrom(Convert.FromBase64String(base64));
        }
        catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException or InvalidProtocolBufferException)
        {
            return Refuse(batch, exception is FormatException ? "the batch is not base64" : exception is InvalidProtocolBufferException ? "the batch is not a whole EntityBatchRequest" : "the call is not JSON");
        }

        var (result, failures) = Run(batch, begin, time);
        return new(result.ToByteArray(), $"{batch.InstanceId}: {result.Results.Count} of {batch.Operations.Count} operations done, {failures} of them failed", Refused: false);
    }

    /// <summary>The answer to a batch of which nothing is done: failed as a whole, its state, as far as that came, as it was.</summary>
    public static EntityBatchReply Refuse(string reason) => Refuse(new(), reason);

    private static EntityBatchReply Refuse(EntityBatchRequest batch, string reason)
    {
        var result = new EntityBatchResult { EntityState = batch.EntityState, FailureDetails = new() { ErrorType = "MalformedBatch", ErrorMessage = reason } };
        return new(result.ToByteArray(), $"Refused a batch of entity operations, nothing of it was done: {reason}", Refused: true);
    }

    private static (EntityBatchResult Result, int Failures) Run(EntityBatchRequest batch, Func<string?, IEntityRun> begin, TimeProvider time)
    {
        var startedAt = time.GetTimestamp();
        var result = new EntityBatchResult();
        var run = begin(batch.EntityState);
        var (failures, length) = (0, 0);
        foreach (var request in batch.Operations)
        {
            if ((length > MostResult && result.Results.Count > 0) || (result.Results.Count >= LeastDone && time.GetElapsedTime(startedAt) > Patience))
            {
                break;
            }

            var (told, error) = Apply(run, request);
            failures += error is null ? 0 : 1;
            length += told?.Length ?? 0;
            result.Results.Add(ResultOf(told, error));
        }

        result.EntityState = run.State;
        return (result, failures);
    }

    private static (string? Result, string? Error) Apply(IEntityRun run, OperationRequest request)
    {
        try
        {
            return run.Apply(request.Operation, request.Input);
        }
        catch (Exception exception)
        {
            // A bug: told inside the result, because a batch that is answered in any other way is lost.
            return (null, $"fault of the program: {exception.GetType().Name}");
        }
    }

    private static OperationResult ResultOf(string? told, string? error) => error is not null
        ? new() { Failure = new() { FailureDetails = new() { ErrorType = "OperationFailed", ErrorMessage = error } } }
        : new() { Success = new() { Result = told } };
}
