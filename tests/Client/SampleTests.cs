using System.Diagnostics;
using Roadbalancer.Simulation;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Client;

/// <summary>The programs in samples/, each as a process over the demo's backends without their delays and failures.</summary>
public sealed class SampleTests : IAsyncLifetime
{
    private readonly List<RunningSimulation> _simulations = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Urls => string.Join(',', _simulations.Select(simulation => simulation.BaseUrl.AbsoluteUri));

    public async ValueTask InitializeAsync()
    {
        foreach (var profile in Demo.Profiles)
        {
            _simulations.Add(await SimulatedBackend.StartAsync(
                profile with { FirstTokenDelay = TimeSpan.Zero, TokensPerSecond = 0, FailureRatio = 0 }, TimeProvider.System, Token));
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var simulation in _simulations)
        {
            await simulation.DisposeAsync();
        }
    }

    [Fact]
    public async Task Chat_ThreeEndpoints_AsksAllOfThem()
    {
        var output = await RunAsync("Chat", [], ("LLM_ENDPOINTS", Urls));

        Assert.Equal(6, output.Split('\n').Count(line => line.Contains("You said: Question", StringComparison.Ordinal)));
        Assert.Equal(3, output.Split('\n').Count(line => line.EndsWith(": 2 requests, 100.00%", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Stream_ThreeEndpoints_PrintsTheWholeAnswer()
    {
        var output = await RunAsync("Stream", Urls.Split(','));

        Assert.StartsWith("You said: Tell me about load balancing.", output, StringComparison.Ordinal);
        Assert.Contains(" tokens in ", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OpenAiSdk_ThreeEndpoints_ChatsStreamsAndEmbeds()
    {
        var output = await RunAsync("OpenAiSdk", Urls.Split(','));

        Assert.Contains("You said: Hello!", output, StringComparison.Ordinal);
        Assert.Contains("You said: And again, in pieces.", output, StringComparison.Ordinal);
        Assert.Contains("2 vectors of 16", output, StringComparison.Ordinal);
    }

    private static async Task<string> RunAsync(string sample, string[] arguments, params (string Name, string Value)[] variables)
    {
        var program = Repository.PathOf("samples", sample, "bin", Repository.Configuration, "net10.0", $"Roadbalancer.Samples.{sample}.dll");
        var start = new ProcessStartInfo("dotnet", [program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in variables)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(Token);
        var errors = process.StandardError.ReadToEndAsync(Token);
        try
        {
            await Await.For(process.WaitForExitAsync(Token), $"the sample {sample} to end", TimeSpan.FromSeconds(60));
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }

        Assert.True(process.ExitCode == 0, await errors + await output);
        return await output;
    }
}
