using Microsoft.Extensions.Logging;

namespace Roadbalancer.Keys;

/// <summary>
/// The shared books while Redis answers, this instance's own while it does not: then each instance allows a key its whole limit, beginning
/// with an empty minute. No request fails because Redis does.
/// </summary>
/// <param name="shared">Used while Redis answers.</param>
/// <param name="memory">Used while it does not.</param>
/// <param name="isAway">Whether Redis is known not to serve.</param>
/// <param name="time">Tells how long ago a call failed.</param>
/// <param name="log">Told of the transitions.</param>
internal sealed partial class FallbackKeyBooks(IKeyBooks shared, IKeyBooks memory, Func<bool> isAway, TimeProvider time, ILogger<FallbackKeyBooks> log) : IKeyBooks
{
    /// <summary>After a fault, how long nothing is asked of Redis.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    private long _faultAt = time.GetTimestamp() - time.TimestampFrequency;
    private int _isAlone;

    public async ValueTask<KeyVerdict?> ReserveAsync(KeyDemand demand)
    {
        if (!isAway() && time.GetElapsedTime(Interlocked.Read(ref _faultAt)) >= Pause)
        {
            if (await shared.ReserveAsync(demand) is { } verdict)
            {
                Note(isAlone: false);
                return verdict;
            }

            Interlocked.Exchange(ref _faultAt, time.GetTimestamp());
        }

        Note(isAlone: true);
        return await memory.ReserveAsync(demand);
    }

    public ValueTask SettleAsync(KeyDemand demand, KeyVerdict verdict, long tokens) =>
        verdict.IsShared ? shared.SettleAsync(demand, verdict, tokens) : memory.SettleAsync(demand, verdict, tokens);

    private void Note(bool isAlone)
    {
        if (Interlocked.Exchange(ref _isAlone, isAlone ? 1 : 0) == (isAlone ? 1 : 0))
        {
            return;
        }

        if (isAlone)
        {
            LogAlone();
        }
        else
        {
            LogShared();
        }
    }
}
