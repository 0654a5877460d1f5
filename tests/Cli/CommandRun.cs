using System.Diagnostics;
using System.Text.Json;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Cli;

/// <summary>One run of the command as a process of its own: what it said on each stream, and its exit code.</summary>
internal sealed record CommandRun(int Code, string Output, string Error)
{
    private static readonly string Program = Path.Combine(AppContext.BaseDirectory, "Roadbalancer.Cli.dll");

    /// <summary>The output as JSON.</summary>
    public JsonElement Json => JsonDocument.Parse(Output).RootElement;

    /// <summary>The output's lines, without empty ones.</summary>
    public string[] Lines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Runs it against <paramref name="host"/>, told by the environment.</summary>
    public static Task<CommandRun> OnAsync(BalancerHost host, params string[] arguments) => AtAsync(host.Url.AbsoluteUri, arguments);

    public static Task<CommandRun> AtAsync(string url, params string[] arguments) => WithAsync([("ROADBALANCER_URL", url)], arguments);

    public static Task<CommandRun> WithAsync((string Name, string Value)[] environment, params string[] arguments) =>
        StartAsync("dotnet", [Program, .. arguments], environment);

    /// <summary>A run that must succeed without a word on the error stream.</summary>
    public static async Task<CommandRun> DoneAsync(BalancerHost host, params string[] arguments)
    {
        var run = await OnAsync(host, arguments);
        Assert.Equal((0, ""), (run.Code, run.Error));
        return run;
    }

    /// <summary>Runs it on a terminal of 80 by 24; the output is all that the terminal got.</summary>
    /// <param name="input">Typed once the output contains <paramref name="after"/>.</param>
    public static Task<CommandRun> OnTerminalAsync(BalancerHost host, (string Name, string Value)[] environment, string command, string? after = null, string? input = null) =>
        StartAsync("script", ["-qec", $"stty cols 80 rows 24; exec dotnet '{Program}' {command}", "/dev/null"],
            [("ROADBALANCER_URL", host.Url.AbsoluteUri), ("TERM", "xterm-256color"), ("COLUMNS", ""), ("LINES", ""), .. environment], after, input);

    public static async Task<CommandRun> StartAsync(string program, string[] arguments, (string Name, string Value)[] environment, string? after = null, string? input = null)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in ProgramProcess.CleanEnvironment([("NO_COLOR", ""), .. environment]))
        {
            start.Environment[name] = string.IsNullOrEmpty(value) ? null : value;
        }

        using var process = Process.Start(start)!;
        try
        {
            var output = ReadAsync(process, after, input);
            var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await Await.For(Task.WhenAll(output, error, process.WaitForExitAsync(TestContext.Current.CancellationToken)), $"the end of {string.Join(' ', arguments)}", TimeSpan.FromSeconds(60));
            return new(process.ExitCode, await output, await error);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }

    private static async Task<string> ReadAsync(Process process, string? after, string? input)
    {
        var text = new System.Text.StringBuilder();
        var buffer = new char[4096];
        while (await process.StandardOutput.ReadAsync(buffer, TestContext.Current.CancellationToken) is > 0 and var read)
        {
            text.Append(buffer, 0, read);
            if (input is not null && text.ToString().Contains(after!, StringComparison.Ordinal))
            {
                await process.StandardInput.WriteAsync(input);
                await process.StandardInput.FlushAsync(TestContext.Current.CancellationToken);
                input = null;
            }
        }

        return text.ToString();
    }
}
