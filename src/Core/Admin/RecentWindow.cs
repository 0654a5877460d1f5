using System.Text.Json.Nodes;
using Roadbalancer.Stats;

namespace Roadbalancer.Admin;

/// <summary>What was counted lately: the difference to what had been counted a second and a minute before. Used by one thread.</summary>
internal sealed class RecentWindow
{
    private const long WindowMs = 60_000;

    /// <summary>Between two of those that the window may begin with: a snapshot of fifty backends is a hundred kilobytes.</summary>
    private const long SpacingMs = 5_000;

    private readonly Queue<Standing> _past = new();
    private Standing? _last;

    /// <summary>Adds rates and <c>recent</c> to each backend's metrics, and those of all together to <paramref name="head"/>; then takes <paramref name="now"/> for the newest.</summary>
    public void Add(JsonObject head, JsonArray backends, Standing now)
    {
        while (_past.Count > 1 && now.Snapshot.NowMs - _past.Peek().Snapshot.NowMs > WindowMs)
        {
            _past.Dequeue();
        }

        var first = _past.Count > 0 ? _past.Peek() : now;
        var seconds = AdminJson.Seconds(now.Snapshot.NowMs - first.Snapshot.NowMs);
        var (rates, counted) = (new Rates(), new List<BackendTotals>(backends.Count));
        for (var index = 0; index < backends.Count; index++)
        {
            var item = (JsonObject)backends[index]!;
            rates += Rate(now, _last ?? now, index, item);
            counted.Add(Since(now, first, index));
            item["recent"] = Recent(seconds, counted[index]);
        }

        rates.Write(head);
        head["recent"] = Recent(seconds, BackendTotals.Sum(counted));
        if (_past.Count == 0 || now.Snapshot.NowMs - _past.Last().Snapshot.NowMs >= SpacingMs)
        {
            _past.Enqueue(now);
        }

        _last = now;
    }

    private static JsonObject Recent(double seconds, BackendTotals counted)
    {
        var recent = new JsonObject { ["seconds"] = seconds };
        AdminJson.Count(recent, counted);
        return recent;
    }

    private static Rates Rate(Standing now, Standing before, int index, JsonObject into)
    {
        var seconds = Math.Max(0.001, (now.Snapshot.NowMs - before.Snapshot.NowMs) / 1000.0);
        var counted = Since(now, before, index);
        var rates = new Rates(counted.Requests / seconds, counted.Failures / seconds, counted.InputTokens / seconds, counted.OutputTokens / seconds);
        rates.Write(into);
        return rates;
    }

    /// <summary>What was counted since; everything where the store began anew in between.</summary>
    private static BackendTotals Since(Standing now, Standing then, int index)
    {
        var name = now.Pool.Backends[index].Name;
        var (young, old) = (now.Of(index).Totals, then.Snapshot.For(name, index).Totals);
        if (young.Requests < old.Requests || now.Snapshot.Birth != then.Snapshot.Birth)
        {
            return young;
        }

        return BackendTotals.From(
            [.. young.ByKind.Select((count, kind) => Math.Max(0, count - old.ByKind[kind]))],
            Math.Max(0, young.InputTokens - old.InputTokens),
            Math.Max(0, young.OutputTokens - old.OutputTokens),
            Since(young.Duration, old.Duration),
            Since(young.FirstToken, old.FirstToken),
            null, 0, 0);
    }

    private static Histogram Since(Histogram young, Histogram old)
    {
        var counts = young.Counts.ToArray();
        for (var bucket = 0; bucket < counts.Length; bucket++)
        {
            counts[bucket] = Math.Max(0, counts[bucket] - old.Counts[bucket]);
        }

        return Histogram.From(counts, Math.Max(0, young.SumMicroseconds - old.SumMicroseconds));
    }

    private readonly record struct Rates(double Requests, double Failures, double Input, double Output)
    {
        public static Rates operator +(Rates one, Rates other) =>
            new(one.Requests + other.Requests, one.Failures + other.Failures, one.Input + other.Input, one.Output + other.Output);

        public void Write(JsonObject into)
        {
            into["requests_per_second"] = Math.Round(Requests, 2);
            into["failures_per_second"] = Math.Round(Failures, 2);
            into["input_tokens_per_second"] = Math.Round(Input, 1);
            into["output_tokens_per_second"] = Math.Round(Output, 1);
        }
    }
}
