namespace Roadbalancer.Telemetry;

/// <summary>What is measured of requests and attempts, by backend or by model. Numbers of this instance alone, whoever shares its state.</summary>
internal sealed class TrafficFamilies(MetricSet set)
{
    public const string Backend = "backend";
    public const string Outcome = "outcome";
    public const string Operation = "gen_ai.operation.name";
    public const string Provider = "gen_ai.provider.name";
    public const string Model = "gen_ai.request.model";
    public const string TokenType = "gen_ai.token.type";
    public const string ErrorType = "error.type";

    public CounterMetric Requests { get; } = set.Counter(
        "roadbalancer.requests", "{request}", "Client requests that ended, by the backend that was asked last and what came of it.", Backend, Outcome);

    public CounterMetric Attempts { get; } = set.Counter(
        "roadbalancer.attempts", "{attempt}", "Attempts at backends that ended, by what came of them.", Backend, Outcome);

    public HistogramMetric AttemptDuration { get; } = set.Histogram(
        "roadbalancer.attempt.duration", "s", "From sending to the end of the answer or to the failure.", Buckets.Duration, Backend, "result");

    public HistogramMetric AttemptFirstToken { get; } = set.Histogram(
        "roadbalancer.attempt.time_to_first_token", "s", "From sending to the first event of a stream that began.", Buckets.FirstToken, Backend);

    public HistogramMetric AttemptOutputToken { get; } = set.Histogram(
        "roadbalancer.attempt.time_per_output_token", "s", "Mean time between the tokens of a streamed answer.", Buckets.OutputToken, Backend);

    public CounterMetric Tokens { get; } = set.Counter(
        "roadbalancer.tokens", "{token}", "Tokens that answers reported, of every attempt.", Backend, TokenType);

    public HistogramMetric RequestDuration { get; } = set.Histogram(
        "gen_ai.server.request.duration", "s", "From a request's arrival to the end of its answer, with every attempt and wait.",
        Buckets.Duration, Operation, Provider, Model, ErrorType);

    public HistogramMetric FirstToken { get; } = set.Histogram(
        "gen_ai.server.time_to_first_token", "s", "From a request's arrival to the first token of its stream, with every attempt and wait.",
        Buckets.FirstToken, Operation, Provider, Model);

    public HistogramMetric OutputToken { get; } = set.Histogram(
        "gen_ai.server.time_per_output_token", "s", "Mean time between the tokens of a streamed answer.", Buckets.OutputToken, Operation, Provider, Model);

    public HistogramMetric TokenUsage { get; } = set.Histogram(
        "gen_ai.client.token.usage", "{token}", "Tokens that a request's answer reported.", Buckets.Tokens, Operation, Provider, Model, TokenType);

    /// <summary>Forgets the series of backends that are no longer there.</summary>
    public void DropBackends(Predicate<string> isGone)
    {
        Requests.Drop(Backend, isGone);
        Attempts.Drop(Backend, isGone);
        AttemptDuration.Drop(Backend, isGone);
        AttemptFirstToken.Drop(Backend, isGone);
        AttemptOutputToken.Drop(Backend, isGone);
        Tokens.Drop(Backend, isGone);
    }
}
