using Roadbalancer.Wire;

namespace Roadbalancer.Tests.Wire;

public sealed class WireHeadersTests
{
    [Fact]
    public void Indexer_SeveralLines_OneListInTheirOrder()
    {
        var headers = new WireHeaders { { "Vary", "a" }, { "X", "1" }, { "vary", "b" } };

        Assert.Equal("a, b", headers["VARY"]);
        Assert.Null(headers["Y"]);
        Assert.Equal([new("Vary", "a"), new("X", "1"), new("vary", "b")], headers);
    }

    [Fact]
    public void IsRepeated_OnlyOfTheLaterLine()
    {
        var headers = new WireHeaders { { "A", "1" }, { "B", "2" } };
        Assert.False(headers.HasRepeated);

        headers.Add("a", "3");

        Assert.True(headers.HasRepeated);
        Assert.Equal([false, false, true], Enumerable.Range(0, 3).Select(headers.IsRepeated));
    }

    [Theory]
    [InlineData("close", true)]
    [InlineData("CLOSE", true)]
    [InlineData("a,\tclose ,b", true)]
    [InlineData("closed", false)]
    [InlineData("a close", false)]
    [InlineData("\u00a0close", false)]
    [InlineData("", false)]
    public void Lists_Member_WholeAndWhateverItsCase(string value, bool lists) => Assert.Equal(lists, new WireHeaders { { "Connection", value } }.Lists("connection", "close"));

    [Fact]
    public void Fold_LastLine_GoesOn()
    {
        var headers = new WireHeaders { { "A", "1" }, { "B", "2" } };

        headers.Fold("\u00e9"u8[..0]);
        headers.Fold("3"u8);

        Assert.Equal(("1", "2  3"), (headers["A"], headers["B"]));
    }

    [Fact]
    public void Add_TextsOfMostAnswers_AreNotMadeAnew()
    {
        var first = new WireHeaders();
        var second = new WireHeaders();

        first.Add("content-type"u8, "application/json"u8);
        second.Add("content-type"u8, "application/json"u8);

        Assert.Same(first[0].Key, second[0].Key);
        Assert.Same(first[0].Value, second[0].Value);
    }

    [Fact]
    public void Add_AnyByte_IsOneCharacter()
    {
        var bytes = Enumerable.Range(0, 256).Select(value => (byte)value).ToArray();
        var headers = new WireHeaders();

        headers.Add("X"u8, bytes);
        headers.Add("Y"u8, bytes.AsSpan(200));

        Assert.Equal(string.Concat(bytes.Select(value => (char)value)), headers["X"]);
        Assert.Equal(string.Concat(bytes.Skip(200).Select(value => (char)value)), headers["Y"]);
    }
}
