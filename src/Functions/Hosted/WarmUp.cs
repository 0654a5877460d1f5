using System.Text;
using Roadbalancer.Ledger;

namespace Roadbalancer.Functions.Hosted;

/// <summary>Does once what the first call of an entity would have to wait for: loading and compiling. Not at start, when requests wait for the same.</summary>
internal sealed class WarmUp(TimeProvider time) : IDisposable
{
    private static readonly TimeSpan After = TimeSpan.FromSeconds(2);

    private ITimer? _timer;

    public void Begin() => _timer = time.CreateTimer(static clock => Run((TimeProvider)clock!), time, After, Timeout.InfiniteTimeSpan);

    public void Dispose() => _timer?.Dispose();

    private static void Run(TimeProvider time)
    {
        // A batch of one operation that is not known, for an entity that is not there: EntityBatchRequest{operations:[{operation:"x"}]}.
        var call = Encoding.UTF8.GetBytes("""{"Data":{"context":"\"GgMKAXg=\""}}""");
        Invocation.Reply("", EntityBatch.Answer(call, state => new BackendRun(state), time).Result, hasValue: true);
        EntityBatch.Answer(call, state => new RegistryRun(state), time);
    }
}
