using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Roadbalancer.Bench;

/// <summary>The table, for reading and for machines.</summary>
internal static class Report
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Writes <c>DATE-PLAN.md</c> and <c>DATE-PLAN.json</c> into <paramref name="folder"/>; returns the text.</summary>
    public static async Task<string> WriteAsync(Results results, string plan, string folder)
    {
        var date = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        var text = Text(results, plan, date);
        Directory.CreateDirectory(folder);
        await File.WriteAllTextAsync(Path.Combine(folder, $"{date}-{plan}.md"), text);
        await File.WriteAllTextAsync(Path.Combine(folder, $"{date}-{plan}.json"), JsonSerializer.Serialize(new
        {
            date,
            plan,
            machine = Machine(),
            remarks = results.Remarks,
            measures = results.Measures.Select(measure => new
            {
                name = measure.Name,
                subjects = measure.Subjects.ToDictionary(subject => subject, subject => new
                {
                    median = Spread.Of(measure.Values(subject)).Median,
                    values = measure.Values(subject),
                    ratio_to_nginx = measure.Ratio(subject, Subjects.Nginx)?.Median,
                    ratio_to_plain_forwarder = measure.Ratio(subject, Subjects.Plain)?.Median,
                }),
            }),
        }, Indented) + "\n");
        return text;
    }

    private static string Text(Results results, string plan, string date)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"# Benchmark of {date}, {plan}\n\n{Machine()}\n\nMedians; ratios are medians of the ratios round by round. bench/README.md says how to read it.\n\n");
        text.Append("| measure | subject | median | min – max | × nginx | × plain forwarder |\n|---|---|---:|---:|---:|---:|\n");
        foreach (var measure in results.Measures)
        {
            foreach (var subject in measure.Subjects)
            {
                var spread = Spread.Of(measure.Values(subject));
                text.Append(CultureInfo.InvariantCulture,
                    $"| {measure.Name} | {subject} | {Number(spread.Median)} | {Number(spread.Min)} – {Number(spread.Max)} | {Ratio(measure.Ratio(subject, Subjects.Nginx))} | {Ratio(measure.Ratio(subject, Subjects.Plain))} |\n");
            }
        }

        foreach (var remark in results.Remarks)
        {
            text.Append('\n').Append(remark).Append('\n');
        }

        return text.ToString();
    }

    private static string Number(double value) => value.ToString(value switch { >= 1000 => "0", >= 100 => "0", _ => "0.0" }, CultureInfo.InvariantCulture);

    private static string Ratio(Spread? ratio) => ratio is { } known ? known.Median.ToString("0.00", CultureInfo.InvariantCulture) : "";

    private static string Machine()
    {
        var model = File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim();
        return string.Create(CultureInfo.InvariantCulture, $"{RunningProcess.Cores} × {model}; {Environment.OSVersion}; .NET {Environment.Version}.")
            + (RunningProcess.Cores > 1 ? " What is measured has core 0 for itself, load, backends and Redis the last." : " One core for all: read the ratios only.");
    }
}
