using Roadbalancer.Proxy;

namespace Roadbalancer.Stats;

/// <summary>What has been counted of one backend since the store began. Not synchronised: a store guards it with its lock.</summary>
internal sealed class BackendTotals
{
    private static readonly int Kinds = Enum.GetValues<OutcomeKind>().Length;

    /// <summary>Attempts that ended, probes not included; those that say nothing of the backend (a client that left, a caller's fault) included.</summary>
    public long Requests { get; set; }

    public long Successes { get; set; }

    /// <summary>Attempts by <see cref="OutcomeKind"/>, successes included.</summary>
    public long[] ByKind { get; private set; } = new long[Kinds];

    /// <summary>Prompt tokens reported by answers.</summary>
    public long InputTokens { get; set; }

    /// <summary>Completion tokens reported by answers.</summary>
    public long OutputTokens { get; set; }

    /// <summary>Durations of successful attempts, in milliseconds.</summary>
    public Histogram Duration { get; private set; } = new();

    /// <summary>Times to first token of streams that began, in milliseconds.</summary>
    public Histogram FirstToken { get; private set; } = new();

    /// <summary>The last failure in a few words; null for none.</summary>
    public string? LastError { get; set; }

    /// <summary>When <see cref="LastError"/> happened, Unix milliseconds; 0 for never.</summary>
    public long LastErrorAtUnixMs { get; set; }

    /// <summary>When the backend was last probed, Unix milliseconds; 0 for never.</summary>
    public long LastCheckAtUnixMs { get; set; }

    /// <summary>
    /// Successes among the attempts that say something of the backend, 0 to 1; 1 without any. Those that
    /// <see cref="OutcomeTable"/> blames on nobody are in <see cref="Requests"/> and <see cref="ByKind"/> but not here.
    /// </summary>
    public double SuccessRatio => Judged == 0 ? 1 : (double)Successes / Judged;

    /// <summary>Attempts that say something of the backend and were not successes.</summary>
    public long Failures => Judged - Successes;

    private long Judged
    {
        get
        {
            var judged = Requests;
            for (var kind = 0; kind < ByKind.Length; kind++)
            {
                judged -= OutcomeTable.For((OutcomeKind)kind).Blame == Blame.None ? ByKind[kind] : 0;
            }

            return judged;
        }
    }

    /// <summary>What a shared store counted.</summary>
    public static BackendTotals From(
        long[] byKind, long inputTokens, long outputTokens, Histogram duration, Histogram firstToken, string? lastError, long lastErrorAtUnixMs, long lastCheckAtUnixMs) => new()
        {
            Requests = byKind.Sum(),
            Successes = byKind[(int)OutcomeKind.Succeeded],
            ByKind = byKind,
            InputTokens = inputTokens,
            OutputTokens = outputTokens,
            Duration = duration,
            FirstToken = firstToken,
            LastError = lastError,
            LastErrorAtUnixMs = lastErrorAtUnixMs,
            LastCheckAtUnixMs = lastCheckAtUnixMs,
        };

    /// <summary>What was counted of several backends together. Not of their errors and probes.</summary>
    public static BackendTotals Sum(IReadOnlyCollection<BackendTotals> all) => From(
        [.. Enumerable.Range(0, Kinds).Select(kind => all.Sum(one => one.ByKind[kind]))],
        all.Sum(one => one.InputTokens),
        all.Sum(one => one.OutputTokens),
        Histogram.Sum(all.Select(one => one.Duration)),
        Histogram.Sum(all.Select(one => one.FirstToken)),
        null, 0, 0);

    /// <summary>Counts the end of one attempt.</summary>
    public void Record(AttemptOutcome outcome)
    {
        Requests++;
        ByKind[(int)outcome.Kind]++;
        InputTokens += outcome.InputTokens ?? 0;
        OutputTokens += outcome.OutputTokens ?? 0;
        if (outcome.FirstTokenMs is { } firstTokenMs)
        {
            FirstToken.Record(firstTokenMs);
        }

        if (outcome.Kind == OutcomeKind.Succeeded)
        {
            Successes++;
            Duration.Record(outcome.DurationMs);
        }
    }

    /// <summary>Keeps what went wrong for operators to see.</summary>
    public void RecordError(AttemptOutcome outcome, long unixMs)
    {
        LastError = outcome.Detail is { } detail ? $"{outcome.Kind}: {detail}" : outcome.Kind.ToString();
        LastErrorAtUnixMs = unixMs;
    }

    public BackendTotals Copy()
    {
        var copy = (BackendTotals)MemberwiseClone();
        copy.ByKind = [.. ByKind];
        copy.Duration = Duration.Copy();
        copy.FirstToken = FirstToken.Copy();
        return copy;
    }
}
