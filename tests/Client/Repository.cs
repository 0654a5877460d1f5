namespace Roadbalancer.Tests.Client;

/// <summary>Where the sources are that a test reads, and the programs that it runs.</summary>
internal static class Repository
{
    public static string Root { get; } = Find();

    /// <summary><c>Release</c> or <c>Debug</c>, as these tests were built.</summary>
    public static string Configuration { get; } = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;

    public static string PathOf(params string[] parts) => Path.Combine([Root, .. parts]);

    private static string Find()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Functions.sln")))
        {
            folder = folder.Parent ?? throw new DirectoryNotFoundException("These tests run from inside the repository.");
        }

        return folder.FullName;
    }
}
