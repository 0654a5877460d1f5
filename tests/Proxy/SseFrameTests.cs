using System.Text;
using Roadbalancer.Proxy;

namespace Roadbalancer.Tests.Proxy;

public sealed class SseFrameTests
{
    [Theory]
    [InlineData("data: x\n\n", "x", 1)]
    [InlineData("data:x\n\n", "x", 1)]
    [InlineData("data:  x\n\n", " x", 1)]
    [InlineData("data: x\r\n\r\n", "x", 1)]
    [InlineData("data: x\r\n\n", "x", 1)]
    [InlineData("event: delta\nid: 7\ndata: x\nretry: 10\n\n", "x", 1)]
    [InlineData(": comment\ndata: x\n\n", "x", 1)]
    [InlineData("data\n\n", "", 1)]
    [InlineData("data:\n\n", "", 1)]
    [InlineData("data: \n\n", "", 1)]
    [InlineData("data: a\ndata: b\n\n", "a", 2)]
    [InlineData("database: x\n\n", "", 0)]
    [InlineData("datax\n\n", "", 0)]
    [InlineData(": keep-alive\n\n", "", 0)]
    [InlineData("event: ping\n\n", "", 0)]
    [InlineData("\n", "", 0)]
    [InlineData("\r\n", "", 0)]
    [InlineData(" data: x\n\n", "", 0)]
    public void TryRead_OneEvent_FindsItsEndAndData(string text, string data, int lines)
    {
        var bytes = Encoding.UTF8.GetBytes(text + "data: next\n\n");
        Assert.True(SseFrame.TryRead(bytes, out var frame));
        Assert.Equal(text.Length, frame.Length);
        Assert.Equal(lines, frame.DataLines);
        Assert.Equal(data, Encoding.UTF8.GetString(bytes, frame.DataStart, frame.DataLength));
    }

    [Theory]
    [InlineData("data: a\n\n")]
    [InlineData("data: a\r\n\r\n")]
    [InlineData("event: e\r\ndata: a\n\r\n")]
    [InlineData("data: a\r\n\n")]
    public void CanEnd_WhereverItWasSplit_FindsTheEnd(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        for (var seen = 0; seen < bytes.Length - 1; seen++)
        {
            Assert.True(SseFrame.CanEnd(bytes, seen), $"after {seen} bytes");
            Assert.False(seen > 0 && SseFrame.CanEnd(bytes.AsSpan(0, bytes.Length - 1), seen), $"without its last byte, after {seen}");
        }
    }

    [Theory]
    [InlineData("data: x\n\n")]
    [InlineData("data: x\r\n\r\n")]
    [InlineData("event: a\r\ndata: 日本\r\ndata: 😀\r\n: c\r\n\r\n")]
    public void TryRead_SplitAnywhere_WaitsForTheWholeEvent(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        for (var length = 0; length < bytes.Length; length++)
        {
            Assert.False(SseFrame.TryRead(bytes.AsSpan(0, length), out _), $"after {length} bytes");
        }

        Assert.True(SseFrame.TryRead(bytes, out var frame));
        Assert.Equal(bytes.Length, frame.Length);
    }

    [Theory]
    [InlineData("data: a\ndata: b\n\n", "a\nb")]
    [InlineData("data: a\r\nevent: x\r\ndata:b\r\n\r\n", "a\nb")]
    [InlineData("data\ndata: b\n\n", "\nb")]
    [InlineData("data: a\ndata\ndata\n\n", "a\n\n")]
    [InlineData("data: a\n\n", "a")]
    [InlineData(": c\n\n", "")]
    public void JoinData_SeveralLines_AreJoinedByLineFeeds(string text, string expected) =>
        Assert.Equal(expected, Encoding.UTF8.GetString(SseFrame.JoinData(Encoding.UTF8.GetBytes(text))));
}
