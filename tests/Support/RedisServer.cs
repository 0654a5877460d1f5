using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Roadbalancer.Redis;
using Roadbalancer.Tests.Support;

[assembly: AssemblyFixture(typeof(SharedRedis))]

namespace Roadbalancer.Tests.Support;

/// <summary>A real redis-server of a test's own, on a free port of the loopback, with a folder that goes with it.</summary>
internal sealed class RedisServer : IAsyncDisposable
{
    private readonly string[] _settings;
    private readonly string _folder = Directory.CreateTempSubdirectory("roadbalancer-redis-").FullName;
    private Process? _process;

    private RedisServer(int port, string[] settings)
    {
        Port = port;
        _settings = settings;
    }

    public int Port { get; }

    public string Connection => $"127.0.0.1:{Port}";

    /// <summary>Starts a server; <paramref name="settings"/> are further arguments, <c>--requirepass secret</c> for instance.</summary>
    public static async Task<RedisServer> StartAsync(params string[] settings)
    {
        // Another process may take the port between the look and the start: then it is tried again.
        for (var tries = 0; ; tries++)
        {
            var server = new RedisServer(FreePort(), settings);
            try
            {
                await server.StartAgainAsync();
                return server;
            }
            catch (InvalidOperationException) when (tries < 5)
            {
                await server.DisposeAsync();
            }
        }
    }

    /// <summary>Starts the process on the same port, empty.</summary>
    public async Task StartAgainAsync()
    {
        string[] arguments = ["--port", $"{Port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", _folder, "--loglevel", "warning", .. _settings];
        _process = Process.Start(new ProcessStartInfo("redis-server", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        _process.OutputDataReceived += (_, _) => { };
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        var process = _process;
        await Await.Until(() => process.HasExited || Answers(), "redis-server answers");
        if (process.HasExited)
        {
            throw new InvalidOperationException($"redis-server ended with {process.ExitCode}.");
        }
    }

    /// <summary>Kills the process, as a crash would.</summary>
    public async Task KillAsync()
    {
        if (_process is { } process)
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
            process.Dispose();
            _process = null;
        }
    }

    /// <summary>Stops it from running without ending it (SIGSTOP), or lets it run again (SIGCONT).</summary>
    public async Task SignalAsync(string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", $"{_process!.Id}"]);
        await kill.WaitForExitAsync(CancellationToken.None);
    }

    /// <summary>Sends one command over a connection of its own; the reply as it comes, once it is there.</summary>
    public Task<string> SendAsync(params string[] command) => SendAllAsync(command);

    /// <summary>The same for several, one after the other.</summary>
    public async Task<string> SendAllAsync(params string[][] commands)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, Port, TestContext.Current.CancellationToken);
        var stream = client.GetStream();
        var text = new StringBuilder();
        foreach (var command in commands)
        {
            text.Append($"*{command.Length}\r\n");
            foreach (var word in command)
            {
                text.Append($"${Encoding.UTF8.GetByteCount(word)}\r\n{word}\r\n");
            }
        }

        await stream.WriteAsync(Encoding.UTF8.GetBytes(text.ToString()), TestContext.Current.CancellationToken);
        client.Client.Shutdown(SocketShutdown.Send);
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>A link of a test's own; patient, because test machines are busy.</summary>
    public RedisLink Link(TimeSpan? timeout = null) =>
        new(RedisAddress.Parse(Connection, out _)!, timeout ?? TimeSpan.FromSeconds(10), TimeProvider.System, NullLogger<RedisLink>.Instance);

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        Directory.Delete(_folder, recursive: true);
    }

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private bool Answers()
    {
        try
        {
            using var client = new TcpClient();
            client.Connect(IPAddress.Loopback, Port);
            client.ReceiveTimeout = 1_000;
            var stream = client.GetStream();
            stream.Write("PING\r\n"u8);
            return stream.ReadByte() is '+' or '-';
        }
        catch (Exception exception) when (exception is SocketException or IOException)
        {
            return false;
        }
    }
}

/// <summary>One server for all tests that leave it alone; each test has a key prefix of its own.</summary>
public sealed class SharedRedis : IAsyncLifetime
{
    private int _prefixes;

    internal RedisServer Server { get; private set; } = null!;

    internal RedisLink Link { get; private set; } = null!;

    internal string NextPrefix() => $"t{Interlocked.Increment(ref _prefixes)}:";

    public async ValueTask InitializeAsync()
    {
        Server = await RedisServer.StartAsync();
        Link = Server.Link();
        Assert.Null(await Link.ConnectAsync());
    }

    public async ValueTask DisposeAsync()
    {
        await Link.DisposeAsync();
        await Server.DisposeAsync();
    }
}
