namespace Roadbalancer.Tests.Support;

/// <summary>Where the sources are that the tests look at: above the folder that the tests run from.</summary>
internal static class Repository
{
    /// <summary>The folder of <c>Functions.sln</c>.</summary>
    public static string Root { get; } = Find(AppContext.BaseDirectory);

    /// <summary><c>Release</c> or <c>Debug</c>, as these tests were built.</summary>
    public static string Configuration { get; } = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;

    public static string PathOf(params string[] parts) => Path.Combine([Root, .. parts]);

    private static string Find(string folder)
    {
        for (var at = new DirectoryInfo(folder); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "Functions.sln")))
            {
                return at.FullName;
            }
        }

        throw new InvalidOperationException($"No Functions.sln above {folder}.");
    }
}
