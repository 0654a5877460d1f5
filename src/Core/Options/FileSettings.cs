namespace Roadbalancer.Options;

/// <summary>Binds the top level of a configuration file.</summary>
internal static class FileSettings
{
    private const string HealthCheck = "health_check";

    /// <summary>Applies every setting of the file and returns its list of backends, unbound; null when it has none.</summary>
    public static SettingReader? Apply(SettingsFile file, OptionsDraft draft, Binding binding)
    {
        var name = Path.GetFileName(file.Path);
        if (file.Root is not { } node)
        {
            binding.Add(new(name, null, file.Problem!.Text, file.Problem.Line > 0 ? $"{file.Path}, line {file.Problem.Line}" : file.Path));
            return null;
        }

        var root = new SettingReader(node, "", name, binding);
        if (node.Kind is SettingKind.List or SettingKind.Scalar)
        {
            (root with { Path = name, Secret = node.Kind == SettingKind.Scalar }).Refuse("must be a map of settings");
            return null;
        }

        SettingReader? list = null;
        var given = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in root.Entries(""))
        {
            if (SettingTable.EndpointKeys.Contains(key))
            {
                IsFirst("endpoints", value, given);
                list = value;
            }
            else if (key == HealthCheck)
            {
                ApplyHealthCheck(value, draft, given);
            }
            else if (!key.Contains('.', StringComparison.Ordinal) && SettingTable.Find(key) is { } setting)
            {
                Apply(setting, value, draft, given);
            }
            else if (!key.StartsWith("x-", StringComparison.Ordinal))
            {
                // x-… is room for anchors, as compose files have it.
                root.RefuseKey(key, value.Node.Line, SettingTable.FileKeys);
            }
        }

        return list;
    }

    /// <summary>A map, or true/false for its <c>enabled</c>.</summary>
    private static void ApplyHealthCheck(SettingReader value, OptionsDraft draft, Dictionary<string, string> given)
    {
        if (value.Node.Kind == SettingKind.Scalar)
        {
            Apply(SettingTable.Find(HealthCheck + ".enabled")!, value, draft, given);
            return;
        }

        foreach (var (key, inner) in value.Entries("must be a map of enabled and interval, or true or false"))
        {
            if (SettingTable.Find($"{HealthCheck}.{key}") is { } setting)
            {
                Apply(setting, inner, draft, given);
            }
            else
            {
                value.RefuseKey(key, inner.Node.Line, ["enabled", "interval"]);
            }
        }
    }

    private static void Apply(Setting setting, SettingReader value, OptionsDraft draft, Dictionary<string, string> given)
    {
        if (IsFirst(setting.Key, value, given) && value.Node.Kind != SettingKind.Null)
        {
            setting.Apply(draft, value);
        }
    }

    private static bool IsFirst(string setting, SettingReader value, Dictionary<string, string> given)
    {
        if (given.TryAdd(setting, value.Path))
        {
            return true;
        }

        value.Report($"is the same setting as {given[setting]}; give one of them");
        return false;
    }
}
