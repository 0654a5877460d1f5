using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace Roadbalancer.Redis;

/// <summary>
/// The one connection of this process to Redis. It connects in the background and again by itself; every call is bounded by the time-out,
/// never blocks a thread, and ends in a value: a reply or a fault.
/// </summary>
/// <remarks>What the client library needs to be told is here and nowhere else: see docs/adr/0002-redis-client.md.</remarks>
internal sealed partial class RedisLink : IAsyncDisposable
{
    /// <summary>How the reason begins where a call was given up.</summary>
    public const string TimedOut = "no answer within";

    /// <summary>The reason where the connection ended.</summary>
    public const string Lost = "the connection is lost";

    private static readonly TimeSpan RetryPeriod = TimeSpan.FromSeconds(1);

    private readonly RedisAddress _address;
    private readonly TimeSpan _timeout;
    private readonly TimeProvider _time;
    private readonly ILogger<RedisLink> _log;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly List<(string Channel, Action<string> Listener)> _listeners = [];
    private volatile ConnectionMultiplexer? _connection;
    private volatile string _fault = "not connected yet";
    private Task<string?>? _connecting;

    /// <param name="address">Where to.</param>
    /// <param name="timeout">How long a call may take: <c>redis_timeout</c>.</param>
    /// <param name="time">Paces time-outs and new attempts to connect.</param>
    /// <param name="log">Told of the connection's beginning and of why there is none.</param>
    public RedisLink(RedisAddress address, TimeSpan timeout, TimeProvider time, ILogger<RedisLink> log)
    {
        _address = address;
        _timeout = timeout;
        _time = time;
        _log = log;
    }

    /// <summary>Told of every call that was made: the script's name, how long it took, and whether it failed. Must not block.</summary>
    public Action<string, TimeSpan, bool>? Called { get; set; }

    /// <summary>How long a call may take.</summary>
    public TimeSpan Timeout => _timeout;

    public bool IsConnected => _connection?.IsConnected == true;

    /// <summary>Tries once to connect, unless it has been tried before; null when that went well, else why not. Later attempts follow by themselves.</summary>
    public Task<string?> ConnectAsync()
    {
        lock (_lock)
        {
            return _connecting ??= Task.Run(FirstConnectAsync);
        }
    }

    /// <summary>Runs <paramref name="script"/>. A server that does not have it is given it, once.</summary>
    public async ValueTask<RedisReply> EvaluateAsync(RedisScript script, RedisKey[] keys, RedisValue[] values)
    {
        if (_connection is not { } connection)
        {
            _ = ConnectAsync();
            return new(null, _fault);
        }

        var since = _time.GetTimestamp();
        var reply = await EvaluateAsync(connection.GetDatabase(_address.Database), script, keys, values);
        Called?.Invoke(script.Name, _time.GetElapsedTime(since), reply.Fault is not null);
        return reply;
    }

    private async ValueTask<RedisReply> EvaluateAsync(IDatabase database, RedisScript script, RedisKey[] keys, RedisValue[] values)
    {
        try
        {
            try
            {
                return new(await Bound(database.ScriptEvaluateAsync(script.Hash, keys, values)), null);
            }
            catch (RedisServerException exception) when (exception.Message.StartsWith("NOSCRIPT", StringComparison.Ordinal))
            {
                await Bound(database.ExecuteAsync("SCRIPT", "LOAD", script.Text));
                return new(await Bound(database.ScriptEvaluateAsync(script.Hash, keys, values)), null);
            }
        }
        catch (Exception exception) when (ReasonOf(exception) is not null)
        {
            return new(null, ReasonOf(exception));
        }
    }

    /// <summary>Calls <paramref name="listener"/> with every message on <paramref name="channel"/>, from now on and over reconnections. It must not block.</summary>
    public void Listen(string channel, Action<string> listener)
    {
        lock (_lock)
        {
            _listeners.Add((channel, listener));
        }

        if (_connection is { } connection)
        {
            _ = SubscribeAsync(connection, channel, listener);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        if (_connecting is { } connecting)
        {
            await connecting;
        }

        if (_connection is { } connection)
        {
            // What is still on its way need not arrive: a lease expires by itself.
            await connection.CloseAsync(allowCommandsToComplete: false).WaitAsync(RetryPeriod, _time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            connection.Dispose();
        }

        _stop.Dispose();
    }

    private async Task<string?> FirstConnectAsync()
    {
        var reason = await TryConnectAsync();
        if (reason is not null && !_stop.IsCancellationRequested)
        {
            LogUnreachable(_address.ToString(), reason);
            _ = KeepConnectingAsync();
        }

        return reason;
    }

    private async Task KeepConnectingAsync()
    {
        var stop = _stop.Token;
        try
        {
            string? reason;
            var last = _fault;
            do
            {
                await Task.Delay(RetryPeriod, _time, stop);
                reason = await TryConnectAsync();
                if (reason is not null && reason != last)
                {
                    LogUnreachable(_address.ToString(), last = reason);
                }
            }
            while (reason is not null);
        }
        catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
        {
            // The program ends.
        }
    }

    private async Task<string?> TryConnectAsync()
    {
        try
        {
            var connection = await ConnectionMultiplexer.ConnectAsync(_address.ToOptions(), log: null);
#pragma warning disable CS0618 // Without effect in 2.x; in 1.2.6 it lets completions run side by side, which halves the latency under load.
            connection.PreserveAsyncOrder = false;
#pragma warning restore CS0618
            _connection = connection;
            if (_stop.IsCancellationRequested)
            {
                connection.Dispose();
                return "stopped";
            }

            LogConnected(_address.ToString());
            await ListenAgainAsync(connection);
            return null;
        }
        catch (Exception exception) when (exception is RedisConnectionException or RedisServerException or TimeoutException or System.Net.Sockets.SocketException or IOException)
        {
            return _fault = Explain(exception.Message);
        }
    }

    private async Task ListenAgainAsync(ConnectionMultiplexer connection)
    {
        (string, Action<string>)[] listeners;
        lock (_lock)
        {
            listeners = [.. _listeners];
        }

        foreach (var (channel, listener) in listeners)
        {
            await SubscribeAsync(connection, channel, listener);
        }
    }

    /// <summary>The library subscribes again by itself after a reconnection. A message that is lost costs time, never correctness.</summary>
    private async Task SubscribeAsync(ConnectionMultiplexer connection, string channel, Action<string> listener)
    {
        try
        {
            await Bound(connection.GetSubscriber().SubscribeAsync(new RedisChannel(channel, RedisChannel.PatternMode.Literal), (_, message) =>
            {
                try
                {
                    listener((string?)message ?? "");
                }
                catch (Exception exception)
                {
                    LogListenerFailed(exception);
                }
            }));
        }
        catch (Exception exception) when (ReasonOf(exception) is not null)
        {
            // The version in every reply does what the message would have done.
        }
    }

    /// <summary>The library's calls have no time-out of their own. One given up on may still be carried out: what is sent must bear that.</summary>
    private Task<T> Bound<T>(Task<T> call) => call.IsCompleted ? call : WaitAsync(call);

    private Task Bound(Task call) => call.WaitAsync(_timeout, _time, _stop.Token);

    private async Task<T> WaitAsync<T>(Task<T> call)
    {
        try
        {
            return await call.WaitAsync(_timeout, _time, _stop.Token);
        }
        catch (Exception exception) when (exception is TimeoutException or OperationCanceledException && !call.IsCompleted)
        {
            // Observed, so that a late fault troubles nobody.
            _ = call.ContinueWith(static late => late.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            throw;
        }
    }

    private string? ReasonOf(Exception exception) => exception switch
    {
        TimeoutException => $"{TimedOut} {_timeout.TotalMilliseconds:0} ms",
        RedisServerException => Shorten(exception.Message),
        RedisException => Lost,
        OperationCanceledException or ObjectDisposedException => "stopped",
        IOException or InvalidOperationException or RedisCommandException => exception.GetType().Name,
        _ => null,
    };

    private static string Explain(string message) =>
        message.Contains("AuthenticationFailure", StringComparison.Ordinal) || message.Contains("NOAUTH", StringComparison.Ordinal)
            || message.Contains("WRONGPASS", StringComparison.Ordinal) || message.Contains("invalid password", StringComparison.Ordinal)
            ? "the password is wrong or missing"
            : message.Contains("UnableToConnect", StringComparison.Ordinal) || message.Contains("SocketFailure", StringComparison.Ordinal)
                ? "nobody answers there"
                : Shorten(message);

    private static string Shorten(string message) => message.Length <= 120 ? message : message[..120] + "…";
}
