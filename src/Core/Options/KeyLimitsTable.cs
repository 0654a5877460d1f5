using System.Collections.Immutable;
using System.Globalization;

namespace Roadbalancer.Options;

/// <summary>Reads the limits of a client key, from a configuration and from a request alike.</summary>
internal static class KeyLimitsTable
{
    private static readonly string[] _dates =
        ["yyyy-MM-dd", "yyyy-MM-dd'T'HH:mmK", "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK"];

    private const int LongestModel = 256;

    /// <summary>The keys of limits; in an entry of <c>api_keys</c> others stand beside them.</summary>
    public static readonly ImmutableArray<string> Keys = ["models", "tags", "requests_per_minute", "tokens_per_minute", "max_concurrency", "expires"];

    /// <summary><paramref name="before"/> with what <paramref name="map"/> says; an empty value takes a limit away. Entries in <paramref name="others"/> are left to the caller.</summary>
    public static KeyLimits Bind(SettingReader map, KeyLimits before, params ReadOnlySpan<string> others)
    {
        var limits = before;
        foreach (var (key, value) in map.Entries("must be a map"))
        {
            limits = key switch
            {
                "models" => limits with { Models = Names(value, Models) },
                "tags" => limits with { Tags = Names(value, BackendTable.Words) },
                "requests_per_minute" => limits with { RequestsPerMinute = value.Whole(1, 10_000_000L) },
                "tokens_per_minute" => limits with { TokensPerMinute = value.Whole(1, 10_000_000_000L) },
                "max_concurrency" => limits with { MaxConcurrency = value.Whole(1, 1_000_000) },
                "expires" => limits with { Expires = Date(value) },
                _ => limits,
            };
            if (!Keys.Contains(key) && !others.Contains(key))
            {
                map.RefuseKey(key, value.Node.Line, [.. others, .. Keys]);
            }
        }

        return limits;
    }

    private static ImmutableArray<string> Names(SettingReader value, Func<SettingReader, IEnumerable<string>> read) =>
        value.Node.Kind == SettingKind.Null ? [] : [.. read(value).Distinct(StringComparer.Ordinal)];

    private static IEnumerable<string> Models(SettingReader value)
    {
        foreach (var part in value.Parts())
        {
            if (part.Text(LongestModel) is not { } model)
            {
                continue;
            }

            if (model.IndexOf('*', StringComparison.Ordinal) is var star && (star < 0 || star == model.Length - 1))
            {
                yield return model;
            }
            else
            {
                part.Refuse("must be a model's name, or its beginning with * at the end");
            }
        }
    }

    private static DateTimeOffset? Date(SettingReader value)
    {
        if (value.Node.Kind == SettingKind.Null || value.Text(longest: 64) is not { } text)
        {
            return null;
        }

        if (DateTimeOffset.TryParseExact(text, _dates, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var date))
        {
            return date;
        }

        value.Refuse("must be a date like 2027-01-31 or a time like 2027-01-31T12:00:00Z (ISO 8601; UTC unless it says otherwise)");
        return null;
    }
}
