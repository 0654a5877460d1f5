using System.Globalization;
using System.Text.Json;
using Roadbalancer.Options;

namespace Roadbalancer.Functions.Hosted;

/// <summary>What is to be known of the Azure Functions host that started this program.</summary>
internal static class FunctionsHost
{
    /// <summary>The host's own variable for a setting of <c>host.json</c>; it wins over the file.</summary>
    public const string TimeoutVariable = "AzureFunctionsJobHost__functionTimeout";

    /// <summary>The app's folder, where <c>host.json</c> is; by default the working folder, which is the same.</summary>
    public const string RootVariable = "FUNCTIONS_APP_ROOT_PATH";

    /// <summary>The shortest time that any plan has where nothing is configured.</summary>
    private static readonly TimeSpan ShortestDefault = TimeSpan.FromMinutes(5);

    /// <summary>The host gives up on a connection after 240 s without a byte, and Azure's front end after 230 s.</summary>
    private static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(220);

    /// <summary>What is left of <c>functionTimeout</c> for ending a request in words, and for the time before it reaches this program.</summary>
    private static readonly TimeSpan MostMargin = TimeSpan.FromSeconds(30);

    /// <summary>Null when no Functions host started this program.</summary>
    /// <param name="environment">All environment variables.</param>
    /// <param name="currentDirectory">The working folder.</param>
    public static HostLimits? LimitsOf(IReadOnlyDictionary<string, string> environment, string currentDirectory)
    {
        if (!environment.TryGetValue(Listening.FunctionsPort, out var port) || string.IsNullOrWhiteSpace(port))
        {
            return null;
        }

        var text = environment.GetValueOrDefault(TimeoutVariable) is { Length: > 0 } variable ? variable
            : InFile(Path.Combine(environment.GetValueOrDefault(RootVariable) is { Length: > 0 } root ? root : currentDirectory, "host.json"));
        return new(Within(text), LongestSilence);
    }

    /// <summary>The longest that a request may take of a <c>functionTimeout</c>; null for no limit. What cannot be read counts as the host's shortest default.</summary>
    public static TimeSpan? Within(string? functionTimeout)
    {
        if (functionTimeout?.Trim() == "-1")
        {
            return null;
        }

        var timeout = TimeSpan.TryParse(functionTimeout, CultureInfo.InvariantCulture, out var read) && read > TimeSpan.Zero ? read : ShortestDefault;
        return timeout - MarginOf(timeout);
    }

    /// <summary>The time between the end of the longest request and <c>functionTimeout</c>.</summary>
    public static TimeSpan MarginOf(TimeSpan functionTimeout) => functionTimeout / 10 < MostMargin ? functionTimeout / 10 : MostMargin;

    /// <summary>When a request is cut off that nothing else has ended: halfway between <see cref="HostLimits.LongestRequest"/> and <c>functionTimeout</c>.</summary>
    public static TimeSpan? CutoffOf(HostLimits limits) =>
        limits.LongestRequest is { } longest ? longest + (longest / 18 < MostMargin / 2 ? longest / 18 : MostMargin / 2) : null;

    private static string? InFile(string path)
    {
        try
        {
            var reader = new Utf8JsonReader(File.ReadAllBytes(path), new JsonReaderOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            while (reader.Read())
            {
                if (reader.TokenType == JsonTokenType.PropertyName && reader.CurrentDepth == 1 && reader.ValueTextEquals("functionTimeout"u8))
                {
                    reader.Read();
                    return reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
                }
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException or InvalidOperationException)
        {
            // The host could not have started from such a file; the shortest default is safe in any case.
        }

        return null;
    }
}
