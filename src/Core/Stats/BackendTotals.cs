using Roadbalancer.Proxy;

namespace Roadbalancer.Stats;

/// <summary>What has been counted of one backend since the store began. Not synchronised: a store guards it with its lock.</summary>
internal sealed class BackendTotals
{
    private static readonly int Kinds = Enum.GetValues<OutcomeKind>().Length;

    /// <summary>Attempts that ended, probes not included.</summary>
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

    public BackendTotals Copy()
    {
        var copy = (BackendTotals)MemberwiseClone();
        copy.ByKind = [.. ByKind];
        copy.Duration = Duration.Copy();
        copy.FirstToken = FirstToken.Copy();
        return copy;
    }
}
