using System.Text.Json;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Soak;

/// <summary>An upstream that answers most requests well and gives the rest a fault of a random class.</summary>
internal sealed class SoakUpstream : IAsyncDisposable
{
    /// <summary>Each class of fault with how many of ten thousand requests meet it.</summary>
    private static readonly (string Fault, int Weight)[] Faults =
    [
        ("reset", 60), ("close", 30), ("silence", 20), ("slow first token", 30), ("rate limit", 8), ("rate limit for a second", 8), ("no quota", 3),
        ("500", 60), ("502", 20), ("503", 40), ("504", 20), ("529", 20), ("401", 3), ("403", 3), ("no model", 6), ("400", 20), ("422", 10),
        ("too long", 10), ("filtered", 10), ("cut", 120), ("ended", 80), ("stalled", 30), ("malformed event", 100), ("no [DONE]", 100),
        ("early [DONE]", 40), ("error event first", 40), ("error event", 40), ("empty", 40),
    ];

    private readonly Chance _chance;
    private readonly Tally _faults;

    public SoakUpstream(Chance chance, Tally faults)
    {
        _chance = chance;
        _faults = faults;
        Server = ScriptedUpstream.Start((request, connection, gone) => AnswerAsync(request, connection, gone));
        Server.Keeps = false;
    }

    public ScriptedUpstream Server { get; }

    public ValueTask DisposeAsync() => Server.DisposeAsync();

    private async Task AnswerAsync(UpstreamRequest request, UpstreamConnection connection, CancellationToken gone)
    {
        var asked = SoakRequest.Read(request.Property("messages")!.Value, request.WantsStream);
        var chance = new Chance(_chance.NextBits());
        var fault = Draw(chance);
        _faults.Add(fault);
        switch (fault)
        {
            case "reset":
                await connection.ResetAsync();
                break;
            case "close":
                await connection.CloseAsync();
                break;
            case "silence":
                await connection.HangAsync();
                break;
            case "rate limit":
                await connection.RespondAsync(429, ScriptedChat.Error("rate_limit_exceeded", "Too many."));
                break;
            case "rate limit for a second":
                await connection.RespondAsync(429, ScriptedChat.Error("rate_limit_exceeded", "Too many."), "application/json", ("Retry-After", "1"));
                break;
            case "no quota":
                await connection.RespondAsync(429, ScriptedChat.Error("insufficient_quota", "Used up."));
                break;
            case "no model":
                await connection.RespondAsync(404, ScriptedChat.Error("model_not_found", "No such model."));
                break;
            case "too long":
                await connection.RespondAsync(400, ScriptedChat.Error("context_length_exceeded", "Too long."));
                break;
            case "filtered":
                await connection.RespondAsync(400, ScriptedChat.Error("content_filter", "Filtered."));
                break;
            case [>= '4' and <= '5', _, _]:
                await connection.RespondAsync(int.Parse(fault, null), ScriptedChat.Error(null, "Fault."));
                break;
            default:
                await (asked.Stream ? StreamAsync(asked, fault, connection, chance, gone) : WholeAsync(asked, fault, connection, chance, gone));
                break;
        }
    }

    private static string Draw(Chance chance)
    {
        var at = chance.Next(10_000);
        foreach (var (fault, weight) in Faults)
        {
            if ((at -= weight) < 0)
            {
                return fault;
            }
        }

        return "none";
    }

    private static async Task WholeAsync(SoakRequest asked, string fault, UpstreamConnection connection, Chance chance, CancellationToken gone)
    {
        var body = ScriptedChat.Body(asked.Text(chance));
        switch (fault)
        {
            case "cut":
                await connection.RawAsync(System.Text.Encoding.UTF8.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{body}"));
                await connection.ResetAsync();
                break;
            case "ended":
                await connection.ShortBodyAsync(5000, body);
                break;
            case "malformed event":
                await connection.RespondAsync(200, body[..^2]);
                break;
            case "error event" or "error event first":
                await connection.RespondAsync(200, ScriptedChat.Error("server_error", "Fault."));
                break;
            case "empty":
                await connection.RespondAsync(200, "");
                break;
            case "stalled":
                await connection.HangAsync();
                break;
            default:
                await PauseAsync(chance.Next(20), gone);
                await connection.RespondAsync(200, body);
                break;
        }
    }

    private static async Task StreamAsync(SoakRequest asked, string fault, UpstreamConnection connection, Chance chance, CancellationToken gone)
    {
        var pieces = Cut(asked.Text(chance), chance);
        var breaksAt = chance.Next(pieces.Count);
        await connection.BeginStreamAsync();
        if (fault == "slow first token")
        {
            await PauseAsync(3000, gone);
        }

        if (fault is "error event first")
        {
            await connection.EventAsync(ScriptedChat.Error("server_error", "Fault."));
        }

        if (fault is "empty" or "error event first")
        {
            await connection.EndAsync();
            return;
        }

        await connection.EventAsync(ScriptedChat.Role());
        for (var i = 0; i < pieces.Count; i++)
        {
            if (i == breaksAt && await BreakAsync(fault, connection))
            {
                return;
            }

            await connection.EventAsync(Chunk(pieces[i], asked.HasLogprobs));
            await PauseAsync(chance.Next(20) == 0 ? 5 : 0, gone);
        }

        await connection.EventAsync(ScriptedChat.Finish());
        if (fault != "no [DONE]")
        {
            await connection.DoneAsync();
        }

        await connection.EndAsync();
    }

    /// <summary>True when the stream is over.</summary>
    private static async Task<bool> BreakAsync(string fault, UpstreamConnection connection)
    {
        switch (fault)
        {
            case "cut":
                await connection.ResetAsync();
                return true;
            case "ended":
                await connection.EndAsync();
                return true;
            case "early [DONE]":
                await connection.DoneAsync();
                await connection.EndAsync();
                return true;
            case "stalled":
                await connection.HangAsync();
                return true;
            case "error event":
                await connection.EventAsync(ScriptedChat.Error("server_error", "Fault."));
                await connection.EndAsync();
                return true;
            case "malformed event":
                await connection.EventAsync("{\"choices\":[{\"delta\":{\"content\":");
                return false;
            default:
                return false;
        }
    }

    private static string Chunk(string text, bool hasLogprobs) => hasLogprobs
        ? ScriptedChat.Content(text).Replace("\"logprobs\":null", "\"logprobs\":{\"content\":[]}", StringComparison.Ordinal)
        : ScriptedChat.Content(text);

    private static List<string> Cut(string text, Chance chance)
    {
        var runes = text.EnumerateRunes().Select(rune => rune.ToString()).ToArray();
        var pieces = new List<string>();
        for (int at = 0, take; at < runes.Length; at += take)
        {
            take = Math.Min(runes.Length - at, 1 + chance.Next(24));
            pieces.Add(string.Concat(runes.AsSpan(at, take)!));
        }

        return pieces;
    }

    private static Task PauseAsync(int milliseconds, CancellationToken gone) =>
        milliseconds == 0 ? Task.CompletedTask : Task.Delay(TimeSpan.FromMilliseconds(milliseconds), TimeProvider.System, gone);
}
