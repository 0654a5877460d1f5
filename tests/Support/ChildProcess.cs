using System.Diagnostics;
using System.Text;

namespace Roadbalancer.Tests.Support;

/// <summary>A program that a test starts: its output as it comes, its exit code, and its end when the test ends.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    /// <summary>What a loaded machine may need to start a runtime.</summary>
    public static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly Lock _lock = new();

    private ChildProcess(Process process) => _process = process;

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>Standard output and error so far, line by line in the order of arrival.</summary>
    public string Output
    {
        get
        {
            lock (_lock)
            {
                return _output.ToString();
            }
        }
    }

    /// <param name="folder">Its working folder.</param>
    /// <param name="environment">Variables over this process's own; a null value removes one.</param>
    public static ChildProcess Start(string program, IEnumerable<string> arguments, string folder, IReadOnlyDictionary<string, string?>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>())
        {
            start.Environment[name] = value;
        }

        var child = new ChildProcess(new Process { StartInfo = start });
        child._process.OutputDataReceived += (_, line) => child.Add(line.Data);
        child._process.ErrorDataReceived += (_, line) => child.Add(line.Data);
        child._process.Start();
        child._process.BeginOutputReadLine();
        child._process.BeginErrorReadLine();
        return child;
    }

    /// <summary>The exit code, once all output has been read.</summary>
    public async Task<int> ExitCodeAsync(TimeSpan? limit = null)
    {
        await Await.For(_process.WaitForExitAsync(TestContext.Current.CancellationToken), $"the end of {_process.StartInfo.FileName}; so far it said: {Output}", limit ?? StartLimit);
        return _process.ExitCode;
    }

    /// <summary>Waits until the output contains <paramref name="text"/>.</summary>
    public Task SaysAsync(string text, TimeSpan? limit = null) => UntilAsync(output => output.Contains(text, StringComparison.Ordinal), $"it says «{text}»", limit);

    /// <summary>Waits until the output satisfies <paramref name="condition"/>; a program that ends before fails the test at once, with what it said.</summary>
    public async Task UntilAsync(Func<string, bool> condition, string what, TimeSpan? limit = null)
    {
        await Await.Until(() => condition(Output) || _process.HasExited, what, limit ?? StartLimit);
        if (!condition(Output))
        {
            var code = await ExitCodeAsync();
            Assert.True(condition(Output), $"The program ended with {code} before {what}. It said:\n{Output}");
        }
    }

    /// <summary>SIGTERM, as an operator or a platform stops it.</summary>
    public void Terminate()
    {
        using var kill = Process.Start(new ProcessStartInfo("bash", ["-c", "kill -TERM " + Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]));
    }

    /// <summary>SIGKILL, as a machine that fails does it.</summary>
    public async Task KillAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        await _process.WaitForExitAsync(CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _process.Dispose();
    }

    private void Add(string? line)
    {
        if (line is not null)
        {
            lock (_lock)
            {
                _output.Append(line).Append('\n');
            }
        }
    }
}
