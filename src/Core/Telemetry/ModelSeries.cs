using Roadbalancer.Proxy;

namespace Roadbalancer.Telemetry;

/// <summary>The series of one operation and model, kept so that recording looks nothing up.</summary>
internal sealed class ModelSeries(TrafficFamilies families, string operation, string model)
{
    /// <summary>Whose form of telemetry it is: every backend speaks OpenAI's API.</summary>
    public const string Provider = "openai";

    private static readonly int Kinds = Enum.GetValues<OutcomeKind>().Length;

    private readonly Distribution?[] _durations = new Distribution?[Kinds + 1];
    private Distribution? _firstToken;
    private Distribution? _outputToken;
    private Distribution? _input;
    private Distribution? _output;

    /// <summary>
    /// Seconds between two tokens of a streamed answer that reported how many it had; null for any other. The first token is not counted:
    /// what it took is the time to first token.
    /// </summary>
    public static double? SecondsPerToken(AttemptOutcome outcome) =>
        outcome is { Kind: OutcomeKind.Succeeded, FirstTokenMs: { } firstTokenMs, OutputTokens: > 1 and { } tokens }
            ? Math.Max(0, outcome.DurationMs - firstTokenMs) / 1000 / (tokens - 1)
            : null;

    /// <param name="elapsed">Since the request came.</param>
    /// <param name="last">The last attempt's outcome; null for a request that no backend took.</param>
    /// <param name="isJoined">The answer was made of several streams: its times are no one stream's.</param>
    public void RequestEnded(TimeSpan elapsed, AttemptOutcome? last, bool isJoined)
    {
        DurationOf(last).Record(elapsed.TotalSeconds);
        if (last is not { } outcome)
        {
            return;
        }

        if (!isJoined)
        {
            if (outcome.FirstTokenMs is { } firstTokenMs)
            {
                // What came before the last attempt is the request's time without that attempt's.
                (_firstToken ??= families.FirstToken.With(operation, Provider, model)).Record(Math.Max(firstTokenMs, elapsed.TotalMilliseconds - outcome.DurationMs + firstTokenMs) / 1000);
            }

            if (SecondsPerToken(outcome) is { } seconds)
            {
                (_outputToken ??= families.OutputToken.With(operation, Provider, model)).Record(seconds);
            }
        }

        if (outcome.InputTokens is { } input)
        {
            (_input ??= families.TokenUsage.With(operation, Provider, model, "input")).Record(input);
        }

        if (outcome.OutputTokens is { } output)
        {
            (_output ??= families.TokenUsage.With(operation, Provider, model, "output")).Record(output);
        }
    }

    private Distribution DurationOf(AttemptOutcome? last)
    {
        var index = last is { } outcome ? (int)outcome.Kind : Kinds;
        return _durations[index] ??= families.RequestDuration.With(operation, Provider, model, last switch
        {
            null => "refused",
            { Kind: OutcomeKind.Succeeded } => "",
            { } ended => Trail.NameOf(ended.Kind),
        });
    }
}
