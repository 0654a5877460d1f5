using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Roadbalancer.Soak;

/// <summary>What the balancer logged about each request that it lost, until the client has asked for it.</summary>
internal sealed class SoakLog : ILoggerProvider, ILogger
{
    private const int Lost = 3001;
    private const int BudgetUsedUp = 3002;

    private readonly ConcurrentDictionary<string, string> _trails = new();
    private readonly ConcurrentDictionary<string, bool> _overBudget = new();

    /// <summary>Errors: faults of the balancer itself.</summary>
    public ConcurrentQueue<string> Faults { get; } = new();

    /// <summary>The attempts of a lost request, and whether the retry budget ended it.</summary>
    public (string Trail, bool OverBudget) Take(string requestId)
    {
        _trails.TryRemove(requestId, out var trail);
        return (trail ?? "", _overBudget.TryRemove(requestId, out _));
    }

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (logLevel >= LogLevel.Error && exception is not Proxy.TruncatedAnswerException)
        {
            Faults.Enqueue($"{formatter(state, exception)} {exception}");
        }

        var values = state as IReadOnlyList<KeyValuePair<string, object?>>;
        if (eventId.Id is not (Lost or BudgetUsedUp) || values?.FirstOrDefault(pair => pair.Key == "RequestId").Value is not string id)
        {
            return;
        }

        if (eventId.Id == Lost)
        {
            _trails[id] = values.First(pair => pair.Key == "Attempts").Value as string ?? "";
        }
        else
        {
            _overBudget[id] = true;
        }
    }

    public void Dispose()
    {
    }
}
