using System.Text.Json;

namespace Roadbalancer.Tests.Support;

/// <summary>What a client makes of a chat stream.</summary>
internal static class Sse
{
    /// <summary>The text of all chunks, and whether <c>[DONE]</c> ended them.</summary>
    public static (string Text, bool IsDone) Text(string stream)
    {
        var text = new System.Text.StringBuilder();
        foreach (var data in Data(stream).Where(data => data != "[DONE]"))
        {
            using var chunk = JsonDocument.Parse(data);
            if (chunk.RootElement.TryGetProperty("choices", out var choices) && choices.GetArrayLength() > 0
                && choices[0].GetProperty("delta").TryGetProperty("content", out var content))
            {
                text.Append(content.GetString());
            }
        }

        return (text.ToString(), stream.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal));
    }

    /// <summary>The data of each event.</summary>
    public static IEnumerable<string> Data(string stream) =>
        stream.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Where(line => line.StartsWith("data: ", StringComparison.Ordinal)).Select(line => line["data: ".Length..]);
}
