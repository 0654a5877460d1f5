using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Docs;

/// <summary>The reference of settings is what the program says of itself.</summary>
public sealed class ConfigurationPageTests
{
    private const string Write = "ROADBALANCER_WRITE_DOCS";

    private static readonly string File = Repository.PathOf("docs", "configuration.md");

    [Fact]
    public void Tables_OfThePage_AreWhatTheProgramSays()
    {
        using var page = new ConfigurationPage();
        var written = System.IO.File.ReadAllText(File);
        var renewed = page.Renewed(written);
        if (Environment.GetEnvironmentVariable(Write) == "1")
        {
            System.IO.File.WriteAllText(File, renewed);
            return;
        }

        Assert.True(written == renewed, $"docs/configuration.md is not what the settings are. Write it anew: {Write}=1 dotnet tests/bin/{Repository.Configuration}/net10.0/Roadbalancer.Tests.dll -class '*ConfigurationPageTests'");
    }

    [Fact]
    public void Tables_OfThePage_HaveEverySettingOnce()
    {
        using var page = new ConfigurationPage();
        var lines = page.Renewed(System.IO.File.ReadAllText(File)).Split('\n');
        var ofBackends = lines.SkipWhile(line => line != "<!-- generated: backends -->").TakeWhile(line => line != "<!-- end -->").ToArray();
        var others = lines.Where(line => line.StartsWith("| `", StringComparison.Ordinal)).Except(ofBackends).ToArray();

        Assert.All(BackendTable.Keys, key => Assert.Single(ofBackends, line => line.StartsWith($"| `{key}` |", StringComparison.Ordinal)));
        Assert.All(SettingTable.Rows, row => Assert.Single(others, line => line.StartsWith($"| `{row.Key}`", StringComparison.Ordinal)));
    }
}
