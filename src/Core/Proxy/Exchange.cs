using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Keys;
using Roadbalancer.Telemetry;

namespace Roadbalancer.Proxy;

/// <summary>One client request on its way: what was asked, of which pool, until when, and what has been tried.</summary>
internal sealed class Exchange(HttpContext http, Pool pool, TimeProvider time) : IDisposable
{
    private ClientStream? _stream;

    public HttpContext Http { get; } = http;

    /// <summary>The pool as it was when the request came; a reload does not touch it.</summary>
    public Pool Pool { get; } = pool;

    public TimeProvider Time { get; } = time;

    /// <summary>What follows <c>/v1/</c>.</summary>
    public required string Path { get; init; }

    /// <summary>The request's body as the client sent it; empty for none.</summary>
    public ReadOnlyMemory<byte> Body { get; init; }

    public required RequestFacts Facts { get; init; }

    public ApiShape Shape { get; init; }

    /// <summary>Tags from <c>X-Backend-Tags</c>.</summary>
    public string[] Tags { get; init; } = [];

    /// <summary>What the request wants to be near to; see <see cref="Strategies.PickInput.AffinityKey"/>.</summary>
    public ulong AffinityKey { get; init; }

    /// <summary>Goes into logs, errors and <c>X-Request-Id</c>.</summary>
    public required string RequestId { get; init; }

    /// <summary>The request in its trace; null when nobody traces it.</summary>
    public RequestSpan? Span { get; } = RequestSpan.Of(http);

    /// <summary>Name of the key that the client presented; null when none is asked for.</summary>
    public string? KeyName { get; init; }

    /// <summary>What is reserved for the request under its key's limits; null for a key without such, and where no key is asked for.</summary>
    public Admission? Admission { get; set; }

    /// <summary>Backends that the key may not use.</summary>
    public BackendSet Barred { get; set; }

    /// <summary>The answer may tell how its backend was chosen.</summary>
    public bool MayExplain { get; init; }

    /// <summary>A failed attempt may be repeated although the backend may have acted on it.</summary>
    public bool IsRepeatable { get; init; } = true;

    /// <summary>When the request came, on <see cref="TimeProvider.GetTimestamp"/>.</summary>
    public long StartedAt { get; init; } = time.GetTimestamp();

    /// <summary>Keeps the connection of a client that waits for a stream from falling silent; null for one that need not, or does not wait for a stream.</summary>
    public KeepAlive? KeepAlive { get; init; }

    /// <summary>Attempts so far, the one begun last at the end.</summary>
    public List<AttemptRecord> Attempts { get; } = new(1);

    /// <summary>What this client has of a streamed answer.</summary>
    public ClientStream Stream => _stream ??= new ClientStream(Shape, (int)Math.Min(int.MaxValue, Facts.Choices * (Shape == ApiShape.Completion ? Facts.Prompts : 1L)));

    /// <summary><see cref="Stream"/> where there is one already.</summary>
    public ClientStream? Streamed => _stream;

    /// <summary>Anything of an answer has gone to the client; comments are nothing of it.</summary>
    public bool HasStarted => _stream is { Started: true } || (Http.Response.HasStarted && !HasSpoken);

    /// <summary>The client has been sent comments, so its answer is an event stream, with a status of 200, whatever comes.</summary>
    public bool HasSpoken => KeepAlive is { HasSpoken: true };

    public CancellationToken ClientLeft => Http.RequestAborted;

    public TimeSpan Elapsed => Time.GetElapsedTime(StartedAt);

    /// <summary>What is left of <c>total_timeout</c>, or until the platform in front takes an answer's beginning for lost; never negative.</summary>
    public TimeSpan Remaining => RemainingAt(Time.GetTimestamp());

    /// <summary><see cref="Remaining"/> at <paramref name="now"/>, on <see cref="TimeProvider.GetTimestamp"/>: asking for the time is no small part of a request.</summary>
    public TimeSpan RemainingAt(long now)
    {
        var limit = KeepAlive is null && !Http.Response.HasStarted ? Audible(Pool.Options.TotalTimeout) : Pool.Options.TotalTimeout;
        var left = limit - Time.GetElapsedTime(StartedAt, now);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    /// <summary>As much of <paramref name="silence"/> as the platform in front puts up with.</summary>
    public TimeSpan Audible(TimeSpan silence) => Pool.Options.LongestSilence is { } longest && longest < silence ? longest : silence;

    /// <summary>Awaits what the client has to wait for. Nothing may be written to the client meanwhile.</summary>
    public ValueTask<T> WaitAsync<T>(ValueTask<T> work) => KeepAlive is null || work.IsCompleted ? work : new(KeepAlive.WhileAsync(work.AsTask()));

    /// <inheritdoc cref="WaitAsync{T}(ValueTask{T})"/>
    public Task<T> WaitAsync<T>(Task<T> work) => KeepAlive is null || work.IsCompleted ? work : KeepAlive.WhileAsync(work);

    public void Dispose() => _stream?.Dispose();
}

/// <summary>One attempt in <see cref="Exchange.Attempts"/>; without an outcome while it runs.</summary>
internal sealed class AttemptRecord(string backend)
{
    public string Backend { get; } = backend;

    public AttemptOutcome? Outcome { get; set; }

    /// <summary>How the answer is joined to what the client has.</summary>
    public JoinMode Join { get; set; }
}
