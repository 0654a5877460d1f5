using System.Globalization;
using System.Text.Json.Nodes;

namespace Roadbalancer.Tests.Infra;

/// <summary>Reads values that are written out: texts, numbers, true and false, lists, objects. No expressions.</summary>
internal sealed class BicepValue
{
    private readonly List<BicepToken> _tokens;
    private int _at;

    private BicepValue(List<BicepToken> tokens) => _tokens = tokens;

    /// <summary>The value; null when it is an expression.</summary>
    public static JsonNode? Read(List<BicepToken> tokens)
    {
        var reader = new BicepValue([.. tokens.Where(token => token.Kind != BicepKind.NewLine && !token.Is("="))]);
        return reader.Next() is { } value && reader._at == reader._tokens.Count ? value : null;
    }

    private JsonNode? Next()
    {
        var token = _tokens[_at++];
        return token switch
        {
            { Kind: BicepKind.Text } => JsonValue.Create(token.Text),
            { Kind: BicepKind.Number } => JsonValue.Create(int.Parse(token.Text, CultureInfo.InvariantCulture)),
            { Text: "true" } => JsonValue.Create(true),
            { Text: "false" } => JsonValue.Create(false),
            { Text: "[" } => List(),
            { Text: "{" } => Map(),
            _ => null,
        };
    }

    private JsonArray List()
    {
        var list = new JsonArray();
        while (!Ends("]"))
        {
            list.Add(Next());
        }

        return list;
    }

    private JsonObject Map()
    {
        var map = new JsonObject();
        while (!Ends("}"))
        {
            var key = _tokens[_at].Text;
            _at += 2;
            map.Add(key, Next());
        }

        return map;
    }

    private bool Ends(string sign)
    {
        while (_tokens[_at].Is(","))
        {
            _at++;
        }

        return _tokens[_at].Is(sign) && _at++ >= 0;
    }
}
