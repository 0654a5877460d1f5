using System.IO.Compression;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Client;

/// <summary>The NuGet packages as <c>dotnet pack</c> makes them.</summary>
public sealed class PackageTests
{
    [Fact]
    public async Task Pack_Core_HasReadmeIconDocsAndSymbolsAndOnlyTheDependenciesThatItNeeds()
    {
        var folder = Directory.CreateTempSubdirectory("roadbalancer-pack-").FullName;
        try
        {
            await PackAsync("src/Core", folder);

            var package = Assert.Single(Directory.GetFiles(folder, "Roadbalancer.*.nupkg"));
            Assert.Single(Directory.GetFiles(folder, "Roadbalancer.*.snupkg"));
            using var zip = ZipFile.OpenRead(package);
            var names = zip.Entries.Select(entry => entry.FullName).ToArray();
            Assert.Superset(
                new HashSet<string> { "README.md", "icon.png", "lib/net10.0/Roadbalancer.dll", "lib/net10.0/Roadbalancer.xml" }, new HashSet<string>(names));
            using var reader = new StreamReader(zip.GetEntry("Roadbalancer.nuspec")!.Open());
            var nuspec = await reader.ReadToEndAsync(TestContext.Current.CancellationToken);
            Assert.Equal(["StackExchange.Redis", "YamlDotNet"], [.. nuspec.Split("<dependency id=\"").Skip(1).Select(part => part[..part.IndexOf('"', StringComparison.Ordinal)])]);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Pack_Cli_IsAToolWithAReadme()
    {
        var folder = Directory.CreateTempSubdirectory("roadbalancer-pack-").FullName;
        try
        {
            await PackAsync("src/Cli", folder);

            using var zip = ZipFile.OpenRead(Assert.Single(Directory.GetFiles(folder, "*.nupkg")));
            var names = zip.Entries.Select(entry => entry.FullName).ToArray();
            Assert.Superset(new HashSet<string> { "README.md", "tools/net10.0/any/DotnetToolSettings.xml", "tools/net10.0/any/Roadbalancer.Cli.dll" }, new HashSet<string>(names));
            using var reader = new StreamReader(zip.GetEntry("Roadbalancer.Cli.nuspec")!.Open());
            Assert.Contains("<readme>README.md</readme>", await reader.ReadToEndAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task PackAsync(string project, string folder)
    {
        await using var pack = ChildProcess.Start("dotnet", ["pack", project, "--no-build", "--configuration", Repository.Configuration, "--output", folder], Repository.Root);
        Assert.True(await pack.ExitCodeAsync(TimeSpan.FromSeconds(120)) == 0, pack.Output);
        Assert.DoesNotContain("warn", pack.Output, StringComparison.OrdinalIgnoreCase);
    }
}
