namespace Roadbalancer.Functions;

/// <summary>
/// Whether metrics and traces are sent to a collector, by OpenTelemetry's own variables («Environment Variable Specification», «OTLP Exporter»): on
/// when <c>OTEL_EXPORTER_OTLP_ENDPOINT</c>, or the one of a signal, is set. What else they say (protocol, headers, intervals, sampler,
/// resource) the exporter reads itself.
/// </summary>
/// <param name="Metrics">Metrics are sent.</param>
/// <param name="Traces">Traces are sent.</param>
internal sealed record OtlpSettings(bool Metrics, bool Traces)
{
    private const string Endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";

    /// <param name="variables">The process's environment.</param>
    /// <param name="problems">What is wrong, a line a variable, which it names; empty for nothing. A URL may hold a secret and is not told.</param>
    /// <returns>Null when nothing is to be sent.</returns>
    public static OtlpSettings? Read(Func<string, string?> variables, out string problems)
    {
        problems = "";
        if (variables("OTEL_SDK_DISABLED") is { } disabled && disabled.Equals("true", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var settings = new OtlpSettings(
            IsOn(variables, "METRICS", ref problems), IsOn(variables, "TRACES", ref problems));
        return problems.Length == 0 && (settings.Metrics || settings.Traces) ? settings : null;
    }

    private static bool IsOn(Func<string, string?> variables, string signal, ref string problems)
    {
        if (variables($"OTEL_{signal}_EXPORTER") is { Length: > 0 } exporter && !exporter.Equals("otlp", StringComparison.OrdinalIgnoreCase))
        {
            if (!exporter.Equals("none", StringComparison.OrdinalIgnoreCase))
            {
                problems += $"OTEL_{signal}_EXPORTER: must be otlp or none, not '{exporter}'\n";
            }

            return false;
        }

        var own = $"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT";
        var name = string.IsNullOrEmpty(variables(own)) ? Endpoint : own;
        if (variables(name) is not { Length: > 0 } endpoint)
        {
            return false;
        }

        if (!Uri.TryCreate(endpoint, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
        {
            var line = $"{name}: must be an http or https URL, such as http://localhost:4317\n";
            problems += problems.Contains(line, StringComparison.Ordinal) ? "" : line;
            return false;
        }

        return true;
    }
}
