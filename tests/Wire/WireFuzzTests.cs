using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Roadbalancer.Tests.Support;
using Roadbalancer.Wire;

namespace Roadbalancer.Tests.Wire;

/// <summary>Answers at random, by seed: whole ones arrive as they were meant, and nonsense ends in an error that callers expect, soon.</summary>
public sealed class WireFuzzTests
{
    /// <summary>What nonsense is made of: bytes at random get no further than the first line.</summary>
    private static readonly string[] _pieces =
    [
        "HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 204 No Content\r\n", "HTTP/1.1 500\r\n", "HTTP/1.1 ", "HTTP/",
        "Content-Length: 5\r\n", "Content-Length: 99999999999\r\n", "Content-Length: -1\r\n", "content-length:5\n", "Transfer-Encoding: chunked\r\n",
        "transfer-encoding : chunked\r\n", "Transfer-Encoding: gzip\r\n", "Connection: close\r\n", "Connection: keep-alive\r\n", "X: y\r\n z\r\n", " folded\r\n", ": \r\n",
        "\r\n", "\r\n\r\n", "\n\n", "\r", "\n", "\0", "5\r\nhello\r\n", "0\r\n\r\n", "0\r\nA: b\r\n\r\n", "ffffffffffffffff\r\n", "5;x=\"\r\n", "hello", "a", ":", ";", " ",
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task SendAsync_AnswersRenderedAtRandom_ArriveAsTheyWereMeant(int seed)
    {
        const int Count = 150;
        var rendered = Enumerable.Range(0, Count).Select(number => Render(new Random((seed * 1000) + number))).ToArray();
        await using var server = BareServer.Start(async peer =>
        {
            while (await peer.ReadRequestAsync() is { } request)
            {
                var number = int.Parse(request.Split(' ')[1].AsSpan(1), CultureInfo.InvariantCulture);
                await WriteInPiecesAsync(peer, rendered[number].Wire, new Random((seed * 1000) + number));
                if (rendered[number].Ends)
                {
                    return;
                }
            }
        });
        using var client = new WireClient();

        for (var number = 0; number < Count; number++)
        {
            var meant = rendered[number];
            using var response = await Await.For(client.SendAsync(new Uri(server.Url, $"/{number}"), method: meant.Method), $"answer {number} of seed {seed}");
            var body = await WireClient.ReadAsync(response, room: new Random(number).Next(1, 20_000));

            Assert.True(
                meant.Status == response.Head.Status && meant.Headers.SequenceEqual(response.Head.Headers.Where(header => header.Key.StartsWith('X'))) && body.AsSpan().SequenceEqual(meant.Body),
                $"Answer {number} of seed {seed} came as {response.Head.Status} with {body.Length} of {meant.Body.Length} bytes.");
        }

        Assert.Equal(1 + rendered.SkipLast(1).Count(answer => answer.Ends), server.Accepted);
    }

    [Theory]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public async Task SendAsync_NonsenseAtRandom_EndsInAnErrorThatIsExpected(int seed)
    {
        var answers = new ConcurrentDictionary<string, byte[]>();
        await using var server = BareServer.Start(async peer =>
        {
            // Each connection gets one piece of nonsense and its end.
            if (await peer.ReadRequestAsync() is { } request)
            {
                await WriteInPiecesAsync(peer, answers[request.Split(' ')[1]], new Random(seed));
            }
        });
        using var client = new WireClient();
        for (var number = 0; number < 300; number++)
        {
            answers[$"/{number}"] = Nonsense(new Random((seed * 1000) + number));
            try
            {
                using var response = await Await.For(client.SendAsync(new Uri(server.Url, $"/{number}")), $"the end of answer {number} of seed {seed}");
                Assert.InRange(response.Head.Status, 200, 999);
                await WireClient.ReadAsync(response);
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException)
            {
                // The two that callers expect.
            }
        }
    }

    private static Answer Render(Random random)
    {
        var status = random.Next(8) switch { 0 => 204, 1 => 304, 2 => random.Next(400, 600), _ => 200 };
        var method = random.Next(8) == 0 ? "HEAD" : "POST";
        var body = new byte[random.Next(3) switch { 0 => 0, 1 => random.Next(100), _ => random.Next(50_000) }];
        random.NextBytes(body);
        var end = random.Next(5) == 0 ? "\n" : "\r\n";
        var wire = new MemoryStream();
        for (var interim = random.Next(6); interim > 4; interim--)
        {
            Write($"HTTP/1.1 10{random.Next(2) * 3} Wait{end}X-Interim: y{end}{end}");
        }

        Write($"HTTP/1.1 {status} Random{end}");
        var headers = Enumerable.Range(0, random.Next(20)).Select(number =>
            new KeyValuePair<string, string>($"X-{random.Next(10)}", new string((char)random.Next('a', 'z'), random.Next(random.Next(2) == 0 ? 20 : 2000)))).ToArray();
        foreach (var (name, value) in headers)
        {
            Write($"{name}:{new string(' ', random.Next(3))}{value}{new string('\t', random.Next(2))}{end}");
        }

        // Whoever announces what a 204 cannot have loses the connection, which is not the question here.
        var framing = status == 204 ? 2 : random.Next(3);
        Write((framing switch { 0 => $"Content-Length: {body.Length}", 1 => "Transfer-Encoding: chunked", _ => "Cache-Control: no-cache" }) + end + end);
        var hasBody = method != "HEAD" && status is not (204 or 304);
        if (hasBody)
        {
            WriteBody();
        }

        return new(method, status, headers, hasBody ? body : [], wire.ToArray(), hasBody && framing == 2);

        void Write(string text) => wire.Write(Encoding.Latin1.GetBytes(text));

        void WriteBody()
        {
            if (framing != 1)
            {
                wire.Write(body);
                return;
            }

            for (var at = 0; at < body.Length;)
            {
                var size = Math.Min(body.Length - at, random.Next(1, random.Next(2) == 0 ? 50 : 20_000));
                Write(size.ToString(random.Next(2) == 0 ? "x4" : "X", CultureInfo.InvariantCulture) + (random.Next(4) == 0 ? " ;a=\"b\"" : "") + end);
                wire.Write(body, at, size);
                Write(end);
                at += size;
            }

            Write($"0{end}{(random.Next(4) == 0 ? $"X-Trailer: z{end}" : "")}{end}");
        }
    }

    private static byte[] Nonsense(Random random)
    {
        var text = new StringBuilder(random.Next(4) > 0 ? "HTTP/1.1 200 OK\r\n" : "");
        for (var piece = random.Next(12); piece >= 0; piece--)
        {
            text.Append(random.Next(10) == 0 ? new string((char)random.Next(256), random.Next(300)) : _pieces[random.Next(_pieces.Length)]);
        }

        return Encoding.Latin1.GetBytes(text.ToString());
    }

    /// <summary>A packet each, as far as the system has it so.</summary>
    private static async Task WriteInPiecesAsync(BarePeer peer, byte[] wire, Random random)
    {
        var largest = random.Next(4) switch { 0 => 3, 1 => 100, _ => 60_000 };
        for (var at = 0; at < wire.Length;)
        {
            // Byte by byte only where heads and chunks begin: a large body would take as many packets.
            var size = Math.Min(wire.Length - at, random.Next(1, at < 400 ? largest + 1 : 60_000));
            await peer.WriteAsync(wire.AsMemory(at, size));
            at += size;
        }
    }

    private sealed record Answer(string Method, int Status, KeyValuePair<string, string>[] Headers, byte[] Body, byte[] Wire, bool Ends);
}
