using Roadbalancer.Tests.Support;

[assembly: AssemblyFixture(typeof(Roadbalancer.Tests.Functions.PublishedApp))]

namespace Roadbalancer.Tests.Functions;

/// <summary>The folder that is deployed, as <c>dotnet publish</c> makes it: once for all tests, when the first asks for it.</summary>
public sealed class PublishedApp : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("roadbalancer-app-").FullName;
    private readonly SemaphoreSlim _one = new(1, 1);
    private bool _isThere;

    /// <summary>Its path.</summary>
    internal async Task<string> FolderAsync()
    {
        await _one.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            if (!_isThere)
            {
                await PublishAsync(_folder);
                _isThere = true;
            }

            return _folder;
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>Publishes into <paramref name="folder"/>.</summary>
    internal static async Task PublishAsync(string folder, params string[] arguments)
    {
        await using var publish = ChildProcess.Start(
            "dotnet", ["publish", "src/Functions", "--configuration", Repository.Configuration, "--output", folder, "--verbosity", "quiet", "-nodeReuse:false", .. arguments], Repository.Root);
        Assert.True(await publish.ExitCodeAsync(TimeSpan.FromMinutes(5)) == 0, publish.Output);
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        _one.Dispose();
        return ValueTask.CompletedTask;
    }
}
