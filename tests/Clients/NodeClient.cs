using System.Text.Json;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Clients;

/// <summary>The official Node client, driven by <c>tests/node/client.mjs</c>.</summary>
internal static class NodeClient
{
    /// <summary>Runs one scenario; what it printed.</summary>
    public static async Task<JsonElement> RunAsync(Uri baseUrl, string scenario, string model = Trio.Model, string key = Trio.Key)
    {
        var folder = Repository.PathOf("tests", "node");
        Assert.True(Directory.Exists(Path.Combine(folder, "node_modules", "openai")), "The npm client is not installed: run ./test.sh, which installs it.");
        await using var node = ChildProcess.Start("node", ["client.mjs", baseUrl.AbsoluteUri, key, scenario, model], folder);
        var exitCode = await node.ExitCodeAsync(TimeSpan.FromSeconds(60));
        Assert.True(exitCode == 0, $"node ended with {exitCode}: {node.Output}");
        using var said = JsonDocument.Parse(node.Output);
        return said.RootElement.Clone();
    }

    /// <summary>The value at a path of property names, as text; null for JSON's null.</summary>
    public static string? Text(this JsonElement element, params ReadOnlySpan<string> path)
    {
        foreach (var name in path)
        {
            Assert.True(element.TryGetProperty(name, out var value), $"No «{name}» in {element}.");
            element = value;
        }

        return element.ValueKind switch
        {
            JsonValueKind.Null => null,
            JsonValueKind.String => element.GetString(),
            _ => element.GetRawText(),
        };
    }
}
