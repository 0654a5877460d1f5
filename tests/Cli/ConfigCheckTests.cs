using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Cli;

/// <summary><c>config check</c>: what the balancer would say of a file.</summary>
public sealed class ConfigCheckTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("roadbalancer-check-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task File_ThatIsGood_IsSummedUpWithoutItsKeys()
    {
        var file = Write("strategy: least_connections\nendpoints:\n  - {name: a, url: 'https://a.test', api_key: env:BACKEND_KEY}\n  - {name: b, url: 'https://b.test'}\n");

        var run = await CommandRun.WithAsync([("BACKEND_KEY", "k-file-secret"), ("ROADBALANCER_ADMIN_KEY", "k-admin")], "config", "check", file);
        var json = await CommandRun.WithAsync([("BACKEND_KEY", "k-file-secret")], "config", "check", file, "--json");

        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Equal($"{file} is valid. Mode: balancing over 2 backends by least_connections", run.Lines[0]);
        Assert.Equal(3, run.Lines.Length);
        Assert.DoesNotContain("k-file-secret", run.Output + json.Output, StringComparison.Ordinal);
        Assert.True(json.Json.GetProperty("valid").GetBoolean());
    }

    [Fact]
    public async Task File_WithErrors_TellsAllOfThemAndEndsWithOne()
    {
        var file = Write("strategy: nope\nendpoints:\n  - {url: nonsense, weight: -1}\n");

        var run = await CommandRun.WithAsync([], "config", "check", file);
        var json = await CommandRun.WithAsync([], "config", "check", file, "--json");

        Assert.Equal((1, ""), (run.Code, run.Output));
        Assert.Equal(1, json.Code);
        foreach (var key in (string[])["strategy", "endpoints[0].url", "endpoints[0].weight"])
        {
            Assert.Contains($"{key}:", run.Error, StringComparison.Ordinal);
            Assert.Contains(json.Json.GetProperty("errors").EnumerateArray(), error => error.GetProperty("key").GetString() == key);
        }
    }

    [Fact]
    public async Task File_ThatIsNotThere_EndsWithOne()
    {
        var run = await CommandRun.WithAsync([], "config", "check", Path.Combine(_folder, "nowhere.yaml"));

        Assert.Equal(1, run.Code);
        Assert.Contains("there is no such file", run.Error, StringComparison.Ordinal);
    }

    private string Write(string yaml)
    {
        var file = Path.Combine(_folder, "balancer.yaml");
        File.WriteAllText(file, yaml);
        return file;
    }
}
