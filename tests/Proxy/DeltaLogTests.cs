using System.Text;
using Roadbalancer.Proxy;
using Roadbalancer.Strategies;

namespace Roadbalancer.Tests.Proxy;

public sealed class DeltaLogTests
{
    [Fact]
    public void Append_TextCutInAnyWay_GivesTheSameLog()
    {
        var chance = new Chance(1);
        for (var round = 0; round < 200; round++)
        {
            using var whole = new DeltaLog();
            using var pieces = new DeltaLog();
            for (var part = 0; part < 5; part++)
            {
                var (choice, field, ordinal) = (chance.Next(3), chance.Next(2) == 0 ? DeltaField.Content : DeltaField.ToolArguments, chance.Next(2));
                var text = Encoding.UTF8.GetBytes(new string((char)('a' + part), 1 + chance.Next(300)));
                whole.Append(choice, field, ordinal, text);
                for (int at = 0, take; at < text.Length; at += take)
                {
                    take = Math.Min(text.Length - at, chance.Next(50));
                    pieces.Append(choice, field, ordinal, text.AsSpan(at, take));
                }
            }

            Assert.True(whole.Bytes.SequenceEqual(pieces.Bytes), $"round {round}");
            Assert.Equal(whole.Channel, pieces.Channel);
        }
    }

    [Fact]
    public void Append_OtherChannel_IsOtherText()
    {
        using var a = Log((0, DeltaField.Content, 0, "ab"));
        Assert.Equal(5, a.Length);
        foreach (var other in new[] { (1, DeltaField.Content, 0, "ab"), (0, DeltaField.Reasoning, 0, "ab"), (0, DeltaField.ToolName, 0, "ab"), (0, DeltaField.ToolName, 1, "ab") })
        {
            using var b = Log(other);
            Assert.False(a.Bytes.SequenceEqual(b.Bytes), other.ToString());
        }
    }

    [Fact]
    public void Append_EmptyText_LeavesNoTrace()
    {
        using var log = Log((0, DeltaField.Content, 0, ""));
        Assert.Equal(0, log.Length);
        Assert.Equal(DeltaLog.NoChannel, log.Channel);
    }

    [Fact]
    public void TextOf_ChoiceZeroAlone_IsItsText()
    {
        using var log = Log((0, DeltaField.Content, 0, "he"), (0, DeltaField.Content, 0, "llo"));
        Assert.Equal("hello", Encoding.UTF8.GetString(log.TextOf(DeltaField.Content)));
        Assert.True(log.TextOf(DeltaField.Reasoning).IsEmpty);
    }

    [Fact]
    public void TextOf_AnythingElse_IsEmpty()
    {
        using var empty = new DeltaLog();
        using var otherChoice = Log((1, DeltaField.Content, 0, "a"));
        using var two = Log((0, DeltaField.Reasoning, 0, "a"), (0, DeltaField.Content, 0, "b"));
        Assert.True(empty.TextOf(DeltaField.Content).IsEmpty);
        Assert.True(otherChoice.TextOf(DeltaField.Content).IsEmpty);
        Assert.True(two.TextOf(DeltaField.Content).IsEmpty);
    }

    [Fact]
    public void Add_RestartedInTheLogsChannel_ContinuesIt()
    {
        using var whole = Log((0, DeltaField.Content, 0, "abcd"), (0, DeltaField.Reasoning, 0, "e"));
        using var log = Log((0, DeltaField.Content, 0, "ab"));
        using var more = new DeltaLog();
        more.Restart(log.Channel);
        more.Append(0, DeltaField.Content, 0, "cd"u8);
        more.Append(0, DeltaField.Reasoning, 0, "e"u8);
        log.Add(more);
        Assert.True(whole.Bytes.SequenceEqual(log.Bytes));
        Assert.Equal(whole.Channel, log.Channel);
    }

    [Fact]
    public void DropStart_KeepsTheRest()
    {
        using var log = Log((0, DeltaField.Content, 0, "abcd"));
        log.DropStart(5);
        Assert.Equal("cd", Encoding.UTF8.GetString(log.Bytes));
    }

    private static DeltaLog Log(params (int Choice, DeltaField Field, int Ordinal, string Text)[] parts)
    {
        var log = new DeltaLog();
        foreach (var (choice, field, ordinal, text) in parts)
        {
            log.Append(choice, field, ordinal, Encoding.UTF8.GetBytes(text));
        }

        return log;
    }
}
