using System.Text;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Tests.Support;
using Roadbalancer.Wire;
using static Roadbalancer.Tests.Proxy.StreamSample;

namespace Roadbalancer.Tests.Proxy;

public sealed class StreamAnswerTests
{
    private readonly ManualTime _time = new();

    [Theory]
    [InlineData(6, null)]
    [InlineData(29, null)]
    [InlineData(31, nameof(OutcomeKind.StreamStalled))]
    public async Task PrepareAsync_LongReplay_IsEndedBySilenceOnly(int secondsBetweenEvents, string? expected)
    {
        string[] words = ["one ", "two ", "three ", "four ", "five "];
        using var exchange = Exchanges.Of(Pools.Of(new BalancerOptions(), Pools.Backend("a")), _time);
        using var first = new StreamFilter(exchange.Stream, JoinMode.None);
        Drive(first, [Role(), Say(string.Concat(words))], ends: false);
        var outcome = await PrepareAsync(exchange, [.. words.Select(word => Say(word, "two")), Say("more", "two")], secondsBetweenEvents, JoinMode.Replay);
        Assert.Equal(expected, outcome?.Kind.ToString());
    }

    [Fact]
    public async Task PrepareAsync_KeepAlivesWithoutAnEvent_DoNotStretchTheFirstTokenTimeout()
    {
        using var exchange = Exchanges.Of(Pools.Of(new BalancerOptions(), Pools.Backend("a")), _time);
        var outcome = await PrepareAsync(exchange, [": wait\n\n", ": wait\n\n", Role(), Say("late")], secondsBetweenEvents: 4, JoinMode.None);
        Assert.Equal(OutcomeKind.FirstTokenTimedOut, outcome?.Kind);
    }

    private async Task<AttemptOutcome?> PrepareAsync(Exchange exchange, string[] events, int secondsBetweenEvents, JoinMode join)
    {
        using var clock = new AttemptClock(exchange);
        var head = WireHead.TryRead("HTTP/1.1 200 OK\r\n\r\n"u8, answersHead: false, out _)!;
        clock.Arm(TimeSpan.FromSeconds(10), OutcomeKind.FirstTokenTimedOut);
        var source = new PacedStream(events, () => _time.Advance(TimeSpan.FromSeconds(secondsBetweenEvents)));
        using var answer = new StreamAnswer(exchange, exchange.Pool.Backends[0], head, clock, _time.GetTimestamp(), source, join);
        return await answer.PrepareAsync();
    }

    /// <summary>Gives one event a read; before each but the first, time passes.</summary>
    private sealed class PacedStream(string[] events, Action pass) : MemoryStream
    {
        private int _next;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_next > 0)
            {
                pass();
            }

            cancellationToken.ThrowIfCancellationRequested();
            return ValueTask.FromResult(_next < events.Length ? Encoding.UTF8.GetBytes(events[_next++], buffer.Span) : 0);
        }
    }
}
