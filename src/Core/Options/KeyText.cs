namespace Roadbalancer.Options;

/// <summary>Keys in messages: which may be shown, and which known one was probably meant.</summary>
internal static class KeyText
{
    private const int LongestShown = 40;
    private const int MostDigitsShown = 4;

    /// <summary>
    /// <paramref name="key"/> in quotes, or <c>'***'</c> when it does not look like a key: a forgotten colon can turn a secret into one.
    /// </summary>
    public static string Shown(string key)
    {
        var digits = 0;
        foreach (var letter in key)
        {
            if (char.IsAsciiDigit(letter))
            {
                digits++;
            }
            else if (!char.IsAsciiLetter(letter) && letter is not ('_' or '-' or '.'))
            {
                return "'***'";
            }
        }

        return key.Length is > 0 and <= LongestShown && digits <= MostDigitsShown ? $"'{key}'" : "'***'";
    }

    /// <summary>The key without quotes, as part of a path.</summary>
    public static string Path(string key) => Shown(key).Trim('\'');

    /// <summary>The one of <paramref name="known"/> that is few typing errors away from <paramref name="written"/>; null when none is near.</summary>
    public static string? Nearest(string written, IEnumerable<string> known)
    {
        if (written.Length > 2 * LongestShown)
        {
            return null;
        }

        var folded = Fold(written);
        string? best = null;
        var least = Math.Max(1, Math.Min(3, written.Length / 3)) + 1;
        foreach (var candidate in known)
        {
            var distance = Distance(folded, Fold(candidate));
            if (distance < least)
            {
                (least, best) = (distance, candidate);
            }
        }

        return best;
    }

    /// <summary><c>; did you mean 'NEAREST'?</c>, or the list of what is known when nothing is near.</summary>
    public static string Suggestion(string written, IReadOnlyCollection<string> known) =>
        Nearest(written, known) is { } nearest ? $"; did you mean '{nearest}'?" : $"; known are {string.Join(", ", known)}";

    private static string Fold(string key) => key.Replace('-', '_').ToLowerInvariant();

    /// <summary>Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).</summary>
    private static int Distance(string a, string b)
    {
        var before = new int[b.Length + 1];
        var above = new int[b.Length + 1];
        var row = new int[b.Length + 1];
        for (var j = 0; j <= b.Length; j++)
        {
            above[j] = j;
        }

        for (var i = 1; i <= a.Length; i++)
        {
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var cost = a[i - 1] == b[j - 1] ? 0 : 1;
                row[j] = Math.Min(Math.Min(row[j - 1], above[j]) + 1, above[j - 1] + cost);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    row[j] = Math.Min(row[j], before[j - 2] + 1);
                }
            }

            (before, above, row) = (above, row, before);
        }

        return above[b.Length];
    }
}
