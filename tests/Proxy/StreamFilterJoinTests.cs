using System.Text;
using Roadbalancer.Proxy;
using Roadbalancer.Strategies;
using static Roadbalancer.Tests.Proxy.StreamSample;

namespace Roadbalancer.Tests.Proxy;

public sealed class StreamFilterJoinTests
{
    private const string Hard = "Añ \"q\" \\ 日本\n😀👩‍🚀 <b>\u2028\u0001 end";

    [Fact]
    public void Replay_AtEveryCharacter_JoinsExactly()
    {
        var chance = new Chance(3);
        var runes = Hard.EnumerateRunes().Select(rune => rune.ToString()).ToArray();
        for (var had = 1; had <= runes.Length; had++)
        {
            var first = string.Concat(runes.AsSpan(0, had)!);
            foreach (var replay in new[] { [Hard], runes, [.. Cut(Hard, chance, 3)], [.. Cut(Hard, chance, 9)] })
            {
                var got = Joined([Role(), Say(first, "one", chance)], [Role("two"), .. replay.Select(text => Say(text, "two", chance)), Finish("two"), Done], out var filter);
                Assert.True(filter is { IsComplete: true, HasMismatch: false }, $"after {had} with {replay.Length} events");
                Check(got, Hard);
            }
        }
    }

    [Fact]
    public void Replay_RandomAnswersCutAnywhere_GiveTheAnswerOnce()
    {
        for (var seed = 1UL; seed <= 400; seed++)
        {
            var chance = new Chance(seed);
            StreamPiece[] pieces = [
                new(Text(chance, chance.Next(20)), "reasoning_content"),
                new(Text(chance, 1 + chance.Next(40))),
                .. chance.Next(3) == 0 ? new StreamPiece[] { new("get", "name"), new(Text(chance, 12), "arguments"), new("put", "name", Call: 1), new("{}", "arguments", Call: 1) } : [],
            ];
            var whole = Answer(pieces, "one", chance);
            var until = chance.Next(whole.Count - 1);
            using var client = new ClientStream(ApiShape.Chat, 1);
            using var first = new StreamFilter(client, JoinMode.None);
            var got = Drive(first, whole.Take(until), chance);
            if (!client.Started)
            {
                continue;
            }

            // A second replay may be needed where the first breaks as well.
            for (var attempt = 0; attempt < 3 && client.CanBeJoined; attempt++)
            {
                using var filter = new StreamFilter(client, JoinMode.Replay);
                var again = Answer(pieces, "two", chance, longest: 1 + chance.Next(12));
                var left = attempt < 2 && chance.Next(2) == 0 ? chance.Next(again.Count - 1) : again.Count;
                got += Drive(filter, again.Take(left), chance);
                Assert.False(filter.HasMismatch, $"seed {seed}");
            }

            var read = ReferenceClient.Read(got);
            var expected = ReferenceClient.Read(string.Concat(whole));
            Assert.True(expected.Texts.SequenceEqual(read.Texts), $"seed {seed}");
            Assert.Equal((1, 1, 0, 1, $"seed {seed}"), (read.Roles, read.Dones, read.AfterDone, read.Ids.Count, $"seed {seed}"));
            Assert.Equal(["0 stop"], read.Finishes);
        }
    }

    [Fact]
    public void Replay_TextChangedAnywhereBeforeTheJoin_IsAMismatch()
    {
        for (var at = 0; at < 12; at++)
        {
            var other = new StringBuilder("abcdefghijkl") { [at] = '#' }.ToString();
            var got = Joined([Say("abcdefghijkl")], [.. other.Select(letter => Say(letter.ToString(), "two")), Say("more", "two"), Finish("two"), Done], out var filter);
            Assert.True(filter is { HasMismatch: true, HasBegun: false, IsComplete: false }, $"at {at}");
            Assert.Equal("abcdefghijkl", ReferenceClient.Read(got).Content);
        }
    }

    [Theory]
    [InlineData("content", "reasoning_content")]
    [InlineData("reasoning_content", "content")]
    [InlineData("content", "refusal")]
    public void Replay_SameWordsInAnotherField_IsAMismatch(string had, string has)
    {
        Joined([Say(new StreamPiece("abc", had))], [Say(new StreamPiece("abc", has), "two"), Finish("two")], out var filter);
        Assert.True(filter.HasMismatch);
    }

    [Fact]
    public void Replay_ShorterThanWhatTheClientHas_IsAMismatch()
    {
        Joined([Say("abcdef")], [Say("abc", "two"), Finish("two"), Done], out var filter);
        Assert.True(filter is { HasMismatch: true, IsComplete: false });
    }

    [Fact]
    public void Replay_EndsBeforeTheJoin_IsNotComplete()
    {
        Joined([Say("abcdef")], [Say("abc", "two")], out var filter);
        Assert.True(filter is { HasMismatch: false, HasBegun: false, IsComplete: false });
    }

    [Fact]
    public void Replay_ClientHasAllTheText_GetsTheFinishAlone()
    {
        var got = Joined([Role(), Say("abc")], [Role("two"), Say("ab", "two"), Say("c", "two"), Finish("two", "length"), Done], out _);
        var read = ReferenceClient.Read(got);
        Assert.Equal(("abc", 1, "0 length"), (read.Content, read.Roles, read.Finishes.Single()));
    }

    [Fact]
    public void Replay_FinishInTheEventOfTheLastText_IsCutAndKept()
    {
        var got = Joined([Say("ab")], [Event(Chunk("""{"content":"abc"}""", "stop", id: "two")), Done], out var filter);
        Check(got, "abc", roles: 0);
        Assert.True(filter.IsComplete);
    }

    [Fact]
    public void Replay_TwoTextsInTheEventOfTheJoin_IsAMismatch()
    {
        Joined([Say("ab")], [Event(Chunk("""{"content":"abc","refusal":"x"}""", id: "two"))], out var filter);
        Assert.True(filter is { HasMismatch: true, HasBegun: false });
    }

    [Fact]
    public void Replay_TwoTextsBehindTheJoin_Pass()
    {
        var got = Joined([Say("ab")], [Say("ab", "two"), Event(Chunk("""{"content":"c","refusal":"x"}""", id: "two")), Finish("two")], out _);
        Assert.Equal(("abc", "x"), (ReferenceClient.Read(got).Content, ReferenceClient.Read(got).Texts["0 refusal"]));
    }

    [Fact]
    public void Replay_CallAnnouncedBeforeTheJoin_IsNotAnnouncedTwice()
    {
        const string empty = """{"tool_calls":[{"index":0,"function":{"arguments":""}}]}""";
        string[] call = [Say(new StreamPiece("get", "name")), Event(Chunk(empty)), Say(new StreamPiece("{\"a\":1}", "arguments"))];
        string[] again = [Say(new StreamPiece("get", "name"), "two"), Event(Chunk(empty, id: "two")), Say(new StreamPiece("{\"a\":1}", "arguments"), "two"), Finish("two", "tool_calls"), Done];
        var read = ReferenceClient.Read(Joined(call, again, out var filter));
        Assert.True(filter is { IsComplete: true, HasMismatch: false });
        Assert.Equal(("call_0", "get", "{\"a\":1}"), (read.Texts["0 call 0 id"], read.Texts["0 call 0 name"], read.Texts["0 call 0 arguments"]));
    }

    [Fact]
    public void Replay_TwoChoicesInTheSameOrder_Join()
    {
        string[] had = [Say(new StreamPiece("a")), Say(new StreamPiece("x", Choice: 1)), Say(new StreamPiece("b"))];
        string[] again = [.. had.Select(text => text.Replace("one", "two", StringComparison.Ordinal)), Say(new StreamPiece("y", Choice: 1), "two"), Finish("two"), Finish("two", choice: 1), Done];
        var read = ReferenceClient.Read(Joined(had, again, out var filter, choices: 2));
        Assert.True(filter is { IsComplete: true, HasMismatch: false });
        Assert.Equal(("ab", "xy"), (read.Texts["0 content"], read.Texts["1 content"]));
    }

    [Fact]
    public void Replay_TwoChoicesInAnotherOrder_IsAMismatch()
    {
        Joined([Say(new StreamPiece("a")), Say(new StreamPiece("x", Choice: 1))], [Say(new StreamPiece("x", Choice: 1), "two"), Say("a", "two")], out var filter, choices: 2);
        Assert.True(filter.HasMismatch);
    }

    [Theory]
    [InlineData("""{"content":"\ud83d"}""")]
    [InlineData("""{"audio":{"id":"x"}}""")]
    [InlineData("""{"tool_calls":[{"index":0,"id":"call_1","type":"function"}]}""")]
    public void CanBeJoined_AfterWhatALogCannotHold_IsFalse(string delta)
    {
        using var client = new ClientStream(ApiShape.Chat, 1);
        using var filter = new StreamFilter(client, JoinMode.None);
        Drive(filter, [Say("a"), Event(Chunk(delta))], ends: false);
        Assert.False(client.CanBeJoined);
    }

    [Fact]
    public void Replay_OpaqueEventBeforeTheJoin_IsAMismatch()
    {
        Joined([Say("abc")], [Event(Chunk("""{"audio":{"id":"x"}}""", id: "two"))], out var filter);
        Assert.True(filter.HasMismatch);
    }

    [Fact]
    public void Replay_ErrorBeforeTheJoin_LeavesTheClientUntouched()
    {
        using var client = new ClientStream(ApiShape.Chat, 1);
        using var first = new StreamFilter(client, JoinMode.None);
        Drive(first, [Say("abc")], ends: false);
        var before = client.Log.Bytes.ToArray();
        using var filter = new StreamFilter(client, JoinMode.Replay);
        Assert.Empty(Drive(filter, [Role("two"), ": ping\n\n", Say("ab", "two"), Event("""{"error":{}}""")]));
        Assert.True(filter is { HasError: true, HasBegun: false });
        Assert.True(client.Log.Bytes.SequenceEqual(before));
        Assert.True(client.CanBeJoined);
    }

    [Fact]
    public void Continue_GoesOnBehindTheClientsText()
    {
        var got = Joined([Role(), Say("ab")], [Role("two"), Say("cd", "two"), Say("e", "two"), Finish("two"), Done], out var filter, JoinMode.Continue);
        Check(got, "abcde");
        Assert.True(filter.IsComplete);
    }

    [Fact]
    public void Continue_ThenReplay_ComparesWithTheWholeText()
    {
        using var client = new ClientStream(ApiShape.Chat, 1);
        using var first = new StreamFilter(client, JoinMode.None);
        var got = Drive(first, [Role(), Say("ab")], ends: false);
        using var second = new StreamFilter(client, JoinMode.Continue);
        got += Drive(second, [Role("two"), Say("cd", "two")], ends: false);
        using var third = new StreamFilter(client, JoinMode.Replay);
        got += Drive(third, [Role("two"), Say("abcde", "two"), Finish("two"), Done]);
        Check(got, "abcde");
        Assert.True(third is { IsComplete: true, HasMismatch: false });
    }

    [Fact]
    public void Replay_Completions_JoinTheirText()
    {
        using var client = new ClientStream(ApiShape.Completion, 1);
        using var first = new StreamFilter(client, JoinMode.None);
        using var filter = new StreamFilter(client, JoinMode.Replay);
        Drive(first, [Event("""{"id":"one","choices":[{"text":"ab","index":0,"finish_reason":null}]}""")], ends: false);
        var got = Drive(filter, [Event("""{"id":"two","choices":[{"text":"abc","index":0,"finish_reason":"stop"}]}"""), Done]);
        Assert.Equal("""data: {"id":"one","choices":[{"text":"c","index":0,"finish_reason":"stop"}]}""" + "\n\n" + Done, got);
    }

    private static void Check(string stream, string text, int roles = 1)
    {
        var read = ReferenceClient.Read(stream);
        Assert.Equal(text, read.Content);
        Assert.Equal((roles, 1, 0), (read.Roles, read.Dones, read.AfterDone));
        Assert.Equal(["one 1111 model-one"], read.Ids);
        Assert.Single(read.Finishes);
    }

    /// <summary>What the client gets of a stream that breaks after <paramref name="had"/> and one that is joined to it.</summary>
    private static string Joined(string[] had, string[] joined, out StreamFilter filter, JoinMode mode = JoinMode.Replay, int choices = 1)
    {
        using var client = new ClientStream(ApiShape.Chat, choices);
        using var first = new StreamFilter(client, JoinMode.None);
        var got = Drive(first, had, ends: false);
        using var second = filter = new StreamFilter(client, mode);
        return got + Drive(second, joined, new Chance(7));
    }
}
