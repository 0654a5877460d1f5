using System.Text.Json;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Faults;

/// <summary>Streams in pieces, under an identity of their own, so that a test sees whose event it got.</summary>
internal static class Streams
{
    /// <summary>The whole chat stream of <paramref name="pieces"/>, one event each, as backend <paramref name="who"/> tells it; with usage when asked for.</summary>
    public static UpstreamScript Whole(string who, params string[] pieces) => async (request, connection, _) =>
    {
        await connection.BeginStreamAsync();
        foreach (var data in Begin(who, pieces).Append(ScriptedChat.Finish("stop", who, "id-" + who)))
        {
            await connection.EventAsync(data);
        }

        if (request.WantsUsage)
        {
            await connection.EventAsync(ScriptedChat.UsageChunk(string.Concat(pieces), who, "id-" + who));
        }

        await connection.DoneAsync();
        await connection.EndAsync();
    };

    /// <summary>The beginning of that stream, and a real RST.</summary>
    public static UpstreamScript Cut(string who, params string[] pieces) => Scripts.StreamThen(Begin(who, pieces), connection => connection.ResetAsync());

    /// <summary>The role and the pieces, without an end.</summary>
    public static IEnumerable<string> Begin(string who, params string[] pieces) =>
        [ScriptedChat.Role(who, "id-" + who), .. pieces.Select(piece => ScriptedChat.Content(piece, who, "id-" + who))];

    /// <summary>A chat chunk with these choices.</summary>
    public static string Chunk(string who, params object[] choices) => JsonSerializer.Serialize(new
    {
        id = "id-" + who,
        @object = "chat.completion.chunk",
        created = ScriptedChat.Created,
        model = who,
        choices,
    });

    /// <summary>A choice's delta.</summary>
    public static object Delta(object delta, int index = 0, string? finish = null) => new { index, delta, finish_reason = finish };

    /// <summary>A delta of a tool call: its id and name come first, its arguments in pieces.</summary>
    public static object Call(string? id, string? name, string arguments, int index = 0) => Delta(new
    {
        tool_calls = new[]
        {
            id is null ? (object)new { index, function = new { arguments } } : new { index, id, type = "function", function = new { name, arguments } },
        },
    });

    /// <summary>These events, <c>[DONE]</c>, and a clean end.</summary>
    public static UpstreamScript WholeOf(params string[] events) => Scripts.StreamThen([.. events, "[DONE]"], connection => connection.EndAsync());

    /// <summary>These events and a real RST.</summary>
    public static UpstreamScript CutOf(params string[] events) => Scripts.StreamThen(events, connection => connection.ResetAsync());
}
