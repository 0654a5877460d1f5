using System.Buffers;
using System.Text;
using Roadbalancer.Wire;

namespace Roadbalancer.Tests.Wire;

public sealed class WireRequestTests
{
    [Fact]
    public void End_WithoutBody_HeadAlone() =>
        Assert.Equal("GET /v1/models?a=b HTTP/1.1\r\nHost: h:1\r\n\r\n", Write("GET", "/v1/models?a=b", body: "", hasBody: false));

    [Fact]
    public void End_EmptyBodyOfAMethodThatHasOne_LengthZero() =>
        Assert.Equal("POST / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\n\r\n", Write("POST", "/", body: "", hasBody: true));

    [Fact]
    public void End_BodyOfAMethodThatNeedsNone_LengthAllTheSame() =>
        Assert.Equal("GET / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 2\r\n\r\n{}", Write("GET", "/", body: "{}", hasBody: false));

    [Theory]
    [InlineData("a\rb")]
    [InlineData("a\nb")]
    [InlineData("a\r\nX-Evil: 1")]
    [InlineData("a\0b")]
    public void Add_LineBreakInAValue_LeftOut(string value)
    {
        using var request = new WireRequest("GET", "/", "h:1");
        request.Add("X-Before", "1");
        request.Add("X-Odd", value);
        request.Add("X-After", "2");
        request.End(default, hasBody: false);

        Assert.Equal("GET / HTTP/1.1\r\nHost: h:1\r\nX-Before: 1\r\nX-After: 2\r\n\r\n", TextOf(request.First));
    }

    [Fact]
    public void Add_NoValue_NoHeader()
    {
        using var request = new WireRequest("GET", "/", "h:1");
        request.Add("X-None", null);
        request.Add("X-Empty", "");
        request.End(default, hasBody: false);

        Assert.Equal("GET / HTTP/1.1\r\nHost: h:1\r\nX-Empty: \r\n\r\n", TextOf(request.First));
    }

    /// <summary>None that is not Latin-1 may turn into a line break on its way.</summary>
    [Fact]
    public void Add_AnyCharacter_OneByteAndNeverALineBreak()
    {
        var all = Enumerable.Range(0, 0x10000).Select(code => (char)code).Where(letter => letter is not ('\r' or '\n' or '\0') && !char.IsSurrogate(letter)).ToArray();
        using var request = new WireRequest("GET", "/", "h:1");
        request.Add("X", new string(all));
        request.End(default, hasBody: false);

        var value = TextOf(request.First)["GET / HTTP/1.1\r\nHost: h:1\r\nX: ".Length..^4];

        Assert.Equal(all.Length, value.Length);
        Assert.Equal(string.Concat(all.Where(letter => letter < 0x100)), value[..253]);
        Assert.Equal(-1, value.IndexOfAny(['\r', '\n', '\0']));
    }

    [Fact]
    public void Add_MoreThanFits_Grows()
    {
        var long1 = new string('x', 5000);
        var long2 = new string('y', 50_000);
        using var request = new WireRequest("POST", "/" + long1, "h:1");
        request.Add("A", long1);
        request.Add("B", long2);
        request.Add(Encoding.Latin1.GetBytes($"C: {long1}\r\n"));
        request.End(new(Encoding.Latin1.GetBytes("{}")), hasBody: true);

        Assert.Equal($"POST /{long1} HTTP/1.1\r\nHost: h:1\r\nA: {long1}\r\nB: {long2}\r\nC: {long1}\r\nContent-Length: 2\r\n\r\n{{}}", TextOf(request.First));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(8 * 1024)]
    [InlineData((8 * 1024) + 1)]
    [InlineData(1_000_000)]
    public void End_BodyOfAnySize_WholeInTwoParts(int size)
    {
        var body = new string('z', size);
        using var request = new WireRequest("POST", "/", "h:1");
        request.End(new(Encoding.Latin1.GetBytes(body)), hasBody: true);

        Assert.Equal($"POST / HTTP/1.1\r\nHost: h:1\r\nContent-Length: {size}\r\n\r\n{body}", TextOf(request.First) + Encoding.Latin1.GetString(request.Rest));
    }

    [Fact]
    public void End_BodyInPieces_InTheirOrder()
    {
        var last = new Piece("ef"u8.ToArray(), 4, null);
        var first = new Piece("ab"u8.ToArray(), 0, new Piece("cd"u8.ToArray(), 2, last));
        using var request = new WireRequest("POST", "/", "h:1");
        request.End(new(first, 0, last, 2), hasBody: true);

        Assert.EndsWith("\r\n\r\nabcdef", TextOf(request.First), StringComparison.Ordinal);
    }

    private static string Write(string method, string target, string body, bool hasBody)
    {
        using var request = new WireRequest(method, target, "h:1");
        request.End(new(Encoding.Latin1.GetBytes(body)), hasBody);
        Assert.Equal(method == "HEAD", request.IsHead);
        return TextOf(request.First);
    }

    private static string TextOf(ReadOnlyMemory<byte> bytes) => Encoding.Latin1.GetString(bytes.Span);

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(byte[] bytes, long at, Piece? next)
        {
            Memory = bytes;
            RunningIndex = at;
            Next = next;
        }
    }
}
