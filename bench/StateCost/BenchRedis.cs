using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using StackExchange.Redis;

namespace Roadbalancer.StateCost;

/// <summary>A redis-server of the benchmark's own on a free port of the loopback, and what it says of its own work.</summary>
internal sealed class BenchRedis : IAsyncDisposable
{
    private readonly Process _process;
    private ConnectionMultiplexer _connection = null!;

    private BenchRedis(int port)
    {
        Port = port;
        _process = Process.Start(new ProcessStartInfo("redis-server", ["--port", $"{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning"])
        {
            RedirectStandardOutput = true,
        })!;
    }

    public int Port { get; }

    public string Connection => $"127.0.0.1:{Port}";

    public static async Task<BenchRedis> StartAsync()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        var redis = new BenchRedis(port);
        redis._connection = await ConnectionMultiplexer.ConnectAsync($"{redis.Connection},allowAdmin=true,abortConnect=true,connectRetry=20,connectTimeout=500");
        return redis;
    }

    /// <summary>What the server spent inside scripts a call since the last look, in µs of its own clock.</summary>
    public async Task<(double Microseconds, long Calls)> ScriptCostAsync()
    {
        foreach (var (key, value) in (await Server.InfoAsync("commandstats")).SelectMany(section => section))
        {
            if (key == "cmdstat_evalsha")
            {
                var parts = value.Split(',').Select(part => part.Split('=')).ToDictionary(part => part[0], part => part[1]);
                return (double.Parse(parts["usec_per_call"], CultureInfo.InvariantCulture), long.Parse(parts["calls"], CultureInfo.InvariantCulture));
            }
        }

        return (0, 0);
    }

    public Task ForgetCostAsync() => Server.ConfigResetStatisticsAsync();

    public Task FlushAsync() => Server.FlushAllDatabasesAsync();

    /// <summary>One client of redis-benchmark with the smallest script there is: median and 99th percentile in ms.</summary>
    public async Task<(double Median, double P99)> BenchmarkAsync(int calls)
    {
        var sha = Convert.ToHexStringLower(await Server.ScriptLoadAsync("return 1"));
        using var benchmark = Process.Start(new ProcessStartInfo(
            "redis-benchmark", ["-p", $"{Port}", "-c", "1", "-n", $"{calls}", "--csv", "EVALSHA", sha, "0"])
        { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var text = await benchmark.StandardOutput.ReadToEndAsync();
        var columns = text.Trim().Split('\n')[^1].Split(',').Select(column => column.Trim('"')).ToArray();
        return (double.Parse(columns[4], CultureInfo.InvariantCulture), double.Parse(columns[6], CultureInfo.InvariantCulture));
    }

    public async ValueTask DisposeAsync()
    {
        _connection.Dispose();
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private IServer Server => _connection.GetServer(_connection.GetEndPoints()[0]);
}
