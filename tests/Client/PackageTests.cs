using System.IO.Compression;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Client;

/// <summary>The NuGet package as <c>dotnet pack</c> makes it.</summary>
public sealed class PackageTests
{
    [Fact]
    public async Task Pack_Core_HasReadmeIconDocsAndSymbolsAndOnlyTheDependenciesThatItNeeds()
    {
        var folder = Directory.CreateTempSubdirectory("roadbalancer-pack-").FullName;
        try
        {
            await using var pack = ChildProcess.Start(
                "dotnet", ["pack", "src/Core", "--no-build", "--configuration", Repository.Configuration, "--output", folder], Repository.Root);
            Assert.True(await pack.ExitCodeAsync(TimeSpan.FromSeconds(120)) == 0, pack.Output);

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
}
