using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Roadbalancer.Ledger;

/// <summary>
/// The entities of one process in a folder: the same state machines, one JSON file each, replaced as a whole and on the disk before a
/// signal's task ends. The folder is one process's at a time; what it holds includes the keys of backends added at run time, so it is its owner's alone.
/// </summary>
/// <remarks>
/// A file is <c>{"entity":"…","key":"…","state":{…}}</c>. One that cannot be read is set aside under another name and told of, never written over.
/// One that a newer program wrote stops the ledger from opening: the older program must not go on without what it holds.
/// </remarks>
internal sealed partial class FileLedger : ILedger, IDisposable
{
    private const string LockName = "lock";
    private const string Ending = ".json";
    private const long MostBytes = 1024 * 1024;

    private readonly string _folder;
    private readonly FileStream _lock;
    private readonly TimeProvider _time;
    private readonly ILogger<FileLedger> _log;
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly Dictionary<(string Entity, string Key), string> _states = [];

    private FileLedger(string folder, FileStream heldLock, TimeProvider time, ILogger<FileLedger> log) => (_folder, _lock, _time, _log) = (folder, heldLock, time, log);

    /// <summary>Takes the folder and reads all of it.</summary>
    /// <param name="folder">Made where there is none.</param>
    /// <param name="time">Names what is set aside.</param>
    /// <param name="log">Told of files set aside.</param>
    /// <exception cref="LedgerException">The folder cannot be used: it is another process's, not writable, or a newer program's.</exception>
    public static FileLedger Open(string folder, TimeProvider time, ILogger<FileLedger> log)
    {
        FileStream? held = null;
        try
        {
            folder = Path.GetFullPath(folder);
            DiskFile.MakeFolder(folder);
            held = TakeLock(folder);
            var ledger = new FileLedger(folder, held, time, log);
            ledger.ReadAll();
            return ledger;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            held?.Dispose();
            throw new LedgerException($"the data folder {folder} cannot be used: {exception.Message}", exception);
        }
        catch (LedgerException)
        {
            held?.Dispose();
            throw;
        }
    }

    /// <summary>The full path.</summary>
    public string Folder => _folder;

    /// <summary>On a thread of the pool from its beginning: a disk may take long, and a change is asked for on a thread that all connections share.</summary>
    public Task SignalAsync(string entity, string key, string operation, string inputJson, CancellationToken cancellationToken) =>
        Task.Run(() => WriteAsync(entity, key, operation, inputJson, cancellationToken), cancellationToken);

    public Task<string?> ReadAsync(string entity, string key, CancellationToken cancellationToken) => Task.FromResult(StateOf(entity, key));

    public Task<IReadOnlyDictionary<string, string>> ListAsync(string entity, CancellationToken cancellationToken)
    {
        lock (_states)
        {
            return Task.FromResult<IReadOnlyDictionary<string, string>>(
                _states.Where(pair => pair.Key.Entity == entity).ToDictionary(pair => pair.Key.Key, pair => pair.Value, StringComparer.Ordinal));
        }
    }

    public void Dispose()
    {
        _lock.Dispose();
        _writing.Dispose();
    }

    private async Task WriteAsync(string entity, string key, string operation, string inputJson, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            var before = StateOf(entity, key);
            var reply = MemoryLedger.Apply(entity, before, operation, inputJson);
            if (reply.Error is { } error)
            {
                throw new LedgerException($"{entity}: {error}");
            }

            if (reply.State != before)
            {
                await KeepAsync(entity, key, reply.State, cancellationToken);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new LedgerException($"{_folder} cannot be written: {exception.Message}", exception);
        }
        finally
        {
            _writing.Release();
        }
    }

    private static FileStream TakeLock(string folder)
    {
        try
        {
            return new FileStream(Path.Combine(folder, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException) when (File.Exists(Path.Combine(folder, LockName)))
        {
            throw new LedgerException($"the data folder {folder} is in use by another process; each needs a folder of its own (ROADBALANCER_DATA, key data)");
        }
    }

    private string? StateOf(string entity, string key)
    {
        lock (_states)
        {
            return _states.GetValueOrDefault((entity, key));
        }
    }

    private async Task KeepAsync(string entity, string key, string? state, CancellationToken cancellationToken)
    {
        var path = Path.Combine(_folder, $"{entity}-{key}{Ending}");
        if (state is null)
        {
            File.Delete(path);
        }
        else
        {
            await DiskFile.ReplaceAsync(path, Encoding.UTF8.GetBytes($$"""{"entity":"{{entity}}","key":"{{key}}","state":{{state}}}""" + "\n"), cancellationToken);
        }

        lock (_states)
        {
            if (state is null)
            {
                _states.Remove((entity, key));
            }
            else
            {
                _states[(entity, key)] = state;
            }
        }
    }

    private void ReadAll()
    {
        foreach (var path in Directory.GetFiles(_folder, "*" + Ending))
        {
            try
            {
                ReadOne(path);
            }
            catch (Exception exception) when (exception is FormatException or JsonException or InvalidOperationException or KeyNotFoundException)
            {
                var aside = $"{path}.set-aside-{_time.GetUtcNow().ToUnixTimeMilliseconds()}";
                File.Move(path, aside, overwrite: false);
                LogSetAside(path, aside, exception.Message);
            }
            catch (NotSupportedException exception)
            {
                throw new LedgerException($"{path}: {exception.Message}", exception);
            }
        }
    }

    private void ReadOne(string path)
    {
        if (new FileInfo(path).Length > MostBytes)
        {
            throw new FormatException("too long");
        }

        using var document = JsonDocument.Parse(File.ReadAllBytes(path));
        var root = document.RootElement;
        string entity = root.GetProperty("entity").GetString()!, key = root.GetProperty("key").GetString()!, state = root.GetProperty("state").GetRawText();
        if (Path.GetFileName(path) != $"{entity}-{key}{Ending}")
        {
            throw new FormatException("not the file that it says it is");
        }

        switch (entity)
        {
            case BackendEntity.Name or KeyEntity.Name:
                BackendRecord.Parse(state);
                break;
            case RegistryEntity.Name:
                RegistryRecord.Parse(state).Document();
                break;
            default:
                throw new FormatException("no entity of this program");
        }

        _states[(entity, key)] = state;
    }
}
