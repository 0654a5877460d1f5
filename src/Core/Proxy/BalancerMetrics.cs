using System.Diagnostics.Metrics;

namespace Roadbalancer.Proxy;

/// <summary>What is measured of requests and attempts; names and units as OpenTelemetry has them, tags bounded.</summary>
internal sealed class BalancerMetrics : IDisposable
{
    /// <summary>The meter's name.</summary>
    public const string MeterName = "Roadbalancer";

    private readonly Meter _meter;
    private readonly Counter<long> _requests;
    private readonly Counter<long> _attempts;
    private readonly Counter<long> _retries;
    private readonly Counter<long> _recoveries;
    private readonly Counter<long> _hedges;
    private readonly Counter<long> _panics;
    private readonly Counter<long> _malformed;
    private readonly Counter<long> _budgetRefusals;
    private readonly Gauge<long> _fallback;

    public BalancerMetrics(IMeterFactory meters)
    {
        _meter = meters.Create(MeterName);
        _requests = _meter.CreateCounter<long>("roadbalancer.requests", "{request}", "Client requests that ended, by outcome.");
        _attempts = _meter.CreateCounter<long>("roadbalancer.attempts", "{attempt}", "Attempts at backends that ended, by backend and outcome.");
        _retries = _meter.CreateCounter<long>("roadbalancer.retries", "{attempt}", "Attempts after a request's first.");
        _recoveries = _meter.CreateCounter<long>("roadbalancer.stream.recoveries", "{stream}", "Broken streams that were taken up elsewhere, by result.");
        _hedges = _meter.CreateCounter<long>("roadbalancer.hedges", "{attempt}", "Second attempts sent while the first had not answered.");
        _panics = _meter.CreateCounter<long>("roadbalancer.panics", "{request}", "Requests sent to a backend that was out because all were.");
        _malformed = _meter.CreateCounter<long>("roadbalancer.stream.malformed_events", "{event}", "Streamed events dropped because they were not JSON.");
        _budgetRefusals = _meter.CreateCounter<long>("roadbalancer.retry_budget.refusals", "{attempt}", "Retries that the budget did not allow.");
        _fallback = _meter.CreateGauge<long>("roadbalancer.state.fallback", "1", "1 while Redis is configured but decisions are made from memory.");
    }

    /// <summary>Where decisions are made: 1 from memory although the state is shared, 0 together with the other instances.</summary>
    public void StateServedFromMemory(bool isSo) => _fallback.Record(isSo ? 1 : 0);

    public void RequestEnded(string outcome) => _requests.Add(1, new KeyValuePair<string, object?>("outcome", outcome));

    public void AttemptEnded(string backend, OutcomeKind kind) =>
        _attempts.Add(1, new("backend", backend), new("outcome", Trail.NameOf(kind)));

    public void Retried() => _retries.Add(1);

    public void RecoveryEnded(bool succeeded) => _recoveries.Add(1, new KeyValuePair<string, object?>("result", succeeded ? "joined" : "failed"));

    public void Hedged() => _hedges.Add(1);

    public void Panicked() => _panics.Add(1);

    public void Dropped(int events) => _malformed.Add(events);

    public void BudgetRefused() => _budgetRefusals.Add(1);

    public void Dispose() => _meter.Dispose();
}
