using System.Diagnostics;
using System.Globalization;

namespace Roadbalancer.Bench;

/// <summary>A process that the benchmark started, with the children it forked: what the system accounts to them.</summary>
internal sealed class RunningProcess : IDisposable
{
    /// <summary>The unit of <c>/proc/PID/stat</c>, in microseconds: USER_HZ is 100 on every Linux.</summary>
    private const double TickUs = 10_000;

    private static readonly List<RunningProcess> All = [];

    private readonly Process _process;
    private bool _isDisposed;

    private RunningProcess(Process process)
    {
        _process = process;
        All.Add(this);
    }

    /// <summary>Ends what is left, however the benchmark ended.</summary>
    public static void EndAll() => All.ForEach(process => process.Dispose());

    /// <summary>Starts <paramref name="command"/>, pinned to <paramref name="core"/> where there are several.</summary>
    public static RunningProcess Start(int core, string command, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        string[] pinned = Cores > 1 ? ["taskset", "-c", core.ToString(CultureInfo.InvariantCulture), command, .. arguments] : [command, .. arguments];
        var start = new ProcessStartInfo(pinned[0], pinned.Skip(1)) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        var process = Process.Start(start)!;
        process.OutputDataReceived += static (_, _) => { };
        process.ErrorDataReceived += static (_, line) =>
        {
            if (line.Data is { Length: > 0 } text)
            {
                Console.Error.WriteLine(text);
            }
        };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return new(process);
    }

    /// <summary>Processors of the machine, whatever this process itself is pinned to.</summary>
    public static int Cores { get; } = File.ReadLines("/proc/cpuinfo").Count(line => line.StartsWith("processor", StringComparison.Ordinal));

    public bool HasExited => _process.HasExited;

    /// <summary>User and system time of the tree, in microseconds.</summary>
    public double CpuUs => Tree().Sum(pid => Stat(pid) is { } stat ? (long.Parse(stat[11], CultureInfo.InvariantCulture) + long.Parse(stat[12], CultureInfo.InvariantCulture)) * TickUs : 0);

    /// <summary>Resident memory of the tree, in KB.</summary>
    public long ResidentKb => Tree().Sum(pid => StatusKb(pid, "VmRSS:"));

    /// <summary>The most resident memory that the tree's processes ever had, in KB.</summary>
    public long PeakKb => Tree().Sum(pid => StatusKb(pid, "VmHWM:"));

    /// <summary>Open file descriptors of the tree.</summary>
    public int Handles => Tree().Sum(pid => Directory.Exists($"/proc/{pid}/fd") ? Directory.GetFiles($"/proc/{pid}/fd").Length : 0);

    public void Dispose()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit(5000);
        }

        _process.Dispose();
    }

    private List<int> Tree()
    {
        var tree = new List<int> { _process.Id };
        for (var next = 0; next < tree.Count; next++)
        {
            var children = $"/proc/{tree[next]}/task/{tree[next]}/children";
            if (File.Exists(children))
            {
                tree.AddRange(File.ReadAllText(children).Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(pid => int.Parse(pid, CultureInfo.InvariantCulture)));
            }
        }

        return tree;
    }

    /// <summary>The fields behind the command's name, whose blanks and brackets are its own.</summary>
    private static string[]? Stat(int pid)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{pid}/stat");
            return text[(text.LastIndexOf(')') + 2)..].Split(' ');
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static long StatusKb(int pid, string name)
    {
        try
        {
            var line = File.ReadLines($"/proc/{pid}/status").First(line => line.StartsWith(name, StringComparison.Ordinal));
            return long.Parse(line[name.Length..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return 0;
        }
    }
}
