using System.Globalization;
using Microsoft.Extensions.Configuration;
using Roadbalancer.Options;

namespace Roadbalancer.Client;

/// <summary>Writes settings that a program has in memory as the nodes that a file is read into. What is null is left out.</summary>
internal sealed class SettingMap
{
    /// <summary>Keys whose maps have the user's own keys in them.</summary>
    private static readonly string[] OfTheUser = ["headers", "models", "query"];

    private readonly List<KeyValuePair<string, SettingNode>> _entries = [];

    public SettingMap Add(string key, SettingNode? value)
    {
        if (value is not null)
        {
            _entries.Add(new(key, value));
        }

        return this;
    }

    public SettingMap Add(string key, string? value) => Add(key, value is null ? null : SettingNode.Scalar(value));

    public SettingMap Add(string key, bool? value) => Add(key, value is { } flag ? flag ? "true" : "false" : null);

    public SettingMap Add(string key, long? value) => Add(key, value?.ToString(CultureInfo.InvariantCulture));

    public SettingMap Add(string key, double? value) => Add(key, value?.ToString("R", CultureInfo.InvariantCulture));

    /// <summary>In seconds.</summary>
    public SettingMap Add(string key, TimeSpan? value) => Add(key, value?.TotalSeconds.ToString("0.#######", CultureInfo.InvariantCulture));

    public SettingMap Add(string key, IEnumerable<string>? values) => Add(key, values is null ? null : SettingNode.List([.. values.Select(value => SettingNode.Scalar(value))]));

    public SettingMap Add(string key, IEnumerable<KeyValuePair<string, string>>? values) =>
        Add(key, values is null ? null : SettingNode.Map([.. values.Select(pair => new KeyValuePair<string, SettingNode>(pair.Key, SettingNode.Scalar(pair.Value)))]));

    public SettingNode ToNode() => SettingNode.Map(_entries);

    /// <summary>The map as it is, with one more entry.</summary>
    public SettingNode With(string key, SettingNode value) => SettingNode.Map([.. _entries, new(key, value)]);

    /// <summary>
    /// A section of a program's configuration: children numbered from 0 are a list, others a map. Keys may be written as .NET does
    /// (<c>RetryCount</c>) or as the files do (<c>retry_count</c>).
    /// </summary>
    public static SettingNode Of(IConfiguration section) => Of(section, keepsKeys: false);

    private static SettingNode Of(IConfiguration section, bool keepsKeys)
    {
        var children = section.GetChildren().ToArray();
        if (children.Length == 0)
        {
            return section is IConfigurationSection { Value: { } text } ? SettingNode.Scalar(text) : SettingNode.Map([]);
        }

        if (Array.TrueForAll(children, child => int.TryParse(child.Key, NumberStyles.None, CultureInfo.InvariantCulture, out _)))
        {
            return SettingNode.List([.. children.OrderBy(child => int.Parse(child.Key, CultureInfo.InvariantCulture)).Select(child => Of(child, keepsKeys))]);
        }

        return SettingNode.Map([.. children.Select(child =>
        {
            var key = keepsKeys ? child.Key : KeyOf(child.Key);
            return new KeyValuePair<string, SettingNode>(key, Of(child, keepsKeys || OfTheUser.Contains(key)));
        })]);
    }

    private static string KeyOf(string key) =>
        key.Contains('_', StringComparison.Ordinal) || !key.Any(char.IsLower) ? key.ToLowerInvariant() : Proxy.Trail.SnakeCase(key);
}
