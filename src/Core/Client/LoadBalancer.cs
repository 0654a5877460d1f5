using System.Diagnostics.Metrics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Client;
using Roadbalancer.Options;
using Roadbalancer.Stats;

namespace Roadbalancer;

/// <summary>
/// Balances requests over OpenAI-compatible endpoints inside this process, with everything that the server does: strategies, health checks, circuits,
/// failover, recovery of broken streams; with <c>REDIS_CONNECTION</c> set, several processes share their state.
/// </summary>
/// <remarks>Safe for concurrent use. Make one and keep it: it holds connections, counters and health checks.</remarks>
public sealed partial class LoadBalancer : IDisposable, IAsyncDisposable
{
    private readonly Engine _engine;
    private readonly HttpMessageInvoker _http;
    private readonly SettingMap _settings;
    private readonly Lock _lock = new();

    /// <summary>Balances over <paramref name="endpoints"/>.</summary>
    /// <param name="endpoints">At least one; names are unique.</param>
    /// <param name="strategy">Which endpoint gets the next request. Default <see cref="BalancingStrategy.RoundRobin"/>.</param>
    /// <param name="enableHealthCheck">Whether endpoints are probed, at once and every 30 s. Default true.</param>
    /// <param name="loggerFactory">Where to log; null for nowhere.</param>
    /// <exception cref="ArgumentNullException"><paramref name="endpoints"/> is null.</exception>
    /// <exception cref="ArgumentException">There is no endpoint, or something about them is not valid; the message tells every error.</exception>
    public LoadBalancer(
        IEnumerable<Endpoint> endpoints, BalancingStrategy strategy = BalancingStrategy.RoundRobin, bool enableHealthCheck = true,
        ILoggerFactory? loggerFactory = null)
        : this(endpoints, new LoadBalancerSettings { Strategy = strategy, EnableHealthCheck = enableHealthCheck }, loggerFactory)
    {
    }

    /// <summary>Balances over <paramref name="endpoints"/> as <paramref name="settings"/> say.</summary>
    /// <param name="endpoints">At least one; names are unique.</param>
    /// <param name="settings">Everything that is not about one endpoint.</param>
    /// <param name="loggerFactory">Where to log; null for nowhere.</param>
    /// <exception cref="ArgumentNullException"><paramref name="endpoints"/> or <paramref name="settings"/> is null.</exception>
    /// <exception cref="ArgumentException">There is no endpoint, or a value is not valid; the message tells every error.</exception>
    public LoadBalancer(IEnumerable<Endpoint> endpoints, LoadBalancerSettings settings, ILoggerFactory? loggerFactory = null)
        : this(Load(endpoints, settings, out var map, out var warnings), map, warnings, loggerFactory, meters: null)
    {
    }

    private LoadBalancer(
        BalancerOptions options, SettingMap settings, IReadOnlyList<string> warnings, ILoggerFactory? loggerFactory, IMeterFactory? meters)
    {
        _settings = settings;
        _engine = new Engine(options, loggerFactory, meters);
        _http = new HttpMessageInvoker(new BalancingTransport(_engine));
        if (loggerFactory?.CreateLogger<LoadBalancer>() is { } log)
        {
            foreach (var warning in warnings)
            {
                LogWarning(log, warning);
            }
        }
    }

    /// <summary>
    /// Reads the environment: <c>LLM_ENDPOINTS</c> and its family, then <c>LLM_BACKENDS</c>, <c>VLLM_SERVER_URL</c> and theirs, which win where both
    /// are set, as in the server. No file is read.
    /// </summary>
    /// <param name="loggerFactory">Where to log; null for nowhere.</param>
    /// <returns>A balancer that the caller disposes.</returns>
    /// <exception cref="ArgumentException">No endpoint is configured, or a value is not valid; the message tells every error.</exception>
    public static LoadBalancer FromEnv(ILoggerFactory? loggerFactory = null) => FromEnv(Configured.Variables(), loggerFactory);

    /// <summary>Reads a configuration file, the same that the server takes. Settings in the environment do not count, but <c>env:NAME</c> does.</summary>
    /// <param name="path">YAML or JSON; relative to the working folder. It is read once and not watched.</param>
    /// <param name="loggerFactory">Where to log; null for nowhere.</param>
    /// <returns>A balancer that the caller disposes.</returns>
    /// <exception cref="ArgumentException">
    /// <paramref name="path"/> is null or blank, the file cannot be read, or a value in it is not valid; the message tells every error.
    /// </exception>
    public static LoadBalancer FromConfig(string path, ILoggerFactory? loggerFactory = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        var file = SettingsFile.Read(Path.GetFullPath(path.Replace('\0', '?')));
        var options = Configured.Load(file, Configured.References(), nameof(path), out var warnings);
        return new LoadBalancer(options, new SettingMap(), warnings, loggerFactory, meters: null);
    }

    /// <summary>
    /// An <see cref="HttpMessageHandler"/> that balances any OpenAI-shaped call, for code that already uses an SDK. It belongs to this balancer and ends
    /// with it; disposing the handler, or the <see cref="HttpClient"/> around it, leaves the balancer alone.
    /// </summary>
    /// <remarks>
    /// The base address that the SDK is given does not matter, with or without <c>/v1</c>: nothing is looked up or connected to. A key given to the SDK
    /// goes only to endpoints without a key of their own. An answer that breaks off throws <see cref="HttpIOException"/> for its reader; the deadline
    /// is <c>total_timeout</c>, and the <see cref="HttpClient"/>'s own.
    /// </remarks>
    /// <returns>A new handler.</returns>
    /// <exception cref="ObjectDisposedException">The balancer has been disposed.</exception>
    public HttpMessageHandler CreateHandler()
    {
        _engine.ThrowIfDisposed();
        return new BalancingTransport(_engine);
    }

    /// <summary>Adds an endpoint; requests that begin from now on may use it.</summary>
    /// <param name="endpoint">The endpoint. Without a name it gets one that is free.</param>
    /// <exception cref="ArgumentNullException"><paramref name="endpoint"/> is null.</exception>
    /// <exception cref="ArgumentException">A value is not valid, or the name is taken.</exception>
    /// <exception cref="ObjectDisposedException">The balancer has been disposed.</exception>
    public void AddEndpoint(Endpoint endpoint)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        _engine.ThrowIfDisposed();
        var document = Configured.Document("arguments", _settings.With("endpoints", SettingNode.List([endpoint.ToNode(alone: true)])));
        var added = Configured.Load(document, Configured.References(), nameof(endpoint), out _).Backends;
        added = [.. added.Select(backend => backend with { Weight = endpoint.Weight })];
        lock (_lock)
        {
            var options = _engine.Pools.Current.Options;
            if (endpoint.Name is { } name && options.Backends.Any(backend => backend.Name.Equals(name.Trim(), StringComparison.OrdinalIgnoreCase)))
            {
                throw new ArgumentException($"An endpoint is called '{name}' already.", nameof(endpoint));
            }

            _engine.Pools.Swap(Configured.InProcess(options with { Backends = BackendNames.Append(options.Backends, added) }));
        }
    }

    /// <summary>
    /// Removes every endpoint at <paramref name="url"/>; requests that are under way there go on to their end. The last endpoint stays: a balancer
    /// without any could only fail, so add its successor first.
    /// </summary>
    /// <param name="url">The base URL as it was given; <c>http://host</c> and <c>http://host/v1/</c> are the same.</param>
    /// <returns>Whether there was one.</returns>
    /// <exception cref="ArgumentException"><paramref name="url"/> is null or blank.</exception>
    /// <exception cref="InvalidOperationException">No endpoint would be left.</exception>
    /// <exception cref="ObjectDisposedException">The balancer has been disposed.</exception>
    public bool RemoveEndpoint(string url)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(url);
        _engine.ThrowIfDisposed();
        var reader = new SettingReader(SettingNode.Scalar(url), "url", null, new Binding(new Dictionary<string, string>()));
        if (reader.Url() is not { } wanted)
        {
            return false;
        }

        lock (_lock)
        {
            var options = _engine.Pools.Current.Options;
            var left = options.Backends.RemoveAll(backend => backend.BaseUrl == wanted.BaseUrl);
            if (left.Length == options.Backends.Length)
            {
                return false;
            }

            if (left.IsEmpty)
            {
                throw new InvalidOperationException("The last endpoint cannot be removed: add its successor first.");
            }

            _engine.Pools.Swap(Configured.InProcess(options with { Backends = left }));
            return true;
        }
    }

    /// <summary>What has been counted since the balancer began; with shared state, by all processes together.</summary>
    /// <returns>The numbers of this moment; <see cref="BalancerStats.ToDictionary"/> has them in the flat form.</returns>
    /// <exception cref="ObjectDisposedException">The balancer has been disposed.</exception>
    public BalancerStats GetStats()
    {
        _engine.ThrowIfDisposed();
        var pool = _engine.Pools.Current;
        var reading = _engine.Totals.ReadAsync(pool.Name, CancellationToken.None);
        return StatsReport.Of(pool, reading.IsCompletedSuccessfully ? reading.GetAwaiter().GetResult() : Blocking.Wait(reading.AsTask));
    }

    /// <summary>
    /// Ends health checks, requests that are under way, and connections. Who waits for a result, or reads a stream, gets an
    /// <see cref="ObjectDisposedException"/>. May be called more than once.
    /// </summary>
    public void Dispose() => Blocking.Wait(() => _engine.DisposeAsync().AsTask());

    /// <inheritdoc cref="Dispose"/>
    /// <returns>Ends when everything has.</returns>
    public ValueTask DisposeAsync() => _engine.DisposeAsync();

    /// <inheritdoc cref="FromEnv(ILoggerFactory?)"/>
    internal static LoadBalancer FromEnv(IReadOnlyDictionary<string, string> environment, ILoggerFactory? loggerFactory)
    {
        var options = Configured.Load(Configured.Document("environment", SettingNode.Map([])), environment, null, out var warnings);
        return new LoadBalancer(options, new SettingMap(), warnings, loggerFactory, meters: null);
    }

    /// <summary>
    /// A program's own configuration: its section <c>Roadbalancer</c>, and the variables of both families among its top-level values, which win; or,
    /// given a section, that section alone.
    /// </summary>
    internal static LoadBalancer FromConfiguration(IConfiguration configuration, ILoggerFactory? loggerFactory, IMeterFactory? meters)
    {
        var section = configuration as IConfigurationSection ?? configuration.GetSection("Roadbalancer");
        var environment = Configured.References();
        if (configuration is not IConfigurationSection)
        {
            foreach (var child in configuration.GetChildren())
            {
                if (child.Value is { } value)
                {
                    environment[child.Key] = value;
                }
            }

            Configured.RemoveListening(environment);
        }

        var options = Configured.Load(Configured.Document(section.Path, SettingMap.Of(section)), environment, nameof(configuration), out var warnings);
        return new LoadBalancer(options, new SettingMap(), warnings, loggerFactory, meters);
    }

    /// <summary>Completes when what runs beside requests has begun.</summary>
    internal Task StartedAsync(CancellationToken cancellationToken) => _engine.StartedAsync(cancellationToken);

    private static BalancerOptions Load(
        IEnumerable<Endpoint> endpoints, LoadBalancerSettings settings, out SettingMap map, out IReadOnlyList<string> warnings)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        ArgumentNullException.ThrowIfNull(settings);
        var list = endpoints.ToList();
        if (list.Count == 0 || list.Contains(null!))
        {
            throw new ArgumentException(list.Count == 0 ? "There must be at least one endpoint." : "An endpoint is null.", nameof(endpoints));
        }

        map = settings.ToMap();
        var document = Configured.Document("arguments", map.With("endpoints", SettingNode.List([.. list.Select(endpoint => endpoint.ToNode())])));
        return Configured.Load(document, Configured.References(), nameof(endpoints), out warnings);
    }

    [LoggerMessage(1010, LogLevel.Warning, "{Warning}")]
    private static partial void LogWarning(ILogger logger, string warning);
}
