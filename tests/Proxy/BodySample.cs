using System.Text.Json;
using Roadbalancer.Strategies;

namespace Roadbalancer.Tests.Proxy;

/// <summary>A random request, the settings of a random backend, and the body that follows from both: put together member by member, without the code under test.</summary>
internal sealed class BodySample
{
    private readonly Chance _chance;

    public BodySample(ulong seed)
    {
        _chance = new Chance(seed);
        NewModel = Draw(3) == 0 ? null : Text();
        MaxTokens = Draw(2) == 0 ? null : Draw(10_000);
        Temperature = Draw(2) == 0 ? null : Draw(20) / 10.0;

        var members = new List<(string Original, string Edited)>();
        AddModel(members);
        AddDefault(members, "max_tokens", MaxTokens?.ToString(System.Globalization.CultureInfo.InvariantCulture));
        AddDefault(members, "temperature", Temperature?.ToString(System.Globalization.CultureInfo.InvariantCulture));
        for (var extra = Draw(5); extra > 0; extra--)
        {
            var member = $"{Space()}{Quote("x" + extra + Text())}{Space()}:{Space()}{Value(0)}{Space()}";
            members.Insert(Draw(members.Count + 1), (member, member));
        }

        var inserted = string.Join(',', _inserted);
        var comma = inserted.Length > 0 && members.Count > 0 ? "," : "";
        var inner = members.Count == 0 ? Space() : "";
        Body = "{" + inner + string.Join(',', members.Select(m => m.Original)) + "}";
        Expected = "{" + inserted + comma + inner + string.Join(',', members.Select(m => m.Edited)) + "}";
    }

    private readonly List<string> _inserted = [];

    public string? NewModel { get; }

    public int? MaxTokens { get; }

    public double? Temperature { get; }

    public string Body { get; }

    public string Expected { get; }

    private void AddModel(List<(string Original, string Edited)> members)
    {
        var written = NewModel is null ? null : Relaxed(NewModel);
        if (Draw(4) == 0)
        {
            if (written is not null)
            {
                _inserted.Add("\"model\":" + written);
            }

            return;
        }

        var (head, tail) = ($"{Space()}\"mod{(Draw(3) == 0 ? "\\u0065" : "e")}l\"{Space()}:{Space()}", Space());
        var old = Draw(4) == 0 ? "null" : Quote("old " + Text());
        members.Add((head + old + tail, head + (written ?? old) + tail));
    }

    private void AddDefault(List<(string Original, string Edited)> members, string name, string? value)
    {
        var kind = Draw(3);
        if (kind == 0)
        {
            if (value is not null)
            {
                _inserted.Add($"\"{name}\":{value}");
            }

            return;
        }

        var (head, tail) = ($"{Space()}\"{name}\"{Space()}:{Space()}", Space());
        var old = kind == 1 ? "null" : "7";
        members.Insert(Draw(members.Count + 1), (head + old + tail, head + (kind == 1 ? value ?? old : old) + tail));
    }

    private string Value(int depth) => Draw(depth > 3 ? 4 : 6) switch
    {
        0 => "null",
        1 => Draw(2) == 0 ? "true" : "-12.50E+3",
        2 => Quote(Text()),
        3 => "1e3",
        4 => "[" + string.Join(',', Enumerable.Range(0, Draw(4)).Select(_ => Space() + Value(depth + 1) + Space())) + "]",
        _ => "{" + string.Join(',', Enumerable.Range(0, Draw(4)).Select(_ => Space() + Quote(Draw(2) == 0 ? "model" : Text()) + ":" + Value(depth + 1))) + "}",
    };

    private string Text() => string.Concat(Enumerable.Range(0, Draw(8)).Select(_ => Draw(8) switch
    {
        0 => "\"",
        1 => "\\",
        2 => "\n",
        3 => "é",
        4 => "🚗",
        5 => "}",
        _ => ((char)('a' + Draw(26))).ToString(),
    }));

    /// <summary>A string literal, escaped now sparingly, now lavishly.</summary>
    private string Quote(string text) => Draw(2) == 0 ? Relaxed(text) : JsonSerializer.Serialize(text);

    private static string Relaxed(string text) =>
        "\"" + JsonEncodedText.Encode(text, System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping) + "\"";

    private string Space() => Draw(5) switch { 0 => " ", 1 => "\n\t", _ => "" };

    private int Draw(int bound) => _chance.Next(bound);
}
