using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.WholePath;

/// <summary>Hundreds of streams at once.</summary>
[Collection(nameof(Alone))]
public sealed class ManyStreamsTests
{
    private const int Streams = 300;
    private const int Words = 400;
    private const long MiB = 1024 * 1024;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Streams_ThreeHundredAtOnce_MemoryStaysFlat()
    {
        var word = ScriptedChat.Content(" word");
        await using var upstream = ScriptedUpstream.Start(Scripts.Hang);
        await using var host = await BalancerHost.StartAsync([upstream], shape: (_, backend) => backend with { MaxConnections = 2 * Streams });
        await RoundAsync();
        var before = GC.GetTotalMemory(forceFullCollection: true);

        var (early, late) = await RoundAsync();
        var after = GC.GetTotalMemory(forceFullCollection: true);

        // The answers' bytes are 300 times about 60 KiB, 18 MiB: whoever keeps them all, or one round's remains, is above these bounds.
        var sent = (long)Streams * Words * word.Length;
        TestContext.Current.TestOutputHelper?.WriteLine($"{sent / MiB} MiB sent; {(late - early) / 1024} KiB more while it was, {(after - before) / 1024} KiB more after a round");
        Assert.True(sent > 16 * MiB, $"only {sent} bytes were sent");
        Assert.True(late - early < sent / 2, $"{(late - early) / MiB} MiB more after {sent / MiB} MiB of answers");
        Assert.True(after - before < 12 * MiB, $"{(after - before) / MiB} MiB more after a round");

        async Task<(long Early, long Late)> RoundAsync()
        {
            var begin = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var read = new int[1];
            upstream.Script = async (_, connection, gone) =>
            {
                await connection.BeginStreamAsync();
                await connection.EventAsync(word);
                await begin.Task.WaitAsync(gone);
                for (var i = 1; i < Words; i++)
                {
                    await connection.EventAsync(word);
                }

                await end.Task.WaitAsync(gone);
                await connection.EventAsync(ScriptedChat.Finish());
                await connection.DoneAsync();
                await connection.EndAsync();
            };
            var clients = Enumerable.Range(0, Streams).Select(_ => CountAsync(host, read)).ToArray();
            await Await.Until(() => Volatile.Read(ref read[0]) == Streams, "every stream has begun", Limit);
            Assert.Equal(Streams, await host.InFlightAsync());
            var early = GC.GetTotalMemory(forceFullCollection: true);
            begin.SetResult();
            await Await.Until(() => Volatile.Read(ref read[0]) == Streams * Words, "every word has arrived", Limit);
            var late = GC.GetTotalMemory(forceFullCollection: true);
            end.SetResult();
            Assert.All(await Await.For(Task.WhenAll(clients), "the streams' end", Limit), isDone => Assert.True(isDone));
            await host.SettledAsync();
            return (early, late);
        }
    }

    /// <summary>Reads a stream line by line, keeping none of it; whether <c>[DONE]</c> ended it.</summary>
    private static async Task<bool> CountAsync(BalancerHost host, int[] read)
    {
        using var response = await host.ChatAsync(stream: true);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        var isDone = false;
        while (await lines.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
        {
            isDone |= line == "data: [DONE]";
            if (line.Contains(" word", StringComparison.Ordinal))
            {
                Interlocked.Increment(ref read[0]);
            }
        }

        return isDone;
    }
}
