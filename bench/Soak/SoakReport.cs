using System.Text;

namespace Roadbalancer.Soak;

/// <summary>What a soak found.</summary>
/// <param name="Text">Tables and figures, for people.</param>
/// <param name="Violations">What must not happen and did; empty when all is well.</param>
/// <param name="Requests">How many requests were sent.</param>
/// <param name="Whole">How many of them were answered in full.</param>
public sealed record SoakReport(string Text, IReadOnlyList<string> Violations, int Requests, int Whole);

/// <summary>Collects while a soak runs. Violations are kept up to a number, since one fault can show thousands of times.</summary>
internal sealed class SoakNotes
{
    private const int MostViolations = 50;

    private readonly Lock _lock = new();
    private readonly List<string> _violations = [];

    public Tally Faults { get; } = new();

    public Tally Verdicts { get; } = new();

    public Tally Errors { get; } = new();

    public Tally Reasons { get; } = new();

    /// <summary>Managed heap after a full collection, in bytes, at even distances of time.</summary>
    public List<long> Heap { get; } = [];

    /// <summary>The same when the last request has ended.</summary>
    public long HeapAtRest { get; set; }

    public void Violate(string what)
    {
        lock (_lock)
        {
            if (_violations.Count < MostViolations)
            {
                _violations.Add(what);
            }
        }
    }

    public SoakReport Report(SoakSettings settings)
    {
        string[] violations;
        lock (_lock)
        {
            violations = [.. _violations];
        }

        var text = new StringBuilder()
            .Append(Verdicts.Table("How requests ended for their clients"))
            .Append(Faults.Table("What attempts met at the upstreams"))
            .Append(Errors.Table("Errors, as clients saw them"))
            .Append(Reasons.Table("Why they could not be rescued"));
        text.AppendLine().AppendLine(null,
            $"Heap after full collections, MB: {string.Join(' ', Heap.Select(bytes => (bytes / 1048576.0).ToString("0.0", null)))}; at rest {HeapAtRest / 1048576.0:0.0}");
        text.AppendLine().AppendLine(violations.Length == 0 ? "No violation." : $"{violations.Length} violations with seed {settings.Seed}:");
        foreach (var violation in violations)
        {
            text.Append("  ").AppendLine(violation);
        }

        return new SoakReport(text.ToString(), violations, Verdicts.Total, Verdicts[nameof(Verdict.Whole)]);
    }
}
