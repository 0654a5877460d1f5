using System.Collections.Immutable;
using System.Globalization;

namespace Roadbalancer.Ledger;

/// <summary>One settlement under way: sends, confirms by reading, sends again, and keeps the account of it.</summary>
internal sealed class SettleRun
{
    private const int MostLines = 20;

    /// <summary>Waits before a state is read again, the signal sent again before every second one. A signal to an idle host took up to a second.</summary>
    private static readonly ImmutableArray<TimeSpan> Waits =
        [.. new[] { 0, 100, 400, 1_000, 1_500, 2_000 }.Select(milliseconds => TimeSpan.FromMilliseconds(milliseconds))];

    private readonly TimeProvider _time;
    private readonly TimeSpan _budget;
    private readonly long _startedAt;
    private readonly List<string> _lines = [];
    private readonly HashSet<string> _unreadable = new(StringComparer.OrdinalIgnoreCase);
    private TimeSpan _until;
    private int _missed;
    private int _sent;
    private int _settled;

    public SettleRun(ILedger ledger, TimeProvider time, TimeSpan budget)
    {
        (Ledger, _time, _budget, _until) = (ledger, time, budget, budget);
        _startedAt = time.GetTimestamp();
    }

    public ILedger Ledger { get; }

    /// <summary>Whether what the ledger holds outlasts the process.</summary>
    public bool Lasts => Ledger is not MemoryLedger;

    private bool IsOver => _time.GetElapsedTime(_startedAt) >= _until;

    /// <summary>Keeps half of the time that is left for what comes after <see cref="TakeAllTime"/>.</summary>
    public void HalveTime()
    {
        var elapsed = _time.GetElapsedTime(_startedAt);
        _until = elapsed + ((_budget - elapsed) / 2);
    }

    public void TakeAllTime() => _until = _budget;

    /// <summary>Sends a <c>put</c> until <paramref name="isThere"/> holds of the state read back, or the run's time is over.</summary>
    /// <returns>That state; null when it is not confirmed.</returns>
    public async Task<string?> SendAsync(string entity, string key, string input, Func<string, bool> isThere, CancellationToken cancellationToken)
    {
        for (var tries = 0; tries < Waits.Length && !IsOver; tries++)
        {
            if (tries % 2 == 0)
            {
                await SignalAsync(entity, key, "put", input, cancellationToken);
            }

            if (Waits[tries] > TimeSpan.Zero)
            {
                await Task.Delay(Waits[tries], _time, cancellationToken);
            }

            if (await Ledger.ReadAsync(entity, key, cancellationToken) is { } state && Holds(isThere, state))
            {
                return state;
            }
        }

        return null;
    }

    /// <summary>
    /// As <see cref="SendAsync"/> for many entities of a kind: all signals are sent before the first is confirmed. What is not sent for want of time is left out.
    /// </summary>
    /// <returns>The states of those that are confirmed, by key.</returns>
    public async Task<Dictionary<string, string>> SendAllAsync(
        string entity, IReadOnlyList<(string Key, string Input)> puts, Func<string, string, bool> isThere, CancellationToken cancellationToken)
    {
        var states = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var tries = 0; tries < Waits.Length && states.Count < puts.Count && !IsOver; tries++)
        {
            foreach (var (key, input) in puts.Where(put => tries % 2 == 0 && !states.ContainsKey(put.Key)).TakeWhile(_ => !IsOver))
            {
                await SignalAsync(entity, key, "put", input, cancellationToken);
            }

            if (Waits[tries] > TimeSpan.Zero)
            {
                await Task.Delay(Waits[tries], _time, cancellationToken);
            }

            foreach (var (key, _) in puts.Where(put => !states.ContainsKey(put.Key)).TakeWhile(_ => !IsOver))
            {
                if (await Ledger.ReadAsync(entity, key, cancellationToken) is { } state && Holds(text => isThere(key, text), state))
                {
                    states[key] = state;
                }
            }
        }

        return states;
    }

    public Task SignalAsync(string entity, string key, string operation, string input, CancellationToken cancellationToken)
    {
        _sent++;
        return Ledger.SignalAsync(entity, key, operation, input, cancellationToken);
    }

    public bool IsUnreadable(string name) => _unreadable.Contains(name);

    public void Settle() => _settled++;

    public void Tell(string line)
    {
        if (_lines.Count < MostLines)
        {
            _lines.Add(line);
        }
    }

    /// <summary>Something is left for the next run.</summary>
    public void Miss(string line)
    {
        _missed++;
        Tell(line);
    }

    /// <summary>The ledger's record of that backend is none of ours, or a newer program's: it is left as it is.</summary>
    public void MissUnreadable(string name, string why)
    {
        _unreadable.Add(name);
        Miss($"{name}: the ledger's record cannot be read and is left as it is: {why}");
    }

    public SettleReport Report()
    {
        var summary = string.Create(CultureInfo.InvariantCulture,
            $"settled {_settled} backends with {_sent} signals in {_time.GetElapsedTime(_startedAt).TotalSeconds:0.0} s{(_missed == 0 ? "" : $", {_missed} left for the next run")}");
        return new SettleReport(_missed == 0, [.. _lines, summary]) { Sent = _sent, Settled = _settled };
    }

    private static bool Holds(Func<string, bool> isThere, string state)
    {
        try
        {
            return isThere(state);
        }
        catch (Exception exception) when (exception is FormatException or NotSupportedException)
        {
            return false;
        }
    }
}
