using Roadbalancer.Proxy;

namespace Roadbalancer.Telemetry;

/// <summary>
/// The series of one backend, kept so that recording looks nothing up; each is made when there is something to record, and two threads that make
/// the same at once get the same.
/// </summary>
internal sealed class BackendSeries(TrafficFamilies families, string backend)
{
    private static readonly int Kinds = Enum.GetValues<OutcomeKind>().Length;

    private readonly Count?[] _requests = new Count?[Kinds];
    private readonly Count?[] _attempts = new Count?[Kinds];
    private Distribution? _succeeded;
    private Distribution? _failed;
    private Distribution? _neutral;
    private Distribution? _firstToken;
    private Distribution? _outputToken;
    private readonly Count _input = families.Tokens.With(backend, "input");
    private readonly Count _output = families.Tokens.With(backend, "output");

    public void RequestEnded(OutcomeKind kind) => Of(_requests, families.Requests, kind).Add();

    public void AttemptEnded(AttemptOutcome outcome)
    {
        Of(_attempts, families.Attempts, outcome.Kind).Add();
        (OutcomeTable.For(outcome.Kind).Blame switch
        {
            Blame.Praise => _succeeded ??= families.AttemptDuration.With(backend, "succeeded"),
            Blame.None => _neutral ??= families.AttemptDuration.With(backend, "neutral"),
            _ => _failed ??= families.AttemptDuration.With(backend, "failed"),
        }).Record(outcome.DurationMs / 1000);
        if (outcome.FirstTokenMs is { } firstTokenMs)
        {
            (_firstToken ??= families.AttemptFirstToken.With(backend)).Record(firstTokenMs / 1000);
        }

        if (ModelSeries.SecondsPerToken(outcome) is { } seconds)
        {
            (_outputToken ??= families.AttemptOutputToken.With(backend)).Record(seconds);
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

    private Count Of(Count?[] counts, CounterMetric family, OutcomeKind kind) => counts[(int)kind] ??= family.With(backend, Trail.NameOf(kind));
}
