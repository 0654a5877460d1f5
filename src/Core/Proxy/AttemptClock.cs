namespace Roadbalancer.Proxy;

/// <summary>
/// The one cancellation of an attempt. It is cancelled by the client's leaving, by a rival that answered first, by the request's deadline, or by
/// whichever limit is armed at the moment; <see cref="Reason"/> tells which.
/// </summary>
internal sealed class AttemptClock : IDisposable
{
    private readonly Exchange _exchange;
    private readonly CancellationTokenSource _source;
    private readonly CancellationTokenRegistration _clientLeft;
    private OutcomeKind _armed;
    private volatile bool _superseded;

    public AttemptClock(Exchange exchange)
    {
        _exchange = exchange;
        _source = new CancellationTokenSource(exchange.Remaining, exchange.Time);
        _armed = OutcomeKind.DeadlineReached;
        _clientLeft = exchange.ClientLeft.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _source);
    }

    public CancellationToken Token => _source.Token;

    /// <summary>Why <see cref="Token"/> is cancelled.</summary>
    public OutcomeKind Reason =>
        _exchange.ClientLeft.IsCancellationRequested ? OutcomeKind.ClientLeft
        : _superseded ? OutcomeKind.Superseded
        : _armed;

    /// <summary>From now on the attempt ends as <paramref name="kind"/> after <paramref name="limit"/>, or at the deadline if that is sooner.</summary>
    public void Arm(TimeSpan limit, OutcomeKind kind)
    {
        var remaining = _exchange.Remaining;
        _armed = limit < remaining ? kind : OutcomeKind.DeadlineReached;
        _source.CancelAfter(limit < remaining ? limit : remaining);
    }

    /// <summary>Another attempt was faster.</summary>
    public void Supersede()
    {
        _superseded = true;
        try
        {
            _source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It has ended already.
        }
    }

    public void Dispose()
    {
        _clientLeft.Dispose();
        _source.Dispose();
    }
}
