using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Roadbalancer.Backends;
using Roadbalancer.State;
using Roadbalancer.Telemetry;

namespace Roadbalancer.Proxy;

/// <summary>
/// What is measured of requests and attempts: a row each in <c>docs/metrics.md</c>. Names and units as OpenTelemetry has them, tags bounded by the
/// configuration. Recording allocates nothing and takes no lock.
/// </summary>
internal sealed class BalancerMetrics : IDisposable
{
    /// <summary>The meter's name.</summary>
    public const string MeterName = "Roadbalancer";

    private readonly Meter _meter;
    private readonly TrafficFamilies _traffic;
    private readonly CounterMetric _refusals;
    private readonly ConcurrentDictionary<string, Count> _refusalsByReason = new(StringComparer.Ordinal);
    private readonly Count _refused;
    private readonly Count _leftWaiting;
    private readonly Count _retries;
    private readonly Count _joined;
    private readonly Count _notJoined;
    private readonly Count _hedges;
    private readonly Count _panics;
    private readonly Count _malformed;
    private readonly Count _budgetRefusals;
    private readonly Distribution _served;
    private readonly Distribution _servedNot;
    private readonly CounterMetric _probes;
    private readonly HistogramMetric _probeDuration;
    private readonly HistogramMetric _redisDuration;
    private readonly ConcurrentDictionary<(string Script, bool Failed), Distribution> _redisCalls = new();
    private readonly Lock _lock = new();
    private readonly HashSet<string> _models = new(StringComparer.Ordinal);
    private volatile SeriesMap? _map;
    private int _isFallenBack = -1;

    public BalancerMetrics(IMeterFactory meters)
    {
        _meter = meters.Create(MeterName, typeof(BalancerMetrics).Assembly.GetName().Version?.ToString(3));
        All = new MetricSet(_meter);
        _traffic = new TrafficFamilies(All);
        (_refused, _leftWaiting) = (_traffic.Requests.With("", "refused"), _traffic.Requests.With("", Trail.NameOf(OutcomeKind.ClientLeft)));
        _refusals = All.Counter("roadbalancer.refusals", "{request}", "Requests that were refused before any backend was asked, by the error's code.", "reason");
        _retries = All.Counter("roadbalancer.retries", "{attempt}", "Attempts after a request's first.").With();
        var recoveries = All.Counter("roadbalancer.stream.recoveries", "{stream}", "Broken streams that were taken up elsewhere.", "result");
        (_joined, _notJoined) = (recoveries.With("joined"), recoveries.With("failed"));
        _hedges = All.Counter("roadbalancer.hedges", "{attempt}", "Second attempts sent while the first had not answered.").With();
        _panics = All.Counter("roadbalancer.panics", "{request}", "Requests sent to a backend that was out because all were.").With();
        _malformed = All.Counter("roadbalancer.stream.malformed_events", "{event}", "Streamed events dropped because they were not JSON.").With();
        _budgetRefusals = All.Counter("roadbalancer.retry_budget.refusals", "{attempt}", "Retries that the budget did not allow.").With();
        var waits = All.Histogram("roadbalancer.queue.wait", "s", "How long requests waited for a place while every backend was full or parked.", Buckets.Call, "result");
        (_served, _servedNot) = (waits.With("served"), waits.With("refused"));
        _probes = All.Counter("roadbalancer.probes", "{probe}", "Health probes that this instance sent.", TrafficFamilies.Backend, TrafficFamilies.Outcome);
        _probeDuration = All.Histogram("roadbalancer.probe.duration", "s", "How long health probes took.", Buckets.Call, TrafficFamilies.Backend);
        _redisDuration = All.Histogram(
            "db.client.operation.duration", "s", "How long calls to Redis took.", Buckets.Call,
            "db.system.name", "db.operation.name", "db.stored_procedure.name", TrafficFamilies.ErrorType);
        All.Gauge("roadbalancer.state.fallback", "{instance}", "1 while Redis is configured but decisions are made from memory; absent without Redis.",
            () => _isFallenBack < 0 ? [] : [new Reading(_isFallenBack)]);
    }

    /// <summary>Every metric, those of other sources included.</summary>
    public MetricSet All { get; }

    /// <summary>Where decisions are made: from memory although the state is shared, or together with the other instances.</summary>
    public void StateServedFromMemory(bool isSo) => Volatile.Write(ref _isFallenBack, isSo ? 1 : 0);

    /// <param name="exchange">The request.</param>
    /// <param name="last">What came of it; null for a request that no backend took.</param>
    /// <param name="attempt">The attempt that decided it, where there was one.</param>
    public void RequestEnded(Exchange exchange, AttemptOutcome? last, AttemptRecord? attempt)
    {
        if (last is { } outcome && attempt is not null)
        {
            SeriesOf(exchange.Pool, exchange.Pool.IndexOf(attempt.Backend))?.RequestEnded(outcome.Kind);
        }
        else
        {
            (last is null ? _refused : _leftWaiting).Add();
        }

        MapOf(exchange.Pool).For(exchange).RequestEnded(exchange.Elapsed, last, attempt is { Join: not JoinMode.None });
    }

    /// <summary>A request was answered with an error of the balancer's own, and no backend was asked.</summary>
    /// <param name="reason">The error's code, one of those in the source and never a client's word; <c>key_limited</c> where two causes have the same.</param>
    public void Refused(string reason) => _refusalsByReason.GetOrAdd(reason, static (code, refusals) => refusals.With(code), _refusals).Add();

    public void AttemptEnded(Lease lease, AttemptOutcome outcome) => SeriesOf(lease.Pool, lease.Index)?.AttemptEnded(outcome);

    public void ProbeEnded(Pool pool, Backend backend, AttemptOutcome outcome)
    {
        if (MapOf(pool).Pool.IndexOf(backend.Name) >= 0)
        {
            _probes.With(backend.Name, Trail.NameOf(outcome.Kind)).Add();
            _probeDuration.With(backend.Name).Record(outcome.DurationMs / 1000);
        }
    }

    public void Retried() => _retries.Add();

    public void RecoveryEnded(bool succeeded) => (succeeded ? _joined : _notJoined).Add();

    public void Hedged() => _hedges.Add();

    public void Panicked() => _panics.Add();

    public void Dropped(int events) => _malformed.Add(events);

    public void BudgetRefused() => _budgetRefusals.Add();

    /// <param name="waited">How long.</param>
    /// <param name="served">It got a place.</param>
    public void Waited(TimeSpan waited, bool served) => (served ? _served : _servedNot).Record(waited.TotalSeconds);

    /// <param name="script">The script's name.</param>
    /// <param name="took">How long.</param>
    /// <param name="failed">Redis did not answer in time, or not with success.</param>
    public void RedisCalled(string script, TimeSpan took, bool failed) => _redisCalls.GetOrAdd(
        (script, failed), static (call, durations) => durations.With("redis", "EVALSHA", call.Script, call.Failed ? "failed" : ""), _redisDuration)
        .Record(took.TotalSeconds);

    /// <summary>Makes the series of <paramref name="pool"/> before anything of it is counted; forgets those of backends that it no longer has.</summary>
    public void Follow(Pool pool) => MapOf(pool);

    public void Dispose() => _meter.Dispose();

    /// <summary>Null for a backend that has been removed while it was asked: its series are gone and do not come back for that.</summary>
    private BackendSeries? SeriesOf(Pool pool, int backend)
    {
        var map = MapOf(pool);
        var index = ReferenceEquals(map.Pool, pool) ? backend : map.Pool.IndexOf(pool.Backends[backend].Name);
        return index < 0 ? null : map[index];
    }

    /// <summary>The series of the newest pool that was seen, <paramref name="pool"/> included.</summary>
    private SeriesMap MapOf(Pool pool) => _map is { } map && map.Pool.Version >= pool.Version ? map : Renew(pool);

    private SeriesMap Renew(Pool pool)
    {
        lock (_lock)
        {
            if (_map is { } map && map.Pool.Version >= pool.Version)
            {
                return map;
            }

            Predicate<string> isGone = name => name.Length > 0 && pool.IndexOf(name) < 0;
            _traffic.DropBackends(isGone);
            _probes.Drop(TrafficFamilies.Backend, isGone);
            _probeDuration.Drop(TrafficFamilies.Backend, isGone);
            return _map = new SeriesMap(_traffic, pool, _models);
        }
    }
}
