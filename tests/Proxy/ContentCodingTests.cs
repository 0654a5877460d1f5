using System.IO.Compression;
using System.Text;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Proxy;
using Roadbalancer.Wire;

namespace Roadbalancer.Tests.Proxy;

public sealed class ContentCodingTests
{
    [Theory]
    [InlineData(null, "gzip", false)]
    [InlineData("", "gzip", false)]
    [InlineData("gzip", "gzip", true)]
    [InlineData("GZIP", "gzip", true)]
    [InlineData("br, gzip", "gzip", true)]
    [InlineData("br,gzip;q=0.5", "gzip", true)]
    [InlineData("gzip;q=0", "gzip", false)]
    [InlineData("gzip; q=0.000", "gzip", false)]
    [InlineData("gzip ;q=0.001", "gzip", true)]
    [InlineData("identity", "gzip", false)]
    [InlineData("*", "br", true)]
    [InlineData("*;q=0", "br", false)]
    [InlineData("*, gzip;q=0", "gzip", false)]
    [InlineData("*;q=0, gzip", "gzip", true)]
    [InlineData("gzip;q=0, *", "br", true)]
    [InlineData("gzipped", "gzip", false)]
    public void IsAccepted_Header_FollowsTheRfc(string? header, string coding, bool expected)
    {
        var request = new DefaultHttpContext().Request;
        request.Headers.AcceptEncoding = header;
        Assert.Equal(expected, ContentCoding.IsAccepted(request, coding));
    }

    [Fact]
    public void IsAccepted_SeveralHeaders_AreOneList()
    {
        var request = new DefaultHttpContext().Request;
        request.Headers.AcceptEncoding = new(["br", "gzip"]);
        Assert.True(ContentCoding.IsAccepted(request, "gzip"));
    }

    [Theory]
    [InlineData(null)]
    [InlineData(null, "")]
    [InlineData(null, "identity")]
    [InlineData("gzip", "GZip")]
    [InlineData("br,gzip", "br, gzip")]
    [InlineData("br,gzip", "br", "gzip")]
    public void Of_Header_IsOneCoding(string? expected, params string[] lines)
    {
        var headers = new WireHeaders();
        foreach (var line in lines)
        {
            headers.Add("content-encoding", line);
        }

        Assert.Equal(expected, ContentCoding.Of(headers));
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("x-gzip")]
    [InlineData("br")]
    [InlineData("deflate")]
    public void Decode_KnownCoding_GivesTheText(string coding)
    {
        var coded = new MemoryStream();
        using (Stream coder = coding switch
        {
            "br" => new BrotliStream(coded, CompressionMode.Compress, leaveOpen: true),
            "deflate" => new ZLibStream(coded, CompressionMode.Compress, leaveOpen: true),
            _ => new GZipStream(coded, CompressionMode.Compress, leaveOpen: true),
        })
        {
            coder.Write("hello"u8);
        }

        coded.Position = 0;
        using var plain = new StreamReader(ContentCoding.Decode(coding, coded)!, Encoding.UTF8);
        Assert.Equal("hello", plain.ReadToEnd());
    }

    [Theory]
    [InlineData("zstd")]
    [InlineData("br,gzip")]
    public void Decode_UnknownCoding_IsNull(string coding) => Assert.Null(ContentCoding.Decode(coding, Stream.Null));
}
