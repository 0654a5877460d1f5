using System.Globalization;
using System.Text.Json;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Functions;

/// <summary>The published program in a process of its own, started as the Functions host starts it: folder, arguments and environment of <c>handler-startup.json</c>.</summary>
internal sealed class HostedProgram : IAsyncDisposable
{
    private readonly ChildProcess _child;

    private HostedProgram(ChildProcess child, int port)
    {
        _child = child;
        Http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = TimeSpan.FromSeconds(60) };
    }

    /// <summary>The host's connection to it.</summary>
    public HttpClient Http { get; }

    /// <summary>All it has said.</summary>
    public string Output => _child.Output;

    /// <summary>Starts it and waits until it listens.</summary>
    /// <param name="folder">Where it was published.</param>
    /// <param name="settings">App settings, which the host hands on as variables.</param>
    public static async Task<HostedProgram> StartAsync(string folder, params (string Name, string Value)[] settings)
    {
        var port = RedisServer.FreePort();
        using var json = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(Capture.Folder, "handler-startup.json"), TestContext.Current.CancellationToken));
        var environment = ProgramProcess.CleanEnvironment(settings);
        foreach (var variable in json.RootElement.GetProperty("environment").EnumerateObject())
        {
            environment[variable.Name] = variable.Value.GetProperty("value").GetString()!.Replace("<app root>", folder, StringComparison.Ordinal);
        }

        environment["FUNCTIONS_CUSTOMHANDLER_PORT"] = environment["FUNCTIONS_HTTPWORKER_PORT"] = port.ToString(CultureInfo.InvariantCulture);
        using var host = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(folder, "host.json"), TestContext.Current.CancellationToken));
        var description = host.RootElement.GetProperty("customHandler").GetProperty("description");
        var program = new HostedProgram(
            ChildProcess.Start(
                Path.Combine(folder, description.GetProperty("defaultExecutablePath").GetString()!),
                description.GetProperty("arguments").EnumerateArray().Select(argument => argument.GetString()!),
                Path.Combine(folder, description.GetProperty("workingDirectory").GetString()!), environment),
            port);
        await program._child.SaysAsync($"Listening on http://127.0.0.1:{port};");
        return program;
    }

    /// <summary>Sends a captured call again.</summary>
    public Task<HttpResponseMessage> SendAsync(Capture capture, string? path = null, string? body = null) =>
        Http.SendAsync(capture.ToRequest(path, body), HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);

    public Task SaysAsync(string text) => _child.SaysAsync(text);

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _child.DisposeAsync();
    }
}
