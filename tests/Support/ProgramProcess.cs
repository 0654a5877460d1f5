using System.Text.RegularExpressions;

namespace Roadbalancer.Tests.Support;

/// <summary>The program itself in a process of its own, in an empty working folder, with no settings but those that a test gives it.</summary>
internal sealed partial class ProgramProcess : IAsyncDisposable
{
    /// <summary>Variables that would configure it; those of whoever runs the tests must not.</summary>
    private static readonly string[] Prefixes = ["LLM_", "ROADBALANCER_", "LOAD_BALANCE_", "VLLM_", "ASPNETCORE_", "FUNCTIONS_", "HEALTH_CHECK_", "REDIS_", "OTEL_"];

    private static readonly string[] Names = ["HOST", "PORT", "MODEL_NAME", "API_KEY", "MAX_RETRIES", "FAILURE_THRESHOLD"];

    private readonly ChildProcess _child;
    private readonly string _folder;
    private HttpClient? _http;

    private ProgramProcess(ChildProcess child, string folder)
    {
        _child = child;
        _folder = folder;
    }

    /// <summary>The working folder; deleted with this object.</summary>
    public string Folder => _folder;

    /// <summary>All it has said, on either stream.</summary>
    public string Output => _child.Output;

    public int Id => _child.Id;

    public bool HasExited => _child.HasExited;

    /// <summary>True from the moment at which it is about to be killed.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>A client of it; only after <see cref="ListenAsync"/>.</summary>
    public HttpClient Http => _http ?? throw new InvalidOperationException("ListenAsync comes first.");

    /// <summary>Starts it. Without <c>--port</c>, <c>--urls</c> or <c>--simulate</c> it gets <c>--port 0</c>.</summary>
    /// <param name="arguments">Separated by spaces.</param>
    /// <param name="config">Content of <c>config.yaml</c> in the working folder; null for none.</param>
    public static ProgramProcess Start(string arguments = "", string? config = null, params (string Name, string Value)[] environment)
    {
        var folder = Directory.CreateTempSubdirectory("roadbalancer-process-").FullName;
        if (config is not null)
        {
            File.WriteAllText(Path.Combine(folder, "config.yaml"), config);
        }

        var all = arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries).ToList();
        if (!all.Exists(argument => argument is "--port" or "--urls" or "--simulate"))
        {
            all.AddRange(["--port", "0"]);
        }

        var program = Path.Combine(AppContext.BaseDirectory, "Roadbalancer.Functions.dll");
        return new(ChildProcess.Start("dotnet", [program, .. all], folder, CleanEnvironment(environment)), folder);
    }

    /// <summary>Variables for a child: none that configures the program but <paramref name="environment"/>.</summary>
    public static Dictionary<string, string?> CleanEnvironment(params ReadOnlySpan<(string Name, string Value)> environment)
    {
        var variables = Environment.GetEnvironmentVariables().Keys.Cast<string>()
            .Where(name => Names.Contains(name) || Array.Exists(Prefixes, prefix => name.StartsWith(prefix, StringComparison.Ordinal)))
            .ToDictionary(name => name, _ => (string?)null, StringComparer.Ordinal);
        foreach (var (name, value) in environment)
        {
            variables[name] = value;
        }

        return variables;
    }

    /// <summary>Waits until it says where it listens; returns itself.</summary>
    public async Task<ProgramProcess> ListenAsync()
    {
        await _child.UntilAsync(output => Listening().IsMatch(output), "it says where it listens");
        _http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri(Listening().Match(Output).Groups[1].Value), Timeout = TimeSpan.FromSeconds(60) };
        return this;
    }

    public Task SaysAsync(string text) => _child.SaysAsync(text);

    public Task<int> ExitCodeAsync() => _child.ExitCodeAsync(TimeSpan.FromSeconds(60));

    /// <inheritdoc cref="ChildProcess.Terminate"/>
    public void Terminate() => _child.Terminate();

    public async Task<HttpResponseMessage> ChatAsync(bool stream = false, string model = "m") =>
        await Http.SendAsync(new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent(BalancerHost.ChatJson(stream, model), System.Text.Encoding.UTF8, "application/json"),
        }, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);

    /// <summary>SIGKILL, with its clients still waiting.</summary>
    public async Task KillAsync()
    {
        HasEnded = true;
        await _child.KillAsync();
    }

    public async ValueTask DisposeAsync()
    {
        HasEnded = true;
        _http?.Dispose();
        await _child.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [GeneratedRegex(@"Listening on (http://[^\s;]+)")]
    private static partial Regex Listening();
}
