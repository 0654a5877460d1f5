using Roadbalancer.Keys;
using Roadbalancer.Proxy;
using Roadbalancer.Stats;

namespace Roadbalancer.Ledger;

/// <summary>
/// The counters of one backend as plain numbers that only grow: immutable, to be subtracted, added and stored. Attempts by
/// <see cref="OutcomeKind"/>, tokens, sums of times in microseconds, trips of the circuit, and both histograms. Of a client key: requests let in, as
/// successes, refusals, and tokens.
/// </summary>
internal sealed class Tally : IEquatable<Tally>
{
    /// <summary>Room for outcome kinds; the places below are stored and must not move.</summary>
    private const int Kinds = 32, Input = 32, Output = 33, DurationSum = 34, FirstSum = 35, TripCount = 36, Refused = 37, Buckets = 40;

    private const int Size = Buckets + (2 * Histogram.Buckets);

    public static readonly Tally Zero = new(new long[Size]);

    private readonly long[] _numbers;

    private Tally(long[] numbers)
    {
        _numbers = numbers;
        for (var kind = 0; kind < Kinds; kind++)
        {
            Requests += numbers[kind];
        }

        Requests += numbers[Refused];
    }

    /// <summary>Refusals included.</summary>
    public long Requests { get; }

    public long Successes => _numbers[(int)OutcomeKind.Succeeded];

    /// <summary>As <see cref="BackendTotals.Failures"/>.</summary>
    public long Failures => ToTotals().Failures;

    /// <summary>Requests that were refused to a client key.</summary>
    public long Refusals => _numbers[Refused];

    public long InputTokens => _numbers[Input];

    public long OutputTokens => _numbers[Output];

    /// <summary>Sum over successful attempts.</summary>
    public long DurationMicroseconds => _numbers[DurationSum];

    /// <summary>Sum over streams that began.</summary>
    public long FirstTokenMicroseconds => _numbers[FirstSum];

    /// <summary>How many streams began.</summary>
    public long FirstTokens => _numbers.AsSpan(Buckets + Histogram.Buckets).ToArray().Sum();

    /// <summary>How often the circuit opened.</summary>
    public long Trips => _numbers[TripCount];

    /// <summary>What a store has counted.</summary>
    public static Tally Of(BackendTotals totals, long trips)
    {
        var numbers = new long[Size];
        totals.ByKind.CopyTo(numbers, 0);
        numbers[Input] = totals.InputTokens;
        numbers[Output] = totals.OutputTokens;
        numbers[DurationSum] = totals.Duration.SumMicroseconds;
        numbers[FirstSum] = totals.FirstToken.SumMicroseconds;
        numbers[TripCount] = trips;
        totals.Duration.Counts.CopyTo(numbers.AsSpan(Buckets));
        totals.FirstToken.Counts.CopyTo(numbers.AsSpan(Buckets + Histogram.Buckets));
        return new Tally(numbers);
    }

    /// <summary>What has been counted of a client key.</summary>
    public static Tally Of(KeyCounts counts)
    {
        var numbers = new long[Size];
        numbers[(int)OutcomeKind.Succeeded] = counts.Requests;
        numbers[Refused] = counts.Refusals;
        numbers[Input] = counts.InputTokens;
        numbers[Output] = counts.OutputTokens;
        return new Tally(numbers);
    }

    /// <summary>What <see cref="ToString"/> gave.</summary>
    /// <exception cref="FormatException">It is no such text.</exception>
    public static Tally Parse(string text)
    {
        var reader = new PackedReader(text);
        var numbers = new long[Size];
        for (var at = 0; !reader.IsAtEnd; at++)
        {
            var number = reader.Exact();
            if (number == 0)
            {
                at += (int)Math.Min(reader.Exact(), Size);
            }

            if (at >= Size)
            {
                throw new FormatException("more counters than there are");
            }

            numbers[at] = number;
        }

        return new Tally(numbers);
    }

    /// <summary>Every number, with a run of zeros as 0 and how many more follow.</summary>
    public override string ToString()
    {
        var writer = new PackedWriter();
        for (var at = 0; at < Size; at++)
        {
            writer.Exact(_numbers[at]);
            if (_numbers[at] == 0)
            {
                var end = at;
                while (end + 1 < Size && _numbers[end + 1] == 0)
                {
                    end++;
                }

                writer.Exact(end - at);
                at = end;
            }
        }

        return writer.ToString();
    }

    public Tally Plus(Tally other) => Combine(other, static (mine, its) => Math.Min(mine + its, PackedWriter.Most));

    /// <summary>What came on top of <paramref name="earlier"/>; nothing where a counter is smaller than it was (it ran over).</summary>
    public Tally Minus(Tally earlier) => Combine(earlier, static (mine, its) => Math.Max(0, mine - its));

    /// <summary>As the store's own form; what is no counter (the last error, the last check) stays empty.</summary>
    public BackendTotals ToTotals(BackendTotals? latest = null) => BackendTotals.From(
        _numbers[..Enum.GetValues<OutcomeKind>().Length], InputTokens, OutputTokens,
        Histogram.From(_numbers[Buckets..(Buckets + Histogram.Buckets)], DurationMicroseconds),
        Histogram.From(_numbers[(Buckets + Histogram.Buckets)..], FirstTokenMicroseconds),
        latest?.LastError, latest?.LastErrorAtUnixMs ?? 0, latest?.LastCheckAtUnixMs ?? 0);

    /// <summary>As <see cref="Of(KeyCounts)"/> was given it.</summary>
    public KeyCounts ToKeyCounts() => new(Successes, Refusals, InputTokens, OutputTokens);

    public bool Equals(Tally? other) => other is not null && _numbers.AsSpan().SequenceEqual(other._numbers);

    public override bool Equals(object? obj) => Equals(obj as Tally);

    public override int GetHashCode() => HashCode.Combine(Requests, InputTokens, OutputTokens);

    private Tally Combine(Tally other, Func<long, long, long> how)
    {
        var numbers = new long[Size];
        for (var at = 0; at < Size; at++)
        {
            numbers[at] = how(_numbers[at], other._numbers[at]);
        }

        return new Tally(numbers);
    }
}
