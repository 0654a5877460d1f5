using System.Globalization;
using Roadbalancer.Backends;

namespace Roadbalancer.State;

/// <content>The run-time changes of a pool, one version for all instances.</content>
internal sealed partial class RedisState
{
    /// <summary>
    /// Puts <paramref name="edits"/> in place of version <paramref name="known"/>, or, with null, only asks. Returns what is in force then: another
    /// version than that of <paramref name="edits"/> means that someone was faster.
    /// </summary>
    /// <exception cref="SharedStateException">Redis did not answer.</exception>
    public async ValueTask<PoolEdits> DefineAsync(string pool, long known, PoolEdits? edits)
    {
        var keys = KeysOf(pool);
        var reply = await _link.EvaluateAsync(StateScripts.Define, [keys.All[6], keys.All[0]],
        [
            known.ToString(CultureInfo.InvariantCulture),
            edits is null ? "" : edits.Version.ToString(CultureInfo.InvariantCulture),
            edits is null ? "" : edits.ToJson(),
            ChannelOf(pool),
        ]);
        if (reply.Fault is { } fault)
        {
            throw new SharedStateException(fault);
        }

        var document = (string?)reply.Parts[1];
        return string.IsNullOrEmpty(document) ? PoolEdits.None : PoolEdits.Parse(document);
    }

    /// <summary>Calls <paramref name="listener"/> with the version of every change of <paramref name="pool"/> that is announced.</summary>
    public void ListenToEdits(string pool, Action<long> listener) => _link.Listen(ChannelOf(pool), message =>
    {
        if (long.TryParse(message, NumberStyles.None, CultureInfo.InvariantCulture, out var version))
        {
            listener(version);
        }
    });

    private string ChannelOf(string pool) => $"{_prefix}{{{pool}}}:changed";
}
