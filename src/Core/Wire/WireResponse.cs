namespace Roadbalancer.Wire;

/// <summary>A backend's answer, its head read and its body still to come. Disposing it gives its connection back, or closes one that cannot serve again.</summary>
/// <param name="cancellation">What closes the connection when <paramref name="cancelled"/> is; that may be over by now, and the registration without a token.</param>
internal sealed class WireResponse(
    WirePool pool, WireConnection connection, WireHead head, CancellationTokenRegistration cancellation, CancellationToken cancelled) : IDisposable
{
    private bool _isDisposed;

    public WireHead Head { get; } = head;

    public WireBody Body { get; } = new(connection, head, cancelled);

    public void Dispose()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;

        // A cancellation under way would close the connection in the hands of whoever had it next.
        var isQuiet = cancellation.Unregister() || !cancelled.CanBeCanceled;
        if (isQuiet && Body.IsOver && connection.KeepsUp)
        {
            connection.IdleLimitSeconds = Head.IdleLimitSeconds;
            pool.Return(connection);
        }
        else
        {
            connection.Dispose();
        }
    }
}
