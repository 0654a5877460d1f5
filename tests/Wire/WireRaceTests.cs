using System.Globalization;
using System.Text;
using Roadbalancer.Tests.Support;
using Roadbalancer.Wire;

namespace Roadbalancer.Tests.Wire;

/// <summary>Cancelled at moments that nobody chose, many times.</summary>
public sealed class WireRaceTests
{
    private static readonly UpstreamScript Echo = (request, connection, _) => connection.RespondAsync(200, request.Body, "text/plain");

    /// <summary>A read that ends because its socket was closed here is not the end of a body that only the connection tells.</summary>
    [Fact]
    public async Task Body_UntilCloseCancelledAtAnyMoment_NeverLooksWhole()
    {
        await using var upstream = ScriptedUpstream.Start(async (_, connection, gone) =>
        {
            await connection.RawAsync("HTTP/1.1 200 OK\r\n\r\n"u8.ToArray());
            while (!gone.IsCancellationRequested)
            {
                await connection.RawAsync("more"u8.ToArray());
            }
        });
        using var client = new WireClient();
        var buffer = new byte[16];
        for (var number = 0; number < 1000; number++)
        {
            using var cancellation = new CancellationTokenSource();
            using var response = await client.SendAsync(upstream.BaseUrl, cancellation: cancellation);
            var cancelling = Task.Run(cancellation.Cancel, TestContext.Current.CancellationToken);

            await Assert.ThrowsAsync<OperationCanceledException>(async () =>
            {
                while (await response.Body.ReadAsync(buffer, cancellation.Token) > 0)
                {
                }
            });

            await cancelling;
        }
    }

    /// <summary>Cancelled at every moment there is, over connections that are shared: whoever is answered gets an answer to its own question.</summary>
    [Fact]
    public async Task SendAsync_ManyCancelledAtAnyMoment_NobodyGetsAnothersAnswer()
    {
        await using var upstream = ScriptedUpstream.Start(Echo);
        upstream.Keeps = false;
        using var client = new WireClient();
        var answered = 0;
        var cancelled = 0;

        await Task.WhenAll(Enumerable.Range(0, 16).Select(worker => Task.Run(() => AskManyAsync(worker), TestContext.Current.CancellationToken)));

        Assert.True(answered > 0 && cancelled > 0, $"{answered} were answered and {cancelled} cancelled: that tells nothing.");
        Assert.Equal((200, "last"), await client.AskAsync(upstream.BaseUrl, "last"));

        async Task AskManyAsync(int worker)
        {
            var random = new Random(worker);
            for (var number = 0; number < 200; number++)
            {
                var question = string.Create(CultureInfo.InvariantCulture, $"{worker}-{number}-{new string('x', random.Next(3) * 6000)}");
                using var cancellation = new CancellationTokenSource();
                var cancelling = number % 2 == 0 ? Task.CompletedTask : Task.Run(() => CancelSoonAsync(random.Next(60), cancellation));
                try
                {
                    using var response = await client.SendAsync(upstream.BaseUrl, Encoding.Latin1.GetBytes(question), cancellation: cancellation);
                    Assert.Equal(question, Encoding.Latin1.GetString(await WireClient.ReadAsync(response)));
                    Interlocked.Increment(ref answered);
                }
                catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
                {
                    Interlocked.Increment(ref cancelled);
                }

                await cancelling;
            }
        }

        static async Task CancelSoonAsync(int steps, CancellationTokenSource cancellation)
        {
            for (var step = 0; step < steps; step++)
            {
                await Task.Yield();
            }

            await cancellation.CancelAsync();
        }
    }
}
