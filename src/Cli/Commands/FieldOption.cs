using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;

namespace Roadbalancer.Cli.Commands;

/// <summary>What kind of value a field has.</summary>
internal enum FieldKind
{
    Text,
    Number,

    /// <summary>Several: separated by blanks or commas.</summary>
    Words,

    /// <summary>A key, which may be told as <c>env:NAME</c>.</summary>
    Secret,
}

/// <summary>An option that sets one field of what is sent; its range is the balancer's affair.</summary>
internal sealed class FieldOption
{
    private readonly Option<string[]> _option;
    private readonly string _field;
    private readonly FieldKind _kind;

    public FieldOption(string name, string field, FieldKind kind, string description, string valueName = "N")
    {
        (_field, _kind) = (field, kind);
        _option = new Option<string[]>(name)
        {
            Description = description,
            HelpName = valueName,
            Arity = kind == FieldKind.Words ? ArgumentArity.OneOrMore : new ArgumentArity(1, 1),
            AllowMultipleArgumentsPerToken = kind == FieldKind.Words,
        };
        if (kind == FieldKind.Number)
        {
            _option.Validators.Add(result =>
            {
                if (result.Tokens is [var token] && ToNumber(token.Value) is null)
                {
                    result.AddError($"{name}: '{token.Value}' is not a number.");
                }
            });
        }
    }

    public Option Option => _option;

    /// <summary>Puts the value, if it was given, into <paramref name="body"/>; false with a <paramref name="problem"/>.</summary>
    public bool TryApply(ParseResult line, JsonObject body, out string? problem)
    {
        problem = null;
        if (line.GetValue(_option) is not { Length: > 0 } values)
        {
            return true;
        }

        if (_kind == FieldKind.Secret)
        {
            var isRead = Secret.TryRead(_option.Name, values[0], out var secret, out problem);
            body[_field] = secret;
            return isRead;
        }

        body[_field] = _kind switch
        {
            FieldKind.Number => ToNumber(values[0]),
            FieldKind.Words => new JsonArray([.. values.SelectMany(value => value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)).Select(word => (JsonNode)word)]),
            _ => values[0],
        };
        return true;
    }

    private static JsonNode? ToNumber(string text) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole) ? whole
        : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? number
        : null;
}
