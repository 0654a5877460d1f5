using System.Text;
using Roadbalancer.Wire;

namespace Roadbalancer.Tests.Wire;

public sealed class ChunkReaderTests
{
    private const string Data = "The quick brown fox";

    [Theory]
    [InlineData("13\r\nThe quick brown fox\r\n0\r\n\r\n")]
    [InlineData("3\r\nThe\r\n10\r\n quick brown fox\r\n0\r\n\r\n")]
    [InlineData("3;a=b;c=\"d e\"\r\nThe\r\n10 ; x\r\n quick brown fox\r\n0;last\r\n\r\n")]
    [InlineData("3\r\nThe\r\n10\r\n quick brown fox\r\n0\r\nX-One: 1\r\nX-Two: 2\r\n\r\n")]
    [InlineData("3\nThe\n10\n quick brown fox\n0\nX-One: 1\n\n")]
    [InlineData("0003 \t\r\nThe\r\n00010\t\r\n quick brown fox\r\n000\r\n\r\n")]
    [InlineData("1\r\nT\r\n1\r\nh\r\n1\r\ne\r\n0010\r\n quick brown fox\r\n0\r\n\r\n")]
    public void Read_SplitAnywhere_GivesTheSameData(string wire)
    {
        var bytes = Encoding.Latin1.GetBytes(wire);
        for (var split = 0; split <= bytes.Length; split++)
        {
            foreach (var room in new[] { 1, 2, 7, 64 })
            {
                var chunks = new ChunkReader();

                var text = Feed(ref chunks, bytes.AsSpan(0, split), room) + Feed(ref chunks, bytes.AsSpan(split), room);

                Assert.True(text == Data && chunks.IsComplete, $"Split at {split} with room for {room}: «{text}».");
            }
        }
    }

    [Theory]
    [InlineData("a")]
    [InlineData("A")]
    [InlineData("0a")]
    public void Read_HexOfEitherCase_Understood(string size)
    {
        var chunks = new ChunkReader();

        var text = Feed(ref chunks, Encoding.Latin1.GetBytes($"{size}\r\n0123456789\r\n0\r\n\r\n"), 64);

        Assert.Equal(("0123456789", true), (text, chunks.IsComplete));
    }

    [Fact]
    public void Read_MoreBehindTheEnd_LeftAlone()
    {
        var chunks = new ChunkReader();

        var (used, written) = chunks.Read("1\r\nx\r\n0\r\n\r\nHTTP/1.1 200 OK"u8, new byte[64]);

        Assert.Equal((11, 1, true), (used, written, chunks.IsComplete));
    }

    [Fact]
    public void Read_EveryPrefix_IsNotComplete()
    {
        var wire = "3;x=y\r\nThe\r\n0\r\nA: b\r\n\r\n"u8;
        for (var length = 0; length < wire.Length; length++)
        {
            var chunks = new ChunkReader();
            Feed(ref chunks, wire[..length], 64);

            Assert.False(chunks.IsComplete, $"After {length} bytes.");
        }
    }

    [Theory]
    [InlineData("\r\n")]
    [InlineData(";x\r\n")]
    [InlineData(" 3\r\nThe")]
    [InlineData("g\r\n")]
    [InlineData("-3\r\nThe")]
    [InlineData("+3\r\nThe")]
    [InlineData("0x3\r\nThe")]
    [InlineData("3h\r\nThe")]
    [InlineData("3 3\r\nThe")]
    [InlineData("3\rThe")]
    [InlineData("3;x\ry\r\nThe")]
    [InlineData("3\r\nTheX")]
    [InlineData("3\r\nThe\rX")]
    [InlineData("3\r\nThe\r\n\r\n0\r\n\r\n")]
    [InlineData("0\r\n\rX")]
    [InlineData("8000000000000000\r\n")]
    [InlineData("fffffffffffffffff\r\n")]
    public void Read_Garbage_Throws(string wire)
    {
        var exception = Assert.Throws<HttpIOException>(() =>
        {
            var chunks = new ChunkReader();
            Feed(ref chunks, Encoding.Latin1.GetBytes(wire), 64);
        });

        Assert.Equal(HttpRequestError.InvalidResponse, exception.HttpRequestError);
    }

    [Fact]
    public void Read_LargestSize_IsNoOverflow()
    {
        var chunks = new ChunkReader();
        Feed(ref chunks, "7fffffffffffffff\r\n"u8, 64);

        Assert.Equal(long.MaxValue, chunks.DataLeft);
    }

    [Theory]
    [InlineData("3;", "x")]
    [InlineData("3", " ")]
    [InlineData("0", "0")]
    [InlineData("0\r\nA: ", "b")]
    [InlineData("0\r\n", "A: b\r\n")]
    public void Read_EndlessOverhead_GivenUp(string begin, string more)
    {
        var piece = Encoding.Latin1.GetBytes(more);

        Assert.Throws<HttpIOException>(() =>
        {
            var chunks = new ChunkReader();
            Feed(ref chunks, Encoding.Latin1.GetBytes(begin), 64);
            for (var bytes = 0; bytes < 32 * 1024; bytes += piece.Length)
            {
                Feed(ref chunks, piece, 64);
            }
        });
    }

    [Fact]
    public void Skip_PartAndRest_GoesOnBehindTheChunk()
    {
        var chunks = new ChunkReader();
        Feed(ref chunks, "1000\r\nab"u8, 64);
        Assert.Equal(4094, chunks.DataLeft);

        chunks.Skip(4000);
        Assert.Equal(94, chunks.DataLeft);
        chunks.Skip(94);

        Assert.Equal(0, chunks.DataLeft);
        Assert.Equal("x", Feed(ref chunks, "\r\n1\r\nx\r\n0\r\n\r\n"u8, 64));
        Assert.True(chunks.IsComplete);
    }

    /// <summary>What stands between chunks is limited between two of them, not over a whole body.</summary>
    [Fact]
    public void Skip_ThousandsOfChunks_NoneTooMany()
    {
        var chunks = new ChunkReader();
        for (var chunk = 0; chunk < 10_000; chunk++)
        {
            Feed(ref chunks, "1000\r\n"u8, 64);
            chunks.Skip(4096);
            Feed(ref chunks, "\r\n"u8, 64);
        }

        Feed(ref chunks, "0\r\n\r\n"u8, 64);

        Assert.True(chunks.IsComplete);
    }

    /// <summary>Reads all of <paramref name="from"/>, at most <paramref name="room"/> bytes of data at a time.</summary>
    private static string Feed(ref ChunkReader chunks, ReadOnlySpan<byte> from, int room)
    {
        var text = new StringBuilder();
        var to = new byte[room];
        while (!from.IsEmpty && !chunks.IsComplete)
        {
            var (used, written) = chunks.Read(from, to);
            Assert.True(used > 0, "Nothing was used, though there was room.");
            text.Append(Encoding.Latin1.GetString(to, 0, written));
            from = from[used..];
        }

        return text.ToString();
    }
}
