using System.Globalization;
using System.Text.Json;

namespace Roadbalancer.Tests.Support;

/// <summary>Ready-made scripts for <see cref="ScriptedUpstream"/>.</summary>
internal static class Scripts
{
    /// <summary>Never a byte, until the peer closes.</summary>
    public static UpstreamScript Hang { get; } = (_, connection, _) => connection.HangAsync();

    /// <summary>A real RST instead of an answer.</summary>
    public static UpstreamScript ResetBeforeHeaders { get; } = (_, connection, _) => connection.ResetAsync();

    /// <summary>A FIN instead of an answer.</summary>
    public static UpstreamScript CloseBeforeHeaders { get; } = (_, connection, _) => connection.CloseAsync();

    /// <summary>200 with nothing in it: an event stream without events, or an empty JSON body.</summary>
    public static UpstreamScript EmptyAnswer { get; } = async (request, connection, _) =>
    {
        if (!request.WantsStream)
        {
            await connection.RespondAsync(200, "");
            return;
        }

        await connection.BeginStreamAsync();
        await connection.EndAsync();
    };

    /// <summary>A whole chat answer of the words in <paramref name="text"/>: a stream of one chunk a word when the request asks for one, else one body.</summary>
    public static UpstreamScript Chat(string text, string model = "scripted-model") => async (request, connection, _) =>
    {
        if (!request.WantsStream)
        {
            await connection.RespondAsync(200, ScriptedChat.Body(text, model));
            return;
        }

        await connection.BeginStreamAsync();
        foreach (var chunk in ScriptedChat.Events(text, model, request.WantsUsage))
        {
            await connection.EventAsync(chunk);
        }

        await connection.DoneAsync();
        await connection.EndAsync();
    };

    /// <summary>A stream of <paramref name="events"/> (the data of each) and then the fault, such as <c>c => c.ResetAsync()</c>.</summary>
    public static UpstreamScript StreamThen(IEnumerable<string> events, Func<UpstreamConnection, Task> fault) => async (_, connection, _) =>
    {
        await connection.BeginStreamAsync();
        foreach (var data in events)
        {
            await connection.EventAsync(data);
        }

        await fault(connection);
    };

    /// <summary>An error status with OpenAI's error object, and a Retry-After in seconds when one is given.</summary>
    public static UpstreamScript Status(int status, int? retryAfter = null) =>
        retryAfter is { } seconds
            ? ErrorBody(status, "scripted", $"Scripted status {status}.", ("Retry-After", seconds.ToString(CultureInfo.InvariantCulture)))
            : ErrorBody(status, "scripted", $"Scripted status {status}.");

    /// <summary>An error status with OpenAI's error object.</summary>
    public static UpstreamScript ErrorBody(int status, string? code, string message, params (string Name, string Value)[] headers) =>
        Respond(status, ScriptedChat.Error(code, message), headers);

    /// <summary>Always this answer, with a Content-Length.</summary>
    public static UpstreamScript Respond(int status, string body, params (string Name, string Value)[] headers) =>
        (_, connection, _) => connection.RespondAsync(status, body, "application/json", headers);

    /// <summary>The nth request gets the nth script; the last one repeats. Counts over all connections.</summary>
    public static UpstreamScript Sequence(params UpstreamScript[] scripts)
    {
        var turn = -1;
        return (request, connection, cancellationToken) =>
        {
            var script = scripts[Math.Min(Interlocked.Increment(ref turn), scripts.Length - 1)];
            return script(request, connection, cancellationToken);
        };
    }

    /// <summary>Waits for <paramref name="gate"/> before anything is sent, so that a test decides the moment.</summary>
    public static UpstreamScript After(Task gate, UpstreamScript script) => async (request, connection, cancellationToken) =>
    {
        await gate.WaitAsync(cancellationToken);
        await script(request, connection, cancellationToken);
    };

    /// <summary>The answer to <c>GET /v1/models</c>.</summary>
    public static UpstreamScript Models(params string[] ids) => Respond(200, JsonSerializer.Serialize(new
    {
        @object = "list",
        data = ids.Select(id => new { id, @object = "model", created = 1_700_000_000, owned_by = "scripted" }),
    }));
}
