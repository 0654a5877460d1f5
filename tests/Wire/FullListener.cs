using System.Net;
using System.Net.Sockets;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Wire;

/// <summary>A port that listens and accepts nobody, its queue full: connecting to it neither succeeds nor fails.</summary>
internal sealed class FullListener : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<Socket> _waiting = [];

    public FullListener()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(0);
        Url = new Uri($"http://{_listener.LocalEndPoint}/v1");
    }

    public Uri Url { get; }

    /// <summary>Returns when the queue is full.</summary>
    public async Task FillAsync()
    {
        var isFull = false;
        while (!isFull)
        {
            Assert.True(_waiting.Count < 16, "The queue does not fill.");
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            _waiting.Add(socket);
            var connecting = socket.ConnectAsync(_listener.LocalEndPoint!);

            // Over the loopback a connection is there at once, or never.
            await ((Task)connecting).WaitAsync(TimeSpan.FromMilliseconds(300), TimeProvider.System).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            isFull = !connecting.IsCompleted;
            _ = connecting.ContinueWith(static task => task.Exception, TaskScheduler.Default);
        }
    }

    public void Dispose()
    {
        _listener.Dispose();
        _waiting.ForEach(socket => socket.Dispose());
    }
}
