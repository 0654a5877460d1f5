using System.Collections.Immutable;
using Roadbalancer.Backends;

namespace Roadbalancer.Options;

/// <summary>Gives every backend its name and its inherited values. Names are unique whatever their case, since requests and state are keyed by them.</summary>
internal static class BackendNames
{
    /// <summary>The finished backends. A configured name comes before a default one, wherever it stands in the list.</summary>
    public static ImmutableArray<Backend> Build(BackendSource source, BackendTimes inherited)
    {
        var taken = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var draft in source.Drafts)
        {
            if (draft.Value.Name.Length > 0 && !taken.Add(draft.Value.Name))
            {
                draft.Place.Of("name", SettingNode.Scalar(draft.Value.Name, draft.Place.Node.Line)).Refuse("must be unique, but a backend before it has the same name");
            }
        }

        var backends = ImmutableArray.CreateBuilder<Backend>(source.Drafts.Count);
        foreach (var draft in source.Drafts)
        {
            if (draft.HasUrl)
            {
                var name = draft.Value.Name.Length > 0 ? draft.Value.Name : Default(draft.Value.BaseUrl, taken);
                Check(name, draft);
                backends.Add(draft.Build(name, inherited, source.Defaults));
            }
        }

        return backends.ToImmutable();
    }

    /// <summary><paramref name="backends"/> and behind them <paramref name="added"/>, renamed where a name is taken.</summary>
    public static ImmutableArray<Backend> Append(ImmutableArray<Backend> backends, ImmutableArray<Backend> added)
    {
        var taken = backends.Select(backend => backend.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        return backends.AddRange(added.Select(backend => backend with { Name = Unique(backend.Name, taken) }));
    }

    /// <summary>The name of a backend that has none of its own; it is added to <paramref name="taken"/>.</summary>
    internal static string Default(Uri url, HashSet<string> taken) => Unique($"{url.Host}:{url.Port}", taken);

    private static string Unique(string wanted, HashSet<string> taken)
    {
        var name = wanted[..Math.Min(wanted.Length, SettingReader.LongestName)];
        for (var number = 2; !taken.Add(name); number++)
        {
            var suffix = $"-{number}";
            name = wanted[..Math.Min(wanted.Length, SettingReader.LongestName - suffix.Length)] + suffix;
        }

        return name;
    }

    /// <summary>Rules between a backend's fields.</summary>
    private static void Check(string name, BackendDraft draft)
    {
        var backend = draft.Value;
        if (backend.ModelName is not null && backend.Models.Count > 0)
        {
            draft.Place.Binding.Warn($"backend {name}: models is ignored, because model_name makes it serve any model under that name");
        }

        if (backend.ApiKey is not null && backend.Auth == BackendAuth.None)
        {
            draft.Place.Binding.Warn($"backend {name}: api_key is never sent, because auth is none");
        }

        if (backend.ApiKey is not null && backend.BaseUrl is { Scheme: "http", IsLoopback: false } && backend.Auth != BackendAuth.None
            && backend.BaseUrl.HostNameType == UriHostNameType.Dns && backend.BaseUrl.Host.Contains('.', StringComparison.Ordinal))
        {
            draft.Place.Binding.Warn($"backend {name}: its key is sent unencrypted; use https");
        }
    }
}
