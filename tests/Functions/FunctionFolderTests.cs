using System.Text.Json;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Template;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Functions;

/// <summary>The functions that the app declares, and the folder that it is deployed as.</summary>
public sealed class FunctionFolderTests(PublishedApp app)
{
    private static readonly string[] NotHttp = ["BackendEntity", "HealthCheck", "KeyEntity", "RegistryEntity", "Settle"];

    [Fact]
    public void Functions_NotTriggeredByHttp_AreTheFiveThatTheProgramServes() =>
        Assert.Equal(NotHttp, Functions().Where(function => !IsHttp(function)).Select(function => function.Name).Order(StringComparer.Ordinal));

    /// <summary>A route that begins with a literal segment which is no function's name leads to no function's path, whatever follows.</summary>
    [Fact]
    public void Routes_OfHttpFunctions_ReachNoOtherFunctionsPath()
    {
        foreach (var function in Functions().Where(IsHttp))
        {
            var template = TemplateParser.Parse(RouteOf(function));
            var first = template.Segments[0];
            Assert.True(first.IsSimple && first.Parts[0].IsLiteral, $"{function.Name}: the route begins with a parameter");
            Assert.DoesNotContain(first.Parts[0].Text, Functions().Where(other => !IsHttp(other)).Select(other => other.Name), StringComparer.OrdinalIgnoreCase);
            var matcher = new TemplateMatcher(template, []);
            foreach (var path in NotHttp.SelectMany(name => (string[])[$"/{name}", $"/{name.ToLowerInvariant()}", $"/{name}/", "/"]))
            {
                Assert.False(matcher.TryMatch(path, []), $"{function.Name} reaches {path}");
            }
        }
    }

    [Theory]
    [InlineData("/v1/chat/completions", "OpenAi")]
    [InlineData("/v1/models/a/b", "OpenAi")]
    [InlineData("/api/v1/load_balancer/backends/a", "Manage")]
    [InlineData("/api/v1/load_balancer", "Manage")]
    [InlineData("/api/v1/openapi.json", "OpenApi")]
    [InlineData("/dashboard", "Dashboard")]
    [InlineData("/dashboard/app.js", "Dashboard")]
    [InlineData("/health", "Health")]
    [InlineData("/ready", "Ready")]
    [InlineData("/stats", "Stats")]
    [InlineData("/metrics", "Metrics")]
    public void Routes_PathThatTheProgramServes_IsOneFunctions(string path, string name) =>
        Assert.Equal([name], Functions().Where(function => IsHttp(function) && new TemplateMatcher(TemplateParser.Parse(RouteOf(function)), []).TryMatch(path, [])).Select(function => function.Name));

    /// <summary>With another binding the host does not pass the request on but puts it into JSON; with a key it asks for one that OpenAI's clients cannot send.</summary>
    [Fact]
    public void HttpFunctions_HaveOneTriggerOneAnswerAndNoKey()
    {
        foreach (var (name, bindings) in Functions().Where(IsHttp))
        {
            Assert.Equal(["httpTrigger", "http"], bindings.Select(binding => binding.GetProperty("type").GetString()));
            Assert.Equal("anonymous", bindings[0].GetProperty("authLevel").GetString());
            Assert.False(bindings[0].TryGetProperty("methods", out _) && name is "OpenAi" or "Manage", $"{name} takes every method");
        }
    }

    /// <summary>An entity's batch is lost when its function declares an answer of its own, or takes its input as bytes.</summary>
    [Fact]
    public void EntityFunctions_HaveTheTriggerAlone()
    {
        foreach (var (_, bindings) in Functions().Where(function => function.Name.EndsWith("Entity", StringComparison.Ordinal)))
        {
            var binding = Assert.Single(bindings);
            Assert.Equal(("entityTrigger", "context"), (binding.GetProperty("type").GetString(), binding.GetProperty("name").GetString()));
            Assert.False(binding.TryGetProperty("dataType", out _));
        }
    }

    [Fact]
    public void Timers_AreScheduledBySettingsOfTheSample()
    {
        var sample = File.ReadAllText(Repository.PathOf("local.settings.sample.json"));
        foreach (var (_, bindings) in Functions().Where(function => function.Name is "HealthCheck" or "Settle"))
        {
            Assert.Equal(("timerTrigger", "timer"), (bindings[0].GetProperty("type").GetString(), bindings[0].GetProperty("name").GetString()));
            Assert.Contains($"\"{bindings[0].GetProperty("schedule").GetString()!.Trim('%')}\"", sample, StringComparison.Ordinal);
        }

        Assert.Equal(("durableClient", "client"), Functions().Where(function => function.Name == "Settle").Select(function => (function.Bindings[1].GetProperty("type").GetString(), function.Bindings[1].GetProperty("name").GetString())).Single());
    }

    [Fact]
    public async Task Publish_GivesTheFolderThatIsDeployed()
    {
        var folder = await app.FolderAsync();
        using var host = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(folder, "host.json"), TestContext.Current.CancellationToken));
        var handler = host.RootElement.GetProperty("customHandler");
        var executable = Path.Combine(folder, handler.GetProperty("description").GetProperty("defaultExecutablePath").GetString()!);

        Assert.True(handler.GetProperty("enableProxyingHttpRequest").GetBoolean());
        Assert.Equal("", host.RootElement.GetProperty("extensions").GetProperty("http").GetProperty("routePrefix").GetString());
        Assert.Equal("00:00:01", host.RootElement.GetProperty("extensions").GetProperty("durableTask").GetProperty("storageProvider").GetProperty("maxQueuePollingInterval").GetString());
        Assert.True(OperatingSystem.IsWindows() || File.GetUnixFileMode(executable).HasFlag(UnixFileMode.UserExecute));
        Assert.Equal(Functions().Select(function => function.Name).Order(), Directory.GetDirectories(folder).Where(path => File.Exists(Path.Combine(path, "function.json"))).Select(Path.GetFileName).Order());
        Assert.Empty(Directory.GetFiles(folder, "local.settings*", SearchOption.AllDirectories));
        Assert.Empty(Directory.GetFiles(folder, "appsettings*", SearchOption.AllDirectories));
    }

    private static List<(string Name, JsonElement[] Bindings)> Functions() =>
    [
        .. Directory.GetFiles(Repository.PathOf("src", "Functions", "functions"), "function.json", SearchOption.AllDirectories).Select(path =>
        {
            using var json = JsonDocument.Parse(File.ReadAllText(path));
            return (Path.GetFileName(Path.GetDirectoryName(path))!, json.RootElement.GetProperty("bindings").EnumerateArray().Select(binding => binding.Clone()).ToArray());
        }),
    ];

    private static bool IsHttp((string Name, JsonElement[] Bindings) function) => function.Bindings[0].GetProperty("type").GetString() == "httpTrigger";

    private static string RouteOf((string Name, JsonElement[] Bindings) function) => function.Bindings[0].GetProperty("route").GetString()!;
}
