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
        var general = lines.TakeWhile(line => line != "<!-- generated: backends -->").ToArray();

        Assert.All(SettingTable.Rows, row => Assert.Single(general, line => line.StartsWith($"| `{row.Key}`", StringComparison.Ordinal)));
        Assert.All(BackendTable.Keys, key => Assert.Single(lines.Except(general), line => line.StartsWith($"| `{key}` | ", StringComparison.Ordinal) && line.Count(letter => letter == '|') == 6));
    }
}
