using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Roadbalancer.Backends;
using Roadbalancer.Wire;

namespace Roadbalancer.Proxy;

/// <summary>
/// A successful status from a backend, on its way to the client in two steps: <see cref="PrepareAsync"/> reads as much as it takes to know that
/// the answer is good, while another backend can still take over; <see cref="DeliverAsync"/> sends it.
/// </summary>
internal abstract class UpstreamAnswer(Exchange exchange, Backend backend, WireHead head, AttemptClock clock, long sentAt) : IDisposable
{
    /// <summary>The most that is held back of an answer that is not a stream, in bytes; a larger one is passed on while it comes.</summary>
    public const int BufferLimit = 16 * 1024 * 1024;

    protected Exchange Exchange { get; } = exchange;

    protected Backend Backend { get; } = backend;

    protected WireHead Head { get; } = head;

    protected AttemptClock Clock { get; } = clock;

    /// <summary>Null when the answer can be delivered, else what is wrong with it.</summary>
    public abstract ValueTask<AttemptOutcome?> PrepareAsync();

    /// <summary>Sends it to the client; tells what became of it.</summary>
    public abstract ValueTask<AttemptOutcome> DeliverAsync();

    public virtual void Dispose()
    {
    }

    protected AttemptOutcome Outcome(OutcomeKind kind, string? detail = null) => new(kind)
    {
        Status = Head.Status,
        DurationMs = Exchange.Time.GetElapsedTime(sentAt).TotalMilliseconds,
        Detail = detail,
    };

    /// <summary>The outcome of a read that threw: a cancelled clock says why, anything else is <paramref name="broken"/>.</summary>
    protected AttemptOutcome Outcome(Exception exception, OutcomeKind broken) => exception switch
    {
        OperationCanceledException when Clock.Token.IsCancellationRequested => Outcome(Clock.Reason),
        HttpIOException http => Outcome(broken, http.HttpRequestError.ToString()),
        _ => Outcome(broken, exception.GetType().Name),
    };

    protected TimeSpan SinceSent => Exchange.Time.GetElapsedTime(sentAt);

    /// <summary>Status and headers of the client's answer, unless they have gone out.</summary>
    /// <param name="length">Its length in bytes, or null when that is not known.</param>
    /// <param name="keepEncoding">The body goes out as the backend encoded it.</param>
    protected void WriteHead(long? length, bool keepEncoding)
    {
        var answer = Exchange.Http.Response;
        if (answer.HasStarted)
        {
            return;
        }

        answer.StatusCode = Head.Status;
        answer.ContentLength = length;
        Copy(Head.Headers, answer.Headers, keepEncoding);
        Trail.Write(Exchange, answer.Headers, Backend.Name);
    }

    private static void Copy(WireHeaders from, IHeaderDictionary to, bool keepEncoding)
    {
        var connection = from["Connection"] is { } named ? new StringValues(named) : StringValues.Empty;
        for (var index = 0; index < from.Count; index++)
        {
            var (name, value) = from[index];
            if (!HeaderRules.PassesToClient(name) || !HeaderRules.IsWritable(value) || (connection.Count > 0 && HeaderRules.IsNamedBy(connection, name))
                || (!keepEncoding && name.Equals("Content-Encoding", StringComparison.OrdinalIgnoreCase)))
            {
                continue;
            }

            to[name] = from.HasRepeated && from.IsRepeated(index) ? StringValues.Concat(to[name], value) : value;
        }
    }
}

/// <summary>What an answer tells of its way: <c>X-Backend</c>, <c>X-Attempts</c>, <c>X-Backend-Attempts</c>, <c>X-Request-Id</c>.</summary>
internal static class Trail
{
    public static void Write(Exchange exchange, IHeaderDictionary headers, string? backend)
    {
        headers["X-Request-Id"] = exchange.RequestId;
        exchange.Admission?.WriteHeaders(headers);
        if (backend is not null)
        {
            headers["X-Backend"] = backend;
        }

        headers["X-Attempts"] = exchange.Attempts.Count.ToString(CultureInfo.InvariantCulture);
        if (exchange.Attempts.Count > 0)
        {
            headers["X-Backend-Attempts"] = Describe(exchange);
        }
    }

    /// <summary><c>name;outcome;milliseconds</c> for each attempt, comma-separated; the one that is answering reads <c>answering</c>.</summary>
    public static string Describe(Exchange exchange)
    {
        if (exchange.Attempts is [{ Outcome: null } only])
        {
            return only.Backend + ";answering;" + ((long)exchange.Elapsed.TotalMilliseconds).ToString(CultureInfo.InvariantCulture);
        }

        var text = new StringBuilder();
        foreach (var attempt in exchange.Attempts)
        {
            text.Append(text.Length > 0 ? ", " : "").Append(attempt.Backend).Append(';')
                .Append(attempt.Outcome is { } outcome ? NameOf(outcome.Kind) : "answering").Append(';')
                .Append(CultureInfo.InvariantCulture, $"{attempt.Outcome?.DurationMs ?? exchange.Elapsed.TotalMilliseconds:0}");
        }

        return text.ToString();
    }

    /// <summary>The snake_case name of <paramref name="kind"/>, as metrics and headers have it.</summary>
    public static string NameOf(OutcomeKind kind) => Names[(int)kind];

    private static readonly string[] Names = [.. Enum.GetNames<OutcomeKind>().Select(SnakeCase)];

    /// <summary><c>CircuitOpen</c> as <c>circuit_open</c>.</summary>
    public static string SnakeCase(string name)
    {
        var text = new StringBuilder(name.Length + 4);
        foreach (var letter in name)
        {
            if (char.IsUpper(letter) && text.Length > 0)
            {
                text.Append('_');
            }

            text.Append(char.ToLowerInvariant(letter));
        }

        return text.ToString();
    }
}
