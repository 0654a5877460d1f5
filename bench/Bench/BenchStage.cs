using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Roadbalancer.Bench;

/// <summary>A subject that runs and has answered.</summary>
/// <param name="FirstAnswerMs">From starting the process to the end of its first 200.</param>
internal sealed record StartedSubject(string Name, int Port, RunningProcess Process, double FirstAnswerMs) : IDisposable
{
    public void Dispose() => Process.Dispose();
}

/// <summary>What stays the same during a run: the folder of its files, the backends, Redis.</summary>
internal sealed class BenchStage(Results results) : IDisposable
{
    private readonly List<RunningProcess> _servers = [];
    private readonly HashSet<string> _absent = [];
    private readonly int _redis = Subjects.FreePort();

    public string Folder { get; } = Directory.CreateTempSubdirectory("roadbalancer-bench").FullName;

    /// <summary>Where whole answers come from.</summary>
    public int[] Backends { get; } = [Subjects.FreePort(), Subjects.FreePort(), Subjects.FreePort()];

    /// <summary>Where streams come from, while <see cref="StartStreams"/> runs.</summary>
    public int[] StreamBackends { get; } = [Subjects.FreePort(), Subjects.FreePort(), Subjects.FreePort()];

    public async Task BeginAsync()
    {
        _servers.Add(Subjects.StartBackends(Backends, Folder));
        _servers.Add(Subjects.StartRedis(_redis, Folder));
        await UntilAsync(() => AnswersAsync(Backends[0]), "the backends");
    }

    public RunningProcess StartStreams() => RunningProcess.Start(RunningProcess.Cores - 1, "dotnet",
        [typeof(BenchStage).Assembly.Location, "stream", .. StreamBackends.Select(port => port.ToString(CultureInfo.InvariantCulture))]);

    public async Task<List<StartedSubject>> StartAllAsync(IEnumerable<Subject> subjects, int[] backends)
    {
        var running = new List<StartedSubject>();
        foreach (var subject in subjects)
        {
            if (await TryStartAsync(subject, backends) is { } started)
            {
                running.Add(started);
            }
        }

        return running;
    }

    /// <summary>Starts it and waits for its first answer; null when it does not start and may be absent.</summary>
    public async Task<StartedSubject?> TryStartAsync(Subject subject, int[] backends)
    {
        if (_absent.Contains(subject.Name))
        {
            return null;
        }

        var port = Subjects.FreePort();
        var since = TimeProvider.System.GetTimestamp();
        var process = subject.Start(port, backends, Folder, _redis);
        try
        {
            await UntilAsync(async () => process.HasExited ? throw new InvalidOperationException($"{subject.Name} ended at once.") : await AnswersAsync(port), subject.Name);
            return new(subject.Name, port, process, TimeProvider.System.GetElapsedTime(since).TotalMilliseconds);
        }
        catch (InvalidOperationException exception) when (subject.MayBeAbsent)
        {
            process.Dispose();
            _absent.Add(subject.Name);
            results.Remarks.Add($"{subject.Name}: n/a, {exception.Message}");
            return null;
        }
    }

    public void Dispose()
    {
        _servers.ForEach(server => server.Dispose());
        Directory.Delete(Folder, recursive: true);
    }

    private static async Task UntilAsync(Func<Task<bool>> isSo, string what)
    {
        var since = TimeProvider.System.GetTimestamp();
        while (!await isSo())
        {
            if (TimeProvider.System.GetElapsedTime(since) > TimeSpan.FromSeconds(20))
            {
                throw new InvalidOperationException($"No answer from {what}.");
            }

            await Pause.ForAsync(TimeSpan.FromMilliseconds(2));
        }
    }

    /// <summary>Whether a plain chat request gets its 200.</summary>
    private static async Task<bool> AnswersAsync(int port)
    {
        const string Body = "{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{}]}";
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 2000 };
        var answer = new byte[4096];
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, port);
            await socket.SendAsync(Encoding.ASCII.GetBytes(
                $"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAuthorization: Bearer {Subjects.ClientKey}\r\nContent-Length: {Body.Length}\r\n\r\n{Body}"));
            var read = await socket.ReceiveAsync(answer);
            return Encoding.ASCII.GetString(answer, 0, read).StartsWith("HTTP/1.1 200", StringComparison.Ordinal);
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
