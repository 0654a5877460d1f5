using Microsoft.Extensions.Logging;
using Roadbalancer.Health;
using Roadbalancer.State;

namespace Roadbalancer.Tests.State;

public sealed class StateLogTests
{
    [Fact]
    public void Report_EveryTransition_HasItsOwnLine()
    {
        var lines = new Lines();
        var log = new StateLog(lines);
        foreach (var kind in Enum.GetValues<Transitions>())
        {
            log.Report(new StateChange("default", "a", kind, "TimedOut", "m", TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(2)));
        }

        Assert.Equal(Enum.GetValues<Transitions>().Length - 1, lines.Ids.Distinct().Count());
        Assert.Contains("Backend a is out for 5.0 s: TimedOut", lines.Texts);
        Assert.All(lines.Ids, id => Assert.InRange(id, 2000, 2099));
    }

    private sealed class Lines : ILogger<StateLog>
    {
        public List<int> Ids { get; } = [];

        public List<string> Texts { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            Ids.Add(eventId.Id);
            Texts.Add(formatter(state, exception));
        }
    }
}
