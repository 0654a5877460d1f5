using System.Text;
using System.Text.Json;
using Roadbalancer.Strategies;

namespace Roadbalancer.Tests.Proxy;

/// <summary>A random answer: JSON full of the names that matter in places where they do and do not; about half of them damaged.</summary>
internal sealed class AnswerSample
{
    private static readonly string[] _names =
        ["usage", "response", "error", "prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "a", "prompt_tokens_details_and_more", "é\\n", ""];

    private static readonly string[] _scalars =
        ["null", "true", "false", "0", "-0", "7", "123456", "-5", "1.5", "2e5", "1E-3", "99999999999999999999", "\"\"", "\"x\\\"y\"", "\"\\u12aB\"", "\"ü🚗\""];

    private static readonly byte[] _damage = Encoding.ASCII.GetBytes("{}[]\",:0123456789.eE+-tfn\\u \n\t\u0001a/");

    private readonly Chance _chance;

    public AnswerSample(Chance chance)
    {
        _chance = chance;
        var bytes = Encoding.UTF8.GetBytes(Space() + (chance.Next(10) == 0 ? Scalar() : Object(0)) + Space()).ToList();
        for (var changes = chance.Next(2) * (1 + chance.Next(2)); changes > 0 && bytes.Count > 0; changes--)
        {
            Damage(bytes);
        }

        Bytes = [.. bytes];
    }

    public byte[] Bytes { get; }

    /// <summary>What must be found in a valid answer, from a document.</summary>
    public static (long? Input, long? Output, bool HasError) FactsOf(byte[] json)
    {
        using var document = JsonDocument.Parse(json);
        var facts = (Input: (long?)null, Output: (long?)null, HasError: false);
        if (document.RootElement.ValueKind != JsonValueKind.Object)
        {
            return facts;
        }

        foreach (var property in document.RootElement.EnumerateObject())
        {
            facts.HasError |= property.Name == "error" && property.Value.ValueKind != JsonValueKind.Null;
            if (property.Name == "response" && property.Value.ValueKind == JsonValueKind.Object)
            {
                foreach (var inner in property.Value.EnumerateObject())
                {
                    ReadUsage(inner, ref facts);
                }
            }

            ReadUsage(property, ref facts);
        }

        return facts;
    }

    private static void ReadUsage(JsonProperty usage, ref (long? Input, long? Output, bool HasError) facts)
    {
        if (usage.Name != "usage" || usage.Value.ValueKind != JsonValueKind.Object)
        {
            return;
        }

        foreach (var figure in usage.Value.EnumerateObject())
        {
            if (figure.Value.ValueKind == JsonValueKind.Number
                && figure.Value.GetRawText().All(char.IsAsciiDigit)
                && figure.Value.TryGetInt64(out var value))
            {
                facts.Input = figure.Name is "prompt_tokens" or "input_tokens" ? value : facts.Input;
                facts.Output = figure.Name is "completion_tokens" or "output_tokens" ? value : facts.Output;
            }
        }
    }

    private void Damage(List<byte> bytes)
    {
        var at = _chance.Next(bytes.Count);
        var damage = _damage[_chance.Next(_damage.Length)];
        switch (_chance.Next(4))
        {
            case 0:
                bytes[at] = damage;
                break;
            case 1:
                bytes.Insert(at, damage);
                break;
            case 2:
                bytes.RemoveAt(at);
                break;
            default:
                bytes.RemoveRange(at, bytes.Count - at);
                break;
        }
    }

    private string Value(int depth) => _chance.Next(depth > 4 ? 1 : 4) switch
    {
        1 => Object(depth + 1),
        2 => "[" + string.Join(',', Enumerable.Range(0, _chance.Next(4)).Select(_ => Space() + Value(depth + 1) + Space())) + "]",
        _ => Scalar(),
    };

    private string Object(int depth) => "{" + Space() + string.Join(',', Enumerable.Range(0, _chance.Next(5)).Select(_ => Member(depth))) + "}";

    private string Member(int depth)
    {
        // Along the ways that matter more often than chance would have it.
        var name = _names[_chance.Next(depth < 2 && _chance.Next(2) == 0 ? 3 : _names.Length)];
        var value = name is "usage" or "response" && _chance.Next(4) > 0 ? Object(depth + 1) : Value(depth);
        return $"{Space()}\"{name}\"{Space()}:{Space()}{value}{Space()}";
    }

    private string Scalar() => _scalars[_chance.Next(_scalars.Length)];

    private string Space() => _chance.Next(6) switch { 0 => " ", 1 => "\r\n\t", _ => "" };
}
