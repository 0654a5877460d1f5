using System.Text;

namespace Roadbalancer.Options;

/// <summary>Where the backends come from, and what was written about them.</summary>
/// <param name="Origin">The variable or key, as messages name it.</param>
/// <param name="Defaults">What holds where nothing was written.</param>
/// <param name="Drafts">The backends, with the place that each was written at.</param>
internal sealed record BackendSource(string Origin, FamilyDefaults Defaults, List<(SettingReader Place, BackendDraft Draft)> Drafts)
{
    /// <summary>
    /// The source that wins: <c>LLM_BACKENDS</c>, <c>VLLM_SERVER_URL</c>, <c>LLM_ENDPOINTS</c>, the file's list (<paramref name="inFile"/>).
    /// Null when there is none.
    /// </summary>
    public static BackendSource? Choose(SettingReader? inFile, Binding binding)
    {
        var variable = Families.BackendsOfB(binding) ?? (binding.Has(Families.Endpoints) ? Families.Endpoints : null);
        if (variable is not null && inFile is { Node.Kind: not SettingKind.Null })
        {
            binding.Warn($"ignored: '{inFile.Path}' of the file, because {variable} is set and wins");
        }

        return variable switch
        {
            Families.Backends => FromJson(binding),
            Families.SingleUrl => Single(binding),
            Families.Endpoints => Positional(binding),
            _ => inFile is { Node.Kind: not SettingKind.Null } ? FromList(inFile, FamilyDefaults.A) : null,
        };
    }

    private static BackendSource FromJson(Binding binding)
    {
        binding.TryVariable(Families.Backends, out var json);
        var whole = Families.Reader(Families.Backends, "", binding) with { Secret = true };
        if (Encoding.UTF8.GetByteCount(json!) > SettingLimits.Bytes)
        {
            whole.Report("is larger than 1 MiB");
        }
        else if (JsonSettings.Parse(Encoding.UTF8.GetBytes(json!), out var problem) is { } root)
        {
            return FromList(whole with { Node = root, Secret = false }, FamilyDefaults.B);
        }
        else
        {
            whole.Refuse($"must be a JSON array of backends: {problem!.Text}");
        }

        return new(Families.Backends, FamilyDefaults.B, [(whole, new())]);
    }

    private static BackendSource FromList(SettingReader list, FamilyDefaults defaults)
    {
        var source = new BackendSource(list.Path, defaults, []);
        if (list.Node.Kind != SettingKind.List || list.Node.Items.Count > SettingLimits.Backends)
        {
            // What a text holds here may be anything, a key included.
            (list with { Secret = list.Node.Kind == SettingKind.Scalar }).Refuse($"must be a list of at most {SettingLimits.Backends} backends, each with at least url");
            source.Drafts.Add((list, new()));
            return source;
        }

        for (var i = 0; i < list.Node.Items.Count; i++)
        {
            var place = list.At(i);
            source.Drafts.Add((place, BackendTable.BindMap(place with { Secret = place.Node.Kind == SettingKind.Scalar })));
        }

        return source;
    }

    private static BackendSource Single(Binding binding)
    {
        var draft = new BackendDraft();
        binding.TryVariable(Families.SingleUrl, out var url);
        var place = Families.Reader(Families.SingleUrl, url!, binding);
        BackendTable.Bind(draft, "url", place);
        foreach (var (variable, key) in Families.SingleKeys)
        {
            if (binding.TryVariable(variable, out var value))
            {
                BackendTable.Bind(draft, key, Families.Reader(variable, value, binding));
            }
        }

        return new(Families.SingleUrl, FamilyDefaults.B, [(place, draft)]);
    }

    private static BackendSource Positional(Binding binding)
    {
        binding.TryVariable(Families.Endpoints, out var text);
        var urls = Families.Reader(Families.Endpoints, text!, binding).Parts();
        var source = new BackendSource(Families.Endpoints, FamilyDefaults.A, []);
        if (urls.Count > SettingLimits.Backends)
        {
            Families.Reader(Families.Endpoints, "", binding).Report($"must be a list of at most {SettingLimits.Backends} URLs");
            return source with { Drafts = [(urls[0], new())] };
        }

        foreach (var url in urls)
        {
            var draft = new BackendDraft();
            BackendTable.Bind(draft, "url", url);
            source.Drafts.Add((url, draft));
        }

        foreach (var (variable, key) in Families.PositionalKeys)
        {
            BindPositions(source, variable, key, binding);
        }

        return source;
    }

    private static void BindPositions(BackendSource source, string variable, string key, Binding binding)
    {
        if (!binding.TryVariable(variable, out var text))
        {
            return;
        }

        var values = Families.Reader(variable, text, binding).Parts();
        for (var i = 0; i < values.Count && i < source.Drafts.Count; i++)
        {
            if (values[i].Node.Text.Length > 0)
            {
                BackendTable.Bind(source.Drafts[i].Draft, key, values[i]);
            }
        }

        if (values.Count > source.Drafts.Count)
        {
            binding.Warn($"{variable} has {values.Count} values for {source.Drafts.Count} backends; the last {values.Count - source.Drafts.Count} are ignored");
        }
    }
}
