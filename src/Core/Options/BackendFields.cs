using System.Text;
using System.Text.Json;
using Roadbalancer.Backends;

namespace Roadbalancer.Options;

/// <summary>Binds a backend that is given at run time, by the very rules of the configuration but for <c>env:NAME</c>.</summary>
internal static class BackendFields
{
    private static readonly Dictionary<string, string> NoEnvironment = [];

    /// <summary>The backend that <paramref name="fields"/> make, or null and every error; an error's key is the field.</summary>
    /// <param name="name">Its name; null for the one in the fields, else the URL's host and port, made unique in <paramref name="configured"/>.</param>
    /// <param name="fields">A JSON object; nulls count as not written.</param>
    /// <param name="under">The backend that the fields change; null for a new one.</param>
    /// <param name="configured">Where inherited values come from.</param>
    public static Backend? Bind(string? name, JsonElement fields, Backend? under, BalancerOptions configured, out IReadOnlyList<OptionsError> errors)
    {
        var binding = new Binding(NoEnvironment);
        errors = binding.Errors;
        if (JsonSettings.Parse(Encoding.UTF8.GetBytes(fields.GetRawText()), out var problem) is not { Kind: SettingKind.Map } root)
        {
            binding.Add(new("", null, problem?.Text ?? "must be a JSON object"));
            return null;
        }

        var place = new SettingReader(root, "", null, binding);
        var references = new Binding(NoEnvironment);
        RefuseReferences(place with { Binding = references });
        var draft = under is null ? BackendTable.BindMap(place) : BindOver(under, place);
        if (references.Errors.Count + binding.Errors.Count > 0)
        {
            errors = [.. references.Errors, .. binding.Errors.Where(error => !references.Errors.Exists(reference => reference.Key == error.Key))];
            return null;
        }

        var taken = configured.Backends.Select(backend => backend.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        var own = name ?? (draft.Value.Name.Length > 0 ? draft.Value.Name : BackendNames.Default(draft.Value.BaseUrl, taken));
        return draft.Build(own, configured.BackendDefaults.Times, configured.BackendDefaults.Family);
    }

    private static BackendDraft BindOver(Backend under, SettingReader place)
    {
        var draft = new BackendDraft(place)
        {
            Value = under with { Continuation = ContinuationUnder(under.Continuation, place.Node) },
            Times = new()
            {
                Timeout = under.Timeout,
                Connect = under.ConnectTimeout,
                FirstToken = under.FirstTokenTimeout,
                StreamIdle = under.StreamIdleTimeout,
            },
            MaxConnections = under.MaxConnections,
        };
        foreach (var (key, value) in place.Entries(""))
        {
            if (BackendTable.Keys.Contains(key))
            {
                BackendTable.Bind(draft, key, value);
            }
            else
            {
                place.RefuseKey(key, 0, BackendTable.Keys);
            }
        }

        return draft;
    }

    /// <summary>What the fields leave of the form of continuation: one key of the two takes back the other.</summary>
    private static ContinuationForm ContinuationUnder(ContinuationForm form, SettingNode fields)
    {
        var isTouched = fields.Entries.Any(entry => entry.Value.Kind != SettingKind.Null
            && (entry.Key == KeyOf(form) || (entry.Key is "continue_final_message" or "prefix" && entry.Value.Text is "true")));
        return isTouched ? ContinuationForm.None : form;
    }

    private static string KeyOf(ContinuationForm form) => form switch
    {
        ContinuationForm.ContinueFinalMessage => "continue_final_message",
        ContinuationForm.Prefix => "prefix",
        _ => "",
    };

    /// <summary>Whoever may choose a URL must not be able to send the environment there.</summary>
    private static void RefuseReferences(SettingReader value)
    {
        switch (value.Node.Kind)
        {
            case SettingKind.Scalar when value.Node.Text.TrimStart().StartsWith("env:", StringComparison.OrdinalIgnoreCase):
                value.Report("must not be env:NAME here: references to the environment are for the configuration");
                break;
            case SettingKind.List:
                for (var index = 0; index < value.Node.Items.Count; index++)
                {
                    RefuseReferences(value.At(index));
                }

                break;
            case SettingKind.Map:
                foreach (var (_, entry) in value.Entries(""))
                {
                    RefuseReferences(entry);
                }

                break;
        }
    }
}
