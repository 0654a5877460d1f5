using Microsoft.Extensions.Logging;
using Roadbalancer.Ledger;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Ledger;

public sealed class FileLedgerTests : IDisposable
{
    private static readonly string Key = EntityKey.Of("gpu1");

    private readonly string _folder = Path.Combine(Directory.CreateTempSubdirectory("roadbalancer-ledger-").FullName, "data");
    private readonly LogLines _log = new();

    private string FileOfGpu1 => Path.Combine(_folder, $"BackendEntity-{Key}.json");

    [Fact]
    public async Task SignalAsync_ThenOpenedAgain_HoldsTheSame()
    {
        string? state;
        using (var ledger = Open())
        {
            await PutAsync(ledger, 1, 3);
            await ledger.SignalAsync(RegistryEntity.Name, EntityKey.Of("default"), "put", """{"version":5,"document":"{}"}""", TestContext.Current.CancellationToken);
            state = await ledger.ReadAsync(BackendEntity.Name, Key, TestContext.Current.CancellationToken);
        }

        using var again = Open();
        Assert.Equal(state, await again.ReadAsync(BackendEntity.Name, Key, TestContext.Current.CancellationToken));
        Assert.Equal([EntityKey.Of("default")], (await again.ListAsync(RegistryEntity.Name, TestContext.Current.CancellationToken)).Keys);
        Assert.Empty(Directory.GetFiles(_folder, "*" + DiskFile.Unfinished));
    }

    /// <summary>Whoever asks for a change may be on a thread that all connections share; opening a pipe waits for its reader as a slow disk would make it wait.</summary>
    [Fact]
    public async Task SignalAsync_DiskIsSlow_DoesNotHoldUpItsCaller()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no such pipes");
        using var ledger = Open();
        var pipe = FileOfGpu1 + DiskFile.Unfinished;
        using (var made = System.Diagnostics.Process.Start("mkfifo", [pipe]))
        {
            await made.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        var asked = Task.Run(() => new[] { PutAsync(ledger, 1, 3) }, TestContext.Current.CancellationToken);
        try
        {
            var written = (await Await.For(asked, "the caller to go on"))[0];
            Assert.False(written.IsCompleted);
        }
        finally
        {
            using var reader = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("cat", [pipe]) { RedirectStandardOutput = true })!;
            await Await.For((await asked)[0], "the disk");
            await reader.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task SignalAsync_Delete_RemovesTheFile()
    {
        using var ledger = Open();
        await PutAsync(ledger, 1, 3);
        await ledger.SignalAsync(BackendEntity.Name, Key, "delete", "null", TestContext.Current.CancellationToken);
        Assert.False(File.Exists(FileOfGpu1));
        Assert.Null(await ledger.ReadAsync(BackendEntity.Name, Key, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task SignalAsync_Refused_ThrowsAndKeepsTheFile()
    {
        using var ledger = Open();
        await PutAsync(ledger, 1, 3);
        var before = File.ReadAllText(FileOfGpu1);
        await Assert.ThrowsAsync<LedgerException>(() => ledger.SignalAsync(BackendEntity.Name, Key, "put", "{}", TestContext.Current.CancellationToken));
        Assert.Equal(before, File.ReadAllText(FileOfGpu1));
    }

    [Fact]
    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    public async Task Open_FolderAndFiles_AreTheOwnersAlone()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no such modes");
        using var ledger = Open();
        await PutAsync(ledger, 1, 3);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(FileOfGpu1));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(_folder));
    }

    [Fact]
    public void Open_FolderOfAnotherProcess_SaysSo()
    {
        using var first = Open();
        var refusal = Assert.Throws<LedgerException>(() => Open());
        Assert.Contains("in use by another process", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("ROADBALANCER_DATA", refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{\"entity\":\"BackendEntity\",\"ke")]
    [InlineData("{\"anything\":\"else\"}")]
    [InlineData("{\"entity\":\"BackendEntity\",\"key\":\"00\",\"state\":{}}")]
    [InlineData("\0\0\0\0")]
    public async Task Open_TornOrForeignFile_IsSetAsideAndToldOf(string content)
    {
        Directory.CreateDirectory(_folder);
        File.WriteAllText(FileOfGpu1, content);
        using var ledger = Open();
        await PutAsync(ledger, 1, 3);
        var aside = Assert.Single(Directory.GetFiles(_folder, "*.set-aside-*"));
        Assert.Equal(content, File.ReadAllText(aside));
        Assert.True(_log.Has(aside), "the log names the file");
    }

    [Fact]
    public void Open_NewerProgramsFile_RefusesAndLeavesIt()
    {
        Directory.CreateDirectory(_folder);
        var content = "{\"entity\":\"BackendEntity\",\"key\":\"" + Key + "\",\"state\":{\"schema\":2}}";
        File.WriteAllText(FileOfGpu1, content);
        Assert.Contains("newer", Assert.Throws<LedgerException>(() => Open()).Message, StringComparison.Ordinal);
        Assert.Equal(content, File.ReadAllText(FileOfGpu1));
    }

    [Fact]
    public void Open_NotAFolder_IsALedgerException()
    {
        var file = Path.Combine(Path.GetDirectoryName(_folder)!, "file");
        File.WriteAllText(file, "");
        Assert.Throws<LedgerException>(() => FileLedger.Open(file, TimeProvider.System, Logger()));
    }

    [Fact]
    public async Task Open_LeftoverOfAnUnfinishedWrite_IsIgnored()
    {
        using (var ledger = Open())
        {
            await PutAsync(ledger, 1, 3);
        }

        File.WriteAllText(FileOfGpu1 + DiskFile.Unfinished, "half");
        using var again = Open();
        await PutAsync(again, 2, 4);
        Assert.Equal(4, BackendRecord.Parse((await again.ReadAsync(BackendEntity.Name, Key, TestContext.Current.CancellationToken))!).Totals.Requests);
    }

    public void Dispose()
    {
        Directory.Delete(Path.GetDirectoryName(_folder)!, recursive: true);
        _log.Dispose();
    }

    private static Task PutAsync(FileLedger ledger, long version, int requests) =>
        ledger.SignalAsync(BackendEntity.Name, Key, "put", Counted.Put(version, Counted.Of(requests)).ToJson(), TestContext.Current.CancellationToken);

    private FileLedger Open() => FileLedger.Open(_folder, TimeProvider.System, Logger());

    private ILogger<FileLedger> Logger() => LoggerFactory.Create(logging => logging.AddProvider(_log)).CreateLogger<FileLedger>();
}
