using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Roadbalancer.StateCost;

/// <summary>Processor time that the whole program takes for a request, with its state in memory or in Redis, in front of simulated backends.</summary>
internal static class ProgramCost
{
    private const int Warm = 500;
    private const int Requests = 3_000;
    private const int Clients = 8;

    /// <summary>µs of processor time a request, user and system.</summary>
    public static async Task<double> MeasureAsync(int backends, params (string Name, string Value)[] settings)
    {
        var ports = new[] { FreePort(), FreePort() };
        using var upstream = Start(["--simulate", $"{ports[1]}"], []);
        var url = $"http://127.0.0.1:{ports[1]}";
        var list = string.Join(',', Enumerable.Range(0, backends).Select(i => $$"""{"name":"b{{i}}","url":"{{url}}","model_name":"demo-model"}"""));
        using var program = Start(["--port", $"{ports[0]}"], [("LLM_BACKENDS", $"[{list}]"), ("LLM_HEALTH_CHECK", "false"), ("LLM_STRATEGY", "least_connections"), .. settings]);
        try
        {
            using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri($"http://127.0.0.1:{ports[0]}") };
            await ReadyAsync(http);
            await ServeAsync(http, Warm);
            var before = Used(program);
            await ServeAsync(http, Requests);
            return (Used(program) - before).TotalMicroseconds / Requests;
        }
        finally
        {
            program.Kill();
            upstream.Kill();
        }
    }

    private static TimeSpan Used(Process process)
    {
        process.Refresh();
        return process.TotalProcessorTime;
    }

    private static Process Start(string[] arguments, (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "Roadbalancer.Functions.dll"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        var process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private static async Task ReadyAsync(HttpClient http)
    {
        for (var tries = 0; tries < 200; tries++)
        {
            try
            {
                using var answer = await http.GetAsync(new Uri("/health", UriKind.Relative));
                return;
            }
            catch (HttpRequestException)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
            }
        }
    }

    private static async Task ServeAsync(HttpClient http, int requests)
    {
        var left = requests;
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(async _ =>
        {
            while (Interlocked.Decrement(ref left) >= 0)
            {
                using var content = new StringContent("""{"model":"demo-model","max_tokens":3,"messages":[{"role":"user","content":"hi"}]}""", Encoding.UTF8, "application/json");
                using var answer = await http.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), content);
                if (answer.StatusCode != HttpStatusCode.OK)
                {
                    throw new InvalidOperationException($"{answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}");
                }
            }
        }));
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
