using System.Buffers.Binary;
using Roadbalancer.Backends;

namespace Roadbalancer.State;

/// <content>Forgetting on request.</content>
internal sealed partial class RedisState
{
    /// <summary>Forgets what stands against the backend; see <see cref="Health.Circuit.Reset"/>.</summary>
    /// <exception cref="SharedStateException">Redis did not answer.</exception>
    public async ValueTask ResetAsync(Pool pool, int index)
    {
        for (var tries = 0; tries < MostTries; tries++)
        {
            var view = await ViewAsync(pool);
            var reply = await _link.EvaluateAsync(
                StateScripts.Reset, KeysOf(pool.Name).Choice, [SharedView.Pack(Clock(), view.Generation, view.Slots[index])]);
            if (reply.Fault is { } fault)
            {
                throw new SharedStateException(fault);
            }

            if (BinaryPrimitives.ReadUInt16LittleEndian(reply.Bytes) == 1)
            {
                return;
            }

            _views.Remove(pool);
        }

        throw new SharedStateException("the slots keep changing");
    }
}
