namespace Roadbalancer.Wire;

/// <summary>A backend's answer, its head read and its body still to come. Disposing it gives its connection back, or closes one that cannot serve again.</summary>
internal sealed class WireResponse(WirePool pool, WireConnection connection, WireHead head, CancellationTokenRegistration cancellation) : IDisposable
{
    private bool _isDisposed;

    public WireHead Head { get; } = head;

    public WireBody Body { get; } = new(connection, head, cancellation.Token);

    public void Dispose()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;

        // A cancellation under way would close the connection in the hands of whoever had it next.
        var isQuiet = cancellation.Unregister() || !cancellation.Token.CanBeCanceled;
        if (isQuiet && Body.IsOver && connection.KeepsUp)
        {
            pool.Return(connection);
        }
        else
        {
            connection.Dispose();
        }
    }
}
