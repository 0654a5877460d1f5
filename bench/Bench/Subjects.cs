using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Roadbalancer.Bench;

/// <summary>One of those that are compared: how it is started in front of three backends.</summary>
/// <param name="Name">As the table has it.</param>
/// <param name="Start">From its own port, the backends' ports, a folder for its files and the port of Redis; writes what it needs, and starts it.</param>
internal sealed record Subject(string Name, Func<int, int[], string, int, RunningProcess> Start)
{
    /// <summary>Neither a target nor a yardstick hangs on it: left out where it does not start.</summary>
    public bool MayBeAbsent { get; init; }
}

/// <summary>nginx, haproxy, the plain forwarder, and the balancer in its three ways to keep state.</summary>
internal static class Subjects
{
    public const string ClientKey = "bench-key-0123456789";

    public const string Nginx = "nginx";

    public const string Plain = "plain ASP.NET forwarder";

    public const string Memory = "roadbalancer, memory";

    /// <summary>The core of what is measured; load, backends and Redis have the last one.</summary>
    private const int Core = 0;

    /// <summary>Where bench.sh published the program to.</summary>
    private static readonly string Published = Environment.GetEnvironmentVariable("BENCH_APP") ?? throw new InvalidOperationException("Start it by bench.sh.");

    /// <summary>Where an older build was published to, to be compared in the same rounds; null for none.</summary>
    private static readonly string? Before = Environment.GetEnvironmentVariable("BENCH_BEFORE");

    public static IReadOnlyList<Subject> All { get; } =
    [
        new(Nginx, StartNginx),
        new("haproxy", StartHaproxy),
        new(Plain, (port, to, _, _) => RunningProcess.Start(Core, "dotnet",
            [typeof(Subjects).Assembly.Location, "forward", Text(port), .. to.Select(target => $"http://127.0.0.1:{target}")])),
        new(Memory, (port, to, folder, _) => StartBalancer(port, to, folder, "memory", "")),
        .. Before is null ? [] : new Subject[] { new("before, memory", (port, to, folder, _) => StartBalancer(port, to, folder, "before", "", Before)) },
        new("roadbalancer, Redis strict", (port, to, folder, redis) => StartBalancer(port, to, folder, "strict", Strict(port, redis))),
        .. Before is null ? [] : new Subject[] { new("before, Redis strict", (port, to, folder, redis) => StartBalancer(port, to, folder, "strict-before", Strict(port, redis), Before)) },
        new("roadbalancer, Redis relaxed", (port, to, folder, redis) => StartBalancer(port, to, folder, "relaxed", $"redis_connection: 127.0.0.1:{redis}\nredis_key_prefix: 'relaxed{port}:'\nconsistency: relaxed\n")) { MayBeAbsent = true },
    ];

    /// <summary>Three ports that answer every request with the same small chat completion, from memory.</summary>
    public static RunningProcess StartBackends(int[] ports, string folder) => RunningProcess.Start(RunningProcess.Cores - 1, "nginx", ["-p", folder, "-c", Written(folder, "backends.conf", $$"""
        daemon off; worker_processes 1; error_log stderr crit; pid {{folder}}/backends.pid;
        events { worker_connections 8000; }
        http {
          access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; default_type application/json;
          server {
            {{string.Concat(ports.Select(port => $"listen 127.0.0.1:{port} backlog=4096; "))}}
            location / { return 200 '{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello, world. What can I do for you today?"},"finish_reason":"stop"}],"usage":{"prompt_tokens":21,"completion_tokens":12,"total_tokens":33} }'; }
          }
        }
        """)]);

    public static RunningProcess StartRedis(int port, string folder) => RunningProcess.Start(RunningProcess.Cores - 1, "redis-server",
        ["--port", Text(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]);

    public static int FreePort()
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private static RunningProcess StartNginx(int port, int[] to, string folder, int redis) => RunningProcess.Start(Core, "nginx", ["-p", folder, "-c", Written(folder, $"nginx-{port}.conf", $$"""
        daemon off; worker_processes 1; error_log stderr crit; pid {{folder}}/nginx-{{port}}.pid;
        events { worker_connections 8000; }
        http {
          access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; client_body_buffer_size 64k;
          upstream backends { {{string.Concat(to.Select(target => $"server 127.0.0.1:{target}; "))}} keepalive 512; keepalive_requests 1000000000; }
          server {
            listen 127.0.0.1:{{port}} backlog=4096;
            location / { proxy_pass http://backends; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 1h; }
          }
        }
        """)]);

    private static RunningProcess StartHaproxy(int port, int[] to, string folder, int redis) => RunningProcess.Start(Core, "haproxy", ["-q", "-db", "-f", Written(folder, $"haproxy-{port}.cfg", $$"""
        global
          log stderr local0 emerg
          nbthread 1
          maxconn 6000
        defaults
          mode http
          timeout connect 5s
          timeout client 1h
          timeout server 1h
          option http-no-delay
          http-reuse always
        listen front
          bind 127.0.0.1:{{port}} backlog 4096
          balance roundrobin
          {{string.Join("\n  ", to.Select((target, index) => $"server b{index} 127.0.0.1:{target} pool-max-conn 512"))}}

        """)]);

    private static RunningProcess StartBalancer(int port, int[] to, string folder, string name, string settings, string? program = null)
    {
        var file = Written(folder, $"{name}-{port}.yaml", $$"""
            strategy: least_connections
            api_keys: [bench={{ClientKey}}]
            host: 127.0.0.1
            port: {{port}}
            log_level: warning
            {{settings}}endpoints:
            {{string.Join("\n", to.Select(target => $"  - {{url: 'http://127.0.0.1:{target}', model_name: m, max_connections: 10000}}"))}}

            """);
        return RunningProcess.Start(Core, Path.Combine(program ?? Published, "Roadbalancer.Functions"), ["--config", file]);
    }

    private static string Strict(int port, int redis) => $"redis_connection: 127.0.0.1:{redis}\nredis_key_prefix: 'strict{port}:'\n";

    private static string Written(string folder, string name, string text)
    {
        var file = Path.Combine(folder, name);
        File.WriteAllText(file, text);
        return file;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
