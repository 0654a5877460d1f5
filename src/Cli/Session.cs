using System.Text.Json;
using System.Text.Json.Nodes;
using Roadbalancer.Cli.Api;
using Roadbalancer.Cli.Display;

namespace Roadbalancer.Cli;

/// <summary>One command's talk with the balancer: asks, and shows what comes as a table, as plain text or as JSON.</summary>
internal sealed class Session(ApiClient api, Terminal terminal, bool isJson)
{
    public ApiClient Api => api;

    public Terminal Terminal => terminal;

    public bool IsJson => isJson;

    /// <summary>Asks for <paramref name="path"/> and shows its data.</summary>
    public async Task<int> ShowAsync(string path, Action<JsonElement> show, CancellationToken cancellationToken)
    {
        var reply = await api.SendAsync(HttpMethod.Get, path, null, cancellationToken);
        if (reply.Problem is { } problem)
        {
            return terminal.Fail(problem);
        }

        if (isJson)
        {
            terminal.WriteJson(reply.Data);
        }
        else
        {
            show(reply.Data);
        }

        return ExitCode.Done;
    }

    /// <summary>Has something changed, and says so in the balancer's words.</summary>
    /// <param name="longest">How long the balancer may take for it; null for the usual time.</param>
    public async Task<int> ChangeAsync(
        HttpMethod method, string path, JsonObject? body, CancellationToken cancellationToken, TimeSpan? longest = null, Action<JsonElement>? show = null)
    {
        var reply = await api.SendAsync(method, path, body, cancellationToken, longest);
        if (reply.Problem is { } problem)
        {
            return terminal.Fail(problem);
        }

        if (isJson)
        {
            terminal.WriteJson(reply.Data);
            return ExitCode.Done;
        }

        terminal.Write(reply.Message ?? "Done.");
        show?.Invoke(reply.Data);
        if (reply.Data.Text("in_force") == "here")
        {
            terminal.Note("In force at this instance only, until Redis answers again.");
        }

        return ExitCode.Done;
    }
}
