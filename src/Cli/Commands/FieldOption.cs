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
    private readonly Option<string>? _single;
    private readonly Option<string[]>? _several;
    private readonly string _field;
    private readonly FieldKind _kind;

    public FieldOption(string name, string field, FieldKind kind, string description, string valueName = "N")
    {
        (_field, _kind) = (field, kind);
        if (kind == FieldKind.Words)
        {
            _several = new(name) { Description = description, HelpName = valueName, Arity = ArgumentArity.OneOrMore, AllowMultipleArgumentsPerToken = true };
            return;
        }

        _single = new(name) { Description = description, HelpName = valueName };
        if (kind == FieldKind.Number)
        {
            _single.Validators.Add(result =>
            {
                if (result.Tokens is [var token] && ToNumber(token.Value) is null)
                {
                    result.AddError($"{name}: '{token.Value}' is not a number.");
                }
            });
        }
    }

    public Option Option => _single ?? (Option)_several!;

    /// <summary>Puts the value, if it was given, into <paramref name="body"/>; false with a <paramref name="problem"/>.</summary>
    public bool TryApply(ParseResult line, JsonObject body, out string? problem)
    {
        problem = null;
        if (_several is not null)
        {
            if (line.GetResult(_several) is not null)
            {
                var words = line.GetValue(_several)!.SelectMany(value => value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
                body[_field] = new JsonArray([.. words.Select(word => (JsonNode)word)]);
            }

            return true;
        }

        if (line.GetValue(_single!) is not { } value)
        {
            return true;
        }

        if (_kind == FieldKind.Secret)
        {
            var isRead = Secret.TryRead(_single!.Name, value, out var secret, out problem);
            body[_field] = secret;
            return isRead;
        }

        body[_field] = _kind == FieldKind.Number ? ToNumber(value) : value;
        return true;
    }

    private static JsonNode? ToNumber(string text) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole) ? whole
        : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? number
        : null;
}
