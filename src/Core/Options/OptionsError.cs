namespace Roadbalancer.Options;

/// <summary>One thing that is wrong with the configuration.</summary>
/// <param name="Key">Where it was written: <c>endpoints[2].weight</c>, <c>LLM_WEIGHTS[1]</c>, <c>--port</c>.</param>
/// <param name="Value">As written, shortened; <c>***</c> for a secret; null where a value is not the matter.</param>
/// <param name="Problem">What is allowed, or what is wrong.</param>
/// <param name="Location"><c>config.yaml, line 3</c>; null outside a file.</param>
internal sealed record OptionsError(string Key, string? Value, string Problem, string? Location = null)
{
    /// <summary>The error in one line: key, value, what is allowed, place.</summary>
    public override string ToString() =>
        (Value is null ? $"{Key}: {Problem}" : $"{Key}: {Value} is not valid; {Problem}") + (Location is null ? "" : $" ({Location})");
}
