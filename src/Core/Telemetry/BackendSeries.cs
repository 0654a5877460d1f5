using Roadbalancer.Proxy;

namespace Roadbalancer.Telemetry;

/// <summary>The series of one backend, kept so that recording looks nothing up. Those of an outcome are made when it first comes.</summary>
internal sealed class BackendSeries(TrafficFamilies families, string backend)
{
    private static readonly int Kinds = Enum.GetValues<OutcomeKind>().Length;

    private readonly Count?[] _requests = new Count?[Kinds];
    private readonly Count?[] _attempts = new Count?[Kinds];
    private readonly Distribution _succeeded = families.AttemptDuration.With(backend, "succeeded");
    private readonly Distribution _failed = families.AttemptDuration.With(backend, "failed");
    private readonly Distribution _neutral = families.AttemptDuration.With(backend, "neutral");
    private readonly Distribution _firstToken = families.AttemptFirstToken.With(backend);
    private readonly Distribution _outputToken = families.AttemptOutputToken.With(backend);
    private readonly Count _input = families.Tokens.With(backend, "input");
    private readonly Count _output = families.Tokens.With(backend, "output");

    public void RequestEnded(OutcomeKind kind) => Of(_requests, families.Requests, kind).Add();

    public void AttemptEnded(in AttemptOutcome outcome)
    {
        Of(_attempts, families.Attempts, outcome.Kind).Add();
        (OutcomeTable.For(outcome.Kind).Blame switch
        {
            Blame.Praise => _succeeded,
            Blame.None => _neutral,
            _ => _failed,
        }).Record(outcome.DurationMs / 1000);
        if (outcome.FirstTokenMs is { } firstTokenMs)
        {
            _firstToken.Record(firstTokenMs / 1000);
        }

        if (ModelSeries.SecondsPerToken(outcome) is { } seconds)
        {
            _outputToken.Record(seconds);
        }

        if (outcome.InputTokens is > 0 and { } input)
        {
            _input.Add(input);
        }

        if (outcome.OutputTokens is > 0 and { } output)
        {
            _output.Add(output);
        }
    }

    /// <summary>Two threads may make the same at once: the family gives both the same one.</summary>
    private Count Of(Count?[] counts, CounterMetric family, OutcomeKind kind) => counts[(int)kind] ??= family.With(backend, Trail.NameOf(kind));
}
