using System.Collections.Frozen;
using Roadbalancer.Backends;

namespace Roadbalancer.Options;

/// <summary>Every key of a backend. Files, <c>LLM_BACKENDS</c> and the variables by position all go through this one table.</summary>
internal static class BackendTable
{
    private const int MaxTokensMost = 100_000_000;

    private static readonly Dictionary<string, Action<BackendDraft, SettingReader>> Rows = new(StringComparer.Ordinal)
    {
        ["url"] = BindUrl,
        ["name"] = Row(v => v.Name(), (b, name) => b with { Name = name }),
        ["api_key"] = Row(v => v.Credential(), (b, key) => b with { ApiKey = key }),
        ["auth"] = Row(Auth, (b, auth) => b with { Auth = auth }),
        ["headers"] = (draft, value) => draft.Value = draft.Value with { Headers = value.Headers() },
        ["query"] = Row(v => v.Query(), (b, query) => b with { Query = query }),
        ["weight"] = Row(v => v.Whole(0, 1_000_000), (b, n) => b with { Weight = n }),
        ["max_connections"] = (draft, value) => draft.MaxConnections = value.Whole(1, 1_000_000),
        ["priority"] = Row(v => v.Whole(-1_000_000, 1_000_000), (b, n) => b with { Priority = n }),
        ["tags"] = (draft, value) => draft.Value = draft.Value with { Tags = Words(value).ToFrozenSet(StringComparer.Ordinal) },
        ["model_name"] = Row(v => v.Text(), (b, name) => b with { ModelName = name }),
        ["models"] = (draft, value) => draft.Value = draft.Value with { Models = Models(value) },
        ["max_tokens"] = Row(v => v.Whole(1, MaxTokensMost), (b, n) => b with { MaxTokens = n }),
        ["temperature"] = Row(v => v.Number(0, 2), (b, t) => b with { Temperature = t }),
        ["enabled"] = Row(v => v.Flag(), (b, flag) => b with { Enabled = flag }),
        ["health_path"] = BindHealthPath,
        ["continue_final_message"] = (draft, value) => BindContinuation(draft, value, ContinuationForm.ContinueFinalMessage),
        ["prefix"] = (draft, value) => BindContinuation(draft, value, ContinuationForm.Prefix),
        ["timeout"] = (draft, value) => draft.Times = draft.Times with { Timeout = value.Seconds() },
        ["connect_timeout"] = (draft, value) => draft.Times = draft.Times with { Connect = value.Seconds() },
        ["ttft_timeout"] = (draft, value) => draft.Times = draft.Times with { FirstToken = value.Seconds() },
        ["stream_idle_timeout"] = (draft, value) => draft.Times = draft.Times with { StreamIdle = value.Seconds() },
    };

    /// <summary>Every key that a backend may have.</summary>
    public static IReadOnlyCollection<string> Keys => Rows.Keys;

    /// <summary>Binds one backend written as a map.</summary>
    public static BackendDraft BindMap(SettingReader backend)
    {
        var draft = new BackendDraft(backend);
        foreach (var (key, value) in backend.Entries("must be a map with at least url"))
        {
            if (Rows.ContainsKey(key))
            {
                Bind(draft, key, value);
            }
            else
            {
                backend.RefuseKey(key, value.Node.Line, Keys);
            }
        }

        var hasUrl = backend.Node.Entries.Any(entry => entry.Key == "url" && entry.Value.Kind != SettingKind.Null);
        if (!hasUrl && backend.Node.Kind is (SettingKind.Map or SettingKind.Null))
        {
            (backend with { Path = backend.Path + ".url" }).Report("is missing; must be like http://host:8000 or https://host/path");
        }

        return draft;
    }

    /// <summary>Binds one value of a backend; <paramref name="key"/> is one of <see cref="Keys"/>.</summary>
    public static void Bind(BackendDraft draft, string key, SettingReader value)
    {
        if (value.Node.Kind != SettingKind.Null)
        {
            Rows[key](draft, value);
        }
    }

    private static Action<BackendDraft, SettingReader> Row<T>(Func<SettingReader, T?> read, Func<Backend, T, Backend> set)
        where T : struct =>
        (draft, value) => draft.Value = read(value) is { } bound ? set(draft.Value, bound) : draft.Value;

    private static Action<BackendDraft, SettingReader> Row(Func<SettingReader, string?> read, Func<Backend, string, Backend> set) =>
        (draft, value) => draft.Value = read(value) is { } bound ? set(draft.Value, bound) : draft.Value;

    private static void BindUrl(BackendDraft draft, SettingReader value)
    {
        if (value.Url() is { } url)
        {
            draft.Value = draft.Value with { BaseUrl = url.BaseUrl };
            draft.UrlQuery = url.Query;
        }
    }

    private static void BindHealthPath(BackendDraft draft, SettingReader value)
    {
        if (value.Text(longest: 512) is not { } path)
        {
            return;
        }

        if (path.AsSpan().IndexOfAnyExceptInRange('!', '~') >= 0 || path.Contains("://", StringComparison.Ordinal) || path.StartsWith("//", StringComparison.Ordinal)
            || path.Contains('#', StringComparison.Ordinal))
        {
            value.Refuse("must be a path like models, or from the host's root like /health");
            return;
        }

        draft.Value = draft.Value with { HealthPath = path };
    }

    private static void BindContinuation(BackendDraft draft, SettingReader value, ContinuationForm form)
    {
        if (value.Flag() is not true)
        {
            return;
        }

        if (draft.Value.Continuation != ContinuationForm.None)
        {
            value.Report("only one of continue_final_message and prefix can be true");
        }

        draft.Value = draft.Value with { Continuation = form };
    }

    private static BackendAuth? Auth(SettingReader value) =>
        value.OneOf(("bearer", BackendAuth.Bearer), ("api-key", BackendAuth.ApiKey), ("none", BackendAuth.None));

    /// <summary>The words of a list or comma text; a word has no comma, since requests name them in a comma list.</summary>
    internal static IEnumerable<string> Words(SettingReader value)
    {
        foreach (var part in value.Parts())
        {
            if (part.Text(SettingReader.LongestName) is not { } word)
            {
                continue;
            }

            if (word.AsSpan().IndexOfAnyExceptInRange(' ', '~') < 0 && !word.Contains(',', StringComparison.Ordinal))
            {
                yield return word;
            }
            else
            {
                part.Refuse("must be printable ASCII without commas");
            }
        }
    }

    private static FrozenDictionary<string, string> Models(SettingReader value)
    {
        var models = new Dictionary<string, string>(StringComparer.Ordinal);
        if (value.Node.Kind == SettingKind.Map)
        {
            foreach (var (alias, name) in value.Entries(""))
            {
                models[alias] = name.Text() ?? alias;
            }
        }
        else
        {
            foreach (var part in value.Parts())
            {
                if (part.Text() is { } model)
                {
                    models[model] = model;
                }
            }
        }

        return models.ToFrozenDictionary(StringComparer.Ordinal);
    }
}
