using System.Diagnostics;
using System.Text;
using Roadbalancer.Wire;

namespace Roadbalancer.Tests.Wire;

public sealed class WireHeadTests
{
    [Theory]
    [InlineData("HTTP/1.1 200 OK", 200)]
    [InlineData("HTTP/1.1 200 ", 200)]
    [InlineData("HTTP/1.1 200", 200)]
    [InlineData("HTTP/1.0 404 Not Found", 404)]
    [InlineData("HTTP/1.1 100 Continue", 100)]
    [InlineData("HTTP/1.1 999 \u00ff\t", 999)]
    public void TryRead_StatusLine_Understood(string line, int status) => Assert.Equal(status, Read(line + "\r\n\r\n").Status);

    [Theory]
    [InlineData("")]
    [InlineData("HTTP/1.1")]
    [InlineData("HTTP/1.1 20")]
    [InlineData("HTTP/1.1 20x OK")]
    [InlineData("HTTP/1.1 +20 OK")]
    [InlineData("HTTP/1.1 099 OK")]
    [InlineData("HTTP/1.1 2000 OK")]
    [InlineData("HTTP/1.1 200OK")]
    [InlineData("HTTP/1.1  200 OK")]
    [InlineData("HTTP/1.1\t200 OK")]
    [InlineData("HTTP/2.0 200 OK")]
    [InlineData("HTTP/1.x 200 OK")]
    [InlineData("http/1.1 200 OK")]
    [InlineData(" HTTP/1.1 200 OK")]
    [InlineData("ICY 200 OK for you")]
    [InlineData("HTTP/1.1 101 Switching Protocols")]
    [InlineData("\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003")]
    public void TryRead_OtherFirstLine_Refused(string line) => Refused(line + "\r\n\r\n");

    [Fact]
    public void TryRead_EveryPrefix_IsNotYetAHead()
    {
        var bytes = "HTTP/1.1 200 OK\r\nServer: x\r\nX-Folded: a\r\n b\r\nContent-Length: 3\r\n\r\n"u8;
        for (var length = 0; length < bytes.Length; length++)
        {
            Assert.Null(WireHead.TryRead(bytes[..length], answersHead: false, out _));
        }

        Assert.NotNull(WireHead.TryRead(bytes, answersHead: false, out var used));
        Assert.Equal(bytes.Length, used);
    }

    [Fact]
    public void TryRead_BodyBehindIt_TellsWhereItBegins()
    {
        Assert.NotNull(WireHead.TryRead("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"u8, answersHead: false, out var used));

        Assert.Equal(38, used);
    }

    [Fact]
    public void TryRead_BareLineFeeds_EndLines()
    {
        var head = Read("HTTP/1.1 200 OK\nA: 1\nB: 2\r\n\n");

        Assert.Equal(("1", "2", 2), (head.Headers["A"], head.Headers["B"], head.Headers.Count));
    }

    [Fact]
    public void TryRead_FoldedLines_AreOneValue() =>
        Assert.Equal("a b c", Read("HTTP/1.1 200 OK\r\nX: a\r\n  b\r\n\tc \r\nY: d\r\n\r\n").Headers["x"]);

    [Theory]
    [InlineData(" X: a")]
    [InlineData("no colon")]
    [InlineData(": no name")]
    [InlineData("a b: c")]
    [InlineData("a\u0001: c")]
    [InlineData("\u00e9: c")]
    [InlineData("(a): c")]
    public void TryRead_NoHeaderName_Refused(string line) => Refused($"HTTP/1.1 200 OK\r\n{line}\r\n\r\n");

    [Theory]
    [InlineData("Name:value", "value")]
    [InlineData("Name: \t value \t ", "value")]
    [InlineData("Name : value", "value")]
    [InlineData("Name:", "")]
    [InlineData("Name: a:b", "a:b")]
    [InlineData("Name: \u00e9\u0001", "\u00e9\u0001")]
    public void TryRead_Field_ValueWithoutTheBlanksAround(string line, string value) => Assert.Equal(value, Read($"HTTP/1.1 200 OK\r\n{line}\r\n\r\n").Headers["name"]);

    [Theory]
    [InlineData("Content-Length: 5", 5)]
    [InlineData("Content-Length: 005", 5)]
    [InlineData("Content-Length: 5\r\ncontent-length: 5", 5)]
    [InlineData("Content-Length: 5 , 5", 5)]
    [InlineData("Content-Length: 9223372036854775807", long.MaxValue)]
    public void TryRead_Length_IsBinding(string lines, long length)
    {
        var head = Read($"HTTP/1.1 200 OK\r\n{lines}\r\n\r\n");

        Assert.Equal((BodyFraming.Length, length, true), (head.Framing, head.Length, head.KeepsConnection));
    }

    [Theory]
    [InlineData("Content-Length: 5\r\nContent-Length: 6")]
    [InlineData("Content-Length: 5, 6")]
    [InlineData("Content-Length: 5,")]
    [InlineData("Content-Length:")]
    [InlineData("Content-Length: -1")]
    [InlineData("Content-Length: +5")]
    [InlineData("Content-Length: 5 5")]
    [InlineData("Content-Length: 5\r\n 5")]
    [InlineData("Content-Length: 0x5")]
    [InlineData("Content-Length: 5.0")]
    [InlineData("Content-Length: \u00a05")]
    [InlineData("Content-Length: 9223372036854775808")]
    public void TryRead_NoLength_Refused(string lines) => Refused($"HTTP/1.1 200 OK\r\n{lines}\r\n\r\n");

    [Theory]
    [InlineData("chunked")]
    [InlineData("Chunked")]
    public void TryRead_Chunked_ToTheLastChunk(string coding)
    {
        var head = Read($"HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n");

        Assert.Equal((BodyFraming.Chunked, null, true), (head.Framing, head.Length, head.KeepsConnection));
    }

    [Fact]
    public void TryRead_ChunkedWithLength_CodingCountsAndConnectionEnds()
    {
        var head = Read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n");

        Assert.Equal((BodyFraming.Chunked, null, false), (head.Framing, head.Length, head.KeepsConnection));
    }

    /// <summary>A coding that is not undone here would reach the client undone, and without the header that told of it.</summary>
    [Theory]
    [InlineData("gzip")]
    [InlineData("gzip, chunked")]
    [InlineData("chunked, gzip")]
    [InlineData("chunked, chunked")]
    [InlineData("chunked\r\nTransfer-Encoding: chunked")]
    [InlineData("identity")]
    [InlineData("xchunked")]
    [InlineData("\u000bchunked")]
    [InlineData("\u00a0chunked")]
    [InlineData("")]
    public void TryRead_OtherTransferCoding_Refused(string coding) => Refused($"HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n");

    [Theory]
    [InlineData("HTTP/1.1 200 OK", "", true)]
    [InlineData("HTTP/1.1 200 OK", "Connection: close", false)]
    [InlineData("HTTP/1.1 200 OK", "Connection: X, Close", false)]
    [InlineData("HTTP/1.1 200 OK", "Connection: X\r\nConnection: close", false)]
    [InlineData("HTTP/1.1 200 OK", "Connection: keep-alive", true)]
    [InlineData("HTTP/1.0 200 OK", "", false)]
    [InlineData("HTTP/1.0 200 OK", "Connection: Keep-Alive", true)]
    [InlineData("HTTP/1.0 200 OK", "Connection: keep-alive, close", false)]
    [InlineData("HTTP/1.0 200 OK", "Connection: close", false)]
    public void TryRead_Connection_KeptAsItSays(string status, string line, bool keeps) =>
        Assert.Equal(keeps, Read($"{status}\r\nContent-Length: 1\r\n{line}{(line.Length > 0 ? "\r\n" : "")}\r\n").KeepsConnection);

    [Fact]
    public void TryRead_OldChunked_ConnectionEnds()
    {
        var head = Read("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n");

        Assert.Equal((BodyFraming.Chunked, false), (head.Framing, head.KeepsConnection));
    }

    [Theory]
    [InlineData("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked")]
    [InlineData("HTTP/1.1 103 Early Hints\r\nContent-Length: 5")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 0")]
    [InlineData("HTTP/1.1 204 No Content")]
    public void TryRead_NoBody_ConnectionStays(string head)
    {
        var read = Read(head + "\r\n\r\n");

        Assert.Equal((BodyFraming.None, true), (read.Framing, read.KeepsConnection));
    }

    [Theory]
    [InlineData("Content-Length: 5", false)]
    [InlineData("Transfer-Encoding: chunked", false)]
    [InlineData("Content-Length: 0", true)]
    public void TryRead_NoContentThatAnnouncesSome_ConnectionEnds(string line, bool keeps)
    {
        var head = Read($"HTTP/1.1 204 No Content\r\n{line}\r\n\r\n");

        Assert.Equal((BodyFraming.None, keeps), (head.Framing, head.KeepsConnection));
    }

    [Theory]
    [InlineData("Keep-Alive: timeout=5", 5)]
    [InlineData("keep-alive: max=100, Timeout=15 ", 15)]
    [InlineData("Keep-Alive: timeout=0", 0)]
    [InlineData("Keep-Alive: timeout=-1", null)]
    [InlineData("Keep-Alive: timeout=99999999999", null)]
    [InlineData("Keep-Alive: timeout", null)]
    [InlineData("X: timeout=5", null)]
    public void IdleLimitSeconds_KeepAlive_AsTheBackendSays(string line, int? seconds) => Assert.Equal(seconds, Read($"HTTP/1.1 200 OK\r\n{line}\r\n\r\n").IdleLimitSeconds);

    [Theory]
    [InlineData("Content-Length: 5")]
    [InlineData("Transfer-Encoding: chunked")]
    [InlineData("X: y")]
    public void TryRead_AnswerToHead_HasNoBody(string line)
    {
        var head = WireHead.TryRead(Encoding.Latin1.GetBytes($"HTTP/1.1 200 OK\r\n{line}\r\n\r\n"), answersHead: true, out _)!;

        Assert.Equal((BodyFraming.None, true), (head.Framing, head.KeepsConnection));
    }

    [Fact]
    public void TryRead_NeitherLengthNorChunks_UntilTheConnectionEnds()
    {
        var head = Read("HTTP/1.1 200 OK\r\n\r\n");

        Assert.Equal((BodyFraming.UntilClose, null, false), (head.Framing, head.Length, head.KeepsConnection));
    }

    [Fact]
    public void TryRead_LongerThanTheLimit_Refused()
    {
        var bytes = Encoding.Latin1.GetBytes("HTTP/1.1 200 OK\r\nX: " + new string('x', WireHead.Limit));

        Assert.Null(WireHead.TryRead(bytes.AsSpan(0, WireHead.Limit - 1), answersHead: false, out _));
        Assert.Throws<HttpRequestException>(() => WireHead.TryRead(bytes.AsSpan(0, WireHead.Limit), answersHead: false, out _));
    }

    [Theory]
    [InlineData("A{0}: b\r\n")]
    [InlineData("A: {0}\r\n")]
    [InlineData(" {0}\r\n")]
    public void TryRead_MoreLinesThanTheLimit_Refused(string line)
    {
        var few = Lines(WireHead.MostLines - 1);
        var many = Lines(WireHead.MostLines);

        Assert.Equal(200, Read(few).Status);
        Refused(many);

        string Lines(int count) => "HTTP/1.1 200 OK\r\nX: y\r\n"
            + string.Concat(Enumerable.Range(0, count).Select(number => string.Format(System.Globalization.CultureInfo.InvariantCulture, line, number))) + "\r\n";
    }

    private static WireHead Read(string text)
    {
        var head = WireHead.TryRead(Encoding.Latin1.GetBytes(text), answersHead: false, out var used);
        Assert.Equal(text.Length, used);
        return head ?? throw new UnreachableException();
    }

    private static void Refused(string text) =>
        Assert.Equal(HttpRequestError.InvalidResponse, Assert.Throws<HttpRequestException>(() => Read(text)).HttpRequestError);
}
