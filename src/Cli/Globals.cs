using System.CommandLine;
using Roadbalancer.Cli.Api;
using Roadbalancer.Cli.Display;

namespace Roadbalancer.Cli;

/// <summary>The options that every command has, and the session that they open.</summary>
internal sealed class Globals(Terminal terminal)
{
    private readonly Option<string> _serverUrl = new("--server-url")
    {
        Description = "Where the balancer is. Default: ROADBALANCER_URL, else HOST and PORT, else http://127.0.0.1:5000",
        HelpName = "URL",
        Recursive = true,
    };

    private readonly Option<string> _apiKey = new("--api-key")
    {
        Description = "An admin key, or env:NAME for one in a variable. Default: ROADBALANCER_ADMIN_KEY",
        HelpName = "KEY",
        Recursive = true,
    };

    private readonly Option<bool> _json = new("--json") { Description = "Print the data as JSON", Recursive = true };

    public Terminal Terminal => terminal;

    public void AddTo(Command root)
    {
        root.Add(_serverUrl);
        root.Add(_apiKey);
        root.Add(_json);
    }

    public bool IsJson(ParseResult line) => line.GetValue(_json);

    /// <summary>An action that needs the balancer: opens the session, or tells what is wrong with the options.</summary>
    public Func<ParseResult, CancellationToken, Task<int>> With(Func<Session, ParseResult, CancellationToken, Task<int>> action) => async (line, cancellationToken) =>
    {
        if (ServerAddress.Find(line.GetValue(_serverUrl), Environment.GetEnvironmentVariable, out var problem) is not { } server
            || !Secret.TryRead("--api-key", line.GetValue(_apiKey) ?? Variable("ROADBALANCER_ADMIN_KEY"), out var key, out problem))
        {
            return terminal.Usage(problem, CommandTree.PathOf(line.CommandResult.Command));
        }

        using var api = new ApiClient(server, key);
        return await action(new Session(api, terminal, IsJson(line)), line, cancellationToken);
    };

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
