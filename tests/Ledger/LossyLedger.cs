using Roadbalancer.Ledger;
using Roadbalancer.Strategies;

namespace Roadbalancer.Tests.Ledger;

/// <summary>The process ends here: nothing of what follows is done.</summary>
internal sealed class KilledException : Exception;

/// <summary>Durable entities at their worst, by lot: signals are lost, doubled, delivered late and in any order, calls fail, and the caller is killed before or after a call.</summary>
internal sealed class LossyLedger(Chance chance) : ILedger
{
    private readonly Dictionary<(string Entity, string Key), string> _states = [];
    private readonly List<(string Entity, string Key, string Operation, string Input)> _late = [];

    /// <summary>Every signal arrives at once, in order; what was late arrives before.</summary>
    public bool IsReliable
    {
        get;
        set
        {
            field = value;
            Deliver(1);
        }
    }

    /// <summary>Steps until the caller is killed; 0 for never.</summary>
    public int KillIn { get; set; }

    public Task SignalAsync(string entity, string key, string operation, string inputJson, CancellationToken cancellationToken)
    {
        Step();
        if (IsReliable)
        {
            Apply(entity, key, operation, inputJson);
            Step();
            return Task.CompletedTask;
        }

        switch (chance.Next(10))
        {
            case 0:
                throw new LedgerException("the call failed");
            case 1 or 2:
                break;
            case 3:
                Apply(entity, key, operation, inputJson);
                _late.Add((entity, key, operation, inputJson));
                break;
            case 4 or 5 or 6:
                _late.Add((entity, key, operation, inputJson));
                break;
            default:
                Apply(entity, key, operation, inputJson);
                break;
        }

        Step();
        return Task.CompletedTask;
    }

    public Task<string?> ReadAsync(string entity, string key, CancellationToken cancellationToken)
    {
        Step();
        Deliver(0.3);
        return Task.FromResult(_states.GetValueOrDefault((entity, key)));
    }

    public Task<IReadOnlyDictionary<string, string>> ListAsync(string entity, CancellationToken cancellationToken)
    {
        Step();
        Deliver(0.3);
        return Task.FromResult<IReadOnlyDictionary<string, string>>(
            _states.Where(pair => pair.Key.Entity == entity).ToDictionary(pair => pair.Key.Key, pair => pair.Value, StringComparer.Ordinal));
    }

    /// <summary>Each late signal arrives now with this probability, in any order.</summary>
    private void Deliver(double ratio)
    {
        for (var left = _late.Count; left > 0; left--)
        {
            if (chance.NextDouble() < ratio)
            {
                var at = chance.Next(_late.Count);
                var (entity, key, operation, input) = _late[at];
                _late.RemoveAt(at);
                Apply(entity, key, operation, input);
            }
        }
    }

    private void Apply(string entity, string key, string operation, string input)
    {
        var reply = MemoryLedger.Apply(entity, _states.GetValueOrDefault((entity, key)), operation, input);
        Assert.Null(reply.Error);
        _states[(entity, key)] = reply.State!;
    }

    private void Step()
    {
        if (KillIn > 0 && --KillIn == 0)
        {
            throw new KilledException();
        }
    }
}
