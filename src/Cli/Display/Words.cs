using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Roadbalancer.Cli.Display;

/// <summary>The forms that values have for people.</summary>
internal static class Words
{
    /// <summary>Stands for what is not known or not there.</summary>
    public const string None = "-";

    private static readonly CultureInfo Culture = CultureInfo.InvariantCulture;

    public static string Count(double? count) => count is { } known ? known.ToString("#,0.##", Culture) : None;

    /// <summary>A great number in little room: <c>481k</c>.</summary>
    public static string Short(double? count) => count switch
    {
        null => None,
        >= 1e9 => (count.Value / 1e9).ToString("0.0", Culture) + "G",
        >= 1e6 => (count.Value / 1e6).ToString("0.0", Culture) + "M",
        >= 1e4 => (count.Value / 1e3).ToString("0", Culture) + "k",
        _ => count.Value.ToString("0.#", Culture),
    };

    /// <summary>Seconds as <c>12 ms</c>, <c>1.84 s</c> or <c>3 min</c>.</summary>
    public static string Duration(double? seconds) => seconds switch
    {
        null => None,
        0 => "0 s",
        < 0.9995 => (seconds.Value * 1000).ToString(seconds < 0.00995 ? "0.#" : "0", Culture) + " ms",
        < 9.995 => seconds.Value.ToString("0.00", Culture) + " s",
        < 99.95 => seconds.Value.ToString("0.0", Culture) + " s",
        < 600 => seconds.Value.ToString("0", Culture) + " s",
        _ => (seconds.Value / 60).ToString("0", Culture) + " min",
    };

    /// <summary>A duration of what may not have been measured yet, which the balancer tells as 0.</summary>
    public static string Measured(double? seconds) => seconds is null or 0 ? None : Duration(seconds);

    /// <summary>0 to 1 as a percentage; 100% only for all.</summary>
    public static string Ratio(double? ratio) => ratio switch
    {
        null => None,
        >= 1 => "100%",
        > 0.999 => "99.9%",
        _ => (ratio.Value * 100).ToString("0.0", Culture) + "%",
    };

    public static string List(IEnumerable<string> words) => string.Join(", ", words) is { Length: > 0 } text ? text : None;

    public static string YesNo(bool flag) => flag ? "yes" : "no";

    /// <summary>A time as it is sent, <c>2026-11-22T07:43:04.123Z</c>, as its hour, minute and second.</summary>
    public static string Clock(string? time) => time is { Length: >= 19 } && time[10] == 'T' ? time[11..19] : None;

    /// <summary>A time as it is sent, without its fraction.</summary>
    public static string Moment(string? time) => time is { Length: >= 19 } && time[10] == 'T' ? $"{time[..10]} {time[11..19]}" : None;

    public static Tone ToneOf(string? status) => status switch
    {
        "healthy" => Tone.Good,
        "trial" or "parked" => Tone.Warning,
        "unhealthy" or "misconfigured" => Tone.Bad,
        _ => Tone.Dim,
    };

    /// <summary>A value of any kind in a few words, as JSON where it is neither text nor number.</summary>
    public static string Value(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Undefined or JsonValueKind.Null => None,
        JsonValueKind.String => value.GetString()!,
        _ => value.GetRawText(),
    };

    /// <summary>Text of others, fit for a terminal: nothing in it can move the cursor or change colours.</summary>
    /// <param name="keepsLines">Whether line ends and tabs may stay.</param>
    public static string Clean(string text, bool keepsLines = false)
    {
        if (!text.Any(char.IsControl))
        {
            return text;
        }

        var clean = new StringBuilder(text.Length);
        foreach (var one in text)
        {
            clean.Append(!char.IsControl(one) || (keepsLines && one is '\n' or '\t') ? one : keepsLines ? '\uFFFD' : ' ');
        }

        return clean.ToString();
    }
}
