using System.Text;
using Roadbalancer.Proxy;

namespace Roadbalancer.Tests.Proxy;

public sealed class MultipartTests
{
    private const string ContentType = "multipart/form-data; boundary=\"b0\"";

    [Fact]
    public void TryRead_AudioRequest_FindsFieldsPastTheFile()
    {
        var body = "--b0\r\nContent-Disposition: form-data; name=\"file\"; filename=\"model\"\r\n\r\n\0\r\n--b0x\r\n--b0-\r\n\r\n"
            + "--b0\r\nContent-Type: text/plain\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n"
            + "--b0 \r\nContent-Disposition: form-data; name=stream\r\n\r\nTrue\r\n"
            + "--b0\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nanna\r\n--b0--\r\nepilogue";
        var facts = Read(body);

        Assert.Equal("whisper-1", facts.Model);
        Assert.Equal("whisper-1", Encoding.UTF8.GetString(facts.ModelValue.In(Encoding.UTF8.GetBytes(body))));
        Assert.True(facts.Stream);
        Assert.Equal((AffinitySource.User, "anna"), (facts.AffinitySource, Encoding.UTF8.GetString(facts.Affinity.In(Encoding.UTF8.GetBytes(body)))));
        Assert.Equal((BodyFormat.Multipart, 0, 4), (facts.Format, facts.InsertAt, facts.Delimiter.Length));
    }

    [Theory]
    [InlineData("--b0--\r\n")]
    [InlineData("--b0")]
    [InlineData("--b0\r\nContent-Disposition: form-data; name=\"model")]
    [InlineData("--b0\r\nContent-Disposition: form-data; name=\"model\"; filename=\"x\"\r\n\r\na\r\n--b0--")]
    [InlineData("--b0\r\nContent-Disposition: form-data; name=\"models\"\r\n\r\na\r\n--b0--")]
    [InlineData("--b0\r\n\r\nmodel\r\n--b0--")]
    public void TryRead_NoModelPart_FindsNone(string body) => Assert.Null(Read(body).Model);

    [Fact]
    public void TryRead_Preamble_IsPassedOver()
    {
        var facts = Read("preamble\r\n--b0\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\n--b0--");

        Assert.Equal("a", facts.Model);
        Assert.Equal(10, facts.InsertAt);
    }

    [Fact]
    public void TryRead_EmptyModel_IsThereWithoutAName()
    {
        var facts = Read("--b0\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n\r\n--b0--");

        Assert.Null(facts.Model);
        Assert.True(facts.HasModel);
    }

    [Theory]
    [InlineData("multipart/form-data", "--b0--", "needs a boundary")]
    [InlineData("multipart/form-data; boundary=é", "--b0--", "")]
    [InlineData("multipart/form-data; boundary=b1", "--b0--", "does not contain the boundary")]
    public void TryRead_BadBoundary_IsRefusedOrLeftAlone(string contentType, string body, string expected)
    {
        var read = RequestReader.TryRead(Encoding.UTF8.GetBytes(body), "", contentType, out var facts, out var error);

        Assert.Equal(read, expected.Length == 0);
        Assert.Contains(expected, error ?? "", StringComparison.Ordinal);
        Assert.Same(RequestFacts.None, facts);
    }

    [Fact]
    public void TryRead_ModelTwice_IsRefused()
    {
        const string Part = "--b0\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\n";

        Assert.False(RequestReader.TryRead(Encoding.UTF8.GetBytes(Part + Part + "--b0--"), "", ContentType, out _, out var error));
        Assert.Contains("'model' is given twice", error, StringComparison.Ordinal);
    }

    private static RequestFacts Read(string body)
    {
        Assert.True(RequestReader.TryRead(Encoding.UTF8.GetBytes(body), "audio/transcriptions", ContentType, out var facts, out var error), error);
        return facts;
    }
}
