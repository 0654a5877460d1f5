using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Roadbalancer.Backends;
using Roadbalancer.Ledger;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;

namespace Roadbalancer.Client;

/// <summary>What a server's host is to the balancer, in a program of someone else's: composes the services, starts and ends them, runs the exchanges.</summary>
internal sealed class Engine : IAsyncDisposable
{
    private readonly ServiceProvider _services;
    private readonly ProxyEndpoint _endpoint;
    private readonly Rehydration? _rehydration;
    private readonly Task _started;
    private readonly ConcurrentDictionary<InProcessCall, bool> _calls = new();
    private readonly Lock _lock = new();
    private Task? _ended;

    /// <param name="options">What to balance over, validated.</param>
    /// <param name="logs">Where to log; null for nowhere.</param>
    /// <param name="meters">Where metrics go; null for a factory of its own, which any listener of the process can hear.</param>
    public Engine(BalancerOptions options, ILoggerFactory? logs, IMeterFactory? meters)
    {
        var services = new ServiceCollection();
        services.AddSingleton(logs ?? NullLoggerFactory.Instance);
        services.AddLogging();
        if (meters is not null)
        {
            services.AddSingleton(meters);
        }

        services.AddRoadbalancer(options);
        _services = services.BuildServiceProvider();
        ServerSetup.ReportChanges(_services);
        _ = _services.GetRequiredService<Telemetry.BackendGauges>();
        _endpoint = _services.GetRequiredService<ProxyEndpoint>();
        Pools = _services.GetRequiredService<PoolSource>();
        State = _services.GetRequiredService<IBalancerState>();
        Totals = _services.GetRequiredService<LifetimeTotals>();
        Time = _services.GetRequiredService<TimeProvider>();
        _rehydration = _services.GetService<Rehydration>();

        // What runs from now on belongs to nobody's request and must not keep the ambient values of the one that happens to begin it.
        using (ExecutionContext.SuppressFlow())
        {
            _started = Task.Run(StartAsync);
        }
    }

    public PoolSource Pools { get; }

    public IBalancerState State { get; }

    public LifetimeTotals Totals { get; }

    public TimeProvider Time { get; }

    /// <exception cref="ObjectDisposedException">It has been disposed, or is while the answer's beginning is waited for.</exception>
    public async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        ThrowIfDisposed();
        cancellationToken.ThrowIfCancellationRequested();
        await _started.WaitAsync(cancellationToken).ConfigureAwait(false);
        if (_rehydration is { Over.IsCompleted: false })
        {
            await _rehydration.Over.WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        var body = request.Content is null ? [] : await request.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
        var call = new InProcessCall(request, body);
        _calls[call] = true;
        if (Volatile.Read(ref _ended) is not null)
        {
            // Disposed in between: whoever disposes may have looked at the calls before this one was among them.
            _calls.TryRemove(call, out _);
            ThrowIfDisposed();
        }

        await using var cancelling = cancellationToken.UnsafeRegister(static (call, token) => ((InProcessCall)call!).Cancel(token), call).ConfigureAwait(false);
        _ = Task.Run(() => RunAsync(call), CancellationToken.None);
        await call.Started.ConfigureAwait(false);
        return AnswerOf(call, request);
    }

    /// <summary>Ends when what runs beside requests has begun.</summary>
    public Task StartedAsync(CancellationToken cancellationToken) => _started.WaitAsync(cancellationToken);

    public void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(Volatile.Read(ref _ended) is not null, typeof(LoadBalancer));

    public async ValueTask DisposeAsync()
    {
        Task ended;
        lock (_lock)
        {
            ended = _ended ??= Task.Run(EndAsync);
        }

        await ended.ConfigureAwait(false);
    }

    private static HttpResponseMessage AnswerOf(InProcessCall call, HttpRequestMessage request)
    {
        var response = new HttpResponseMessage((HttpStatusCode)call.StatusCode) { RequestMessage = request, Content = new AnswerContent(call) };
        foreach (var (name, values) in call.Headers)
        {
            if (!response.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values))
            {
                response.Content.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
            }
        }

        return response;
    }

    private async Task RunAsync(InProcessCall call)
    {
        await call.RunAsync(_endpoint);
        _calls.TryRemove(call, out _);
    }

    private async Task StartAsync()
    {
        foreach (var service in _services.GetServices<IHostedService>())
        {
            await service.StartAsync(CancellationToken.None);
        }
    }

    private async Task EndAsync()
    {
        var running = _calls.Keys.ToArray();
        foreach (var call in running)
        {
            call.Leave(new ObjectDisposedException(nameof(LoadBalancer), "The balancer was disposed while the answer was under way."));
        }

        await Task.WhenAll(running.Select(call => call.Settled));
        await _started.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var service in _services.GetServices<IHostedService>().Reverse())
        {
            await service.StopAsync(CancellationToken.None);
        }

        await _services.DisposeAsync();
    }
}
