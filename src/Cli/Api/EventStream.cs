using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;

namespace Roadbalancer.Cli.Api;

/// <summary>The balancer's events, over as many connections as it takes: what was missed between two comes with the next.</summary>
/// <param name="api">The balancer.</param>
/// <param name="time">For the pause before the next attempt.</param>
/// <param name="note">Hears once of each loss, and of its end.</param>
internal sealed class EventStream(ApiClient api, TimeProvider time, Action<string> note)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);

    private string? _lastId;
    private bool _isLost;

    /// <summary>Why the first connection could not be made, or why the key is good for no further one; then no event comes.</summary>
    public string? Problem { get; private set; }

    /// <summary>Events until the caller has enough.</summary>
    /// <param name="path">With its query.</param>
    /// <exception cref="OperationCanceledException">The user has had enough.</exception>
    public async IAsyncEnumerable<SseItem<string>> ReadAsync(string path, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var isFirst = true; ; isFirst = false)
        {
            using var stream = await api.OpenAsync(path, _lastId, cancellationToken);
            if (stream.Problem is { } problem && (isFirst || stream.IsRefusal))
            {
                Problem = problem;
                yield break;
            }

            if (stream.Response is { } response)
            {
                await foreach (var item in EventsOf(response, cancellationToken))
                {
                    yield return item;
                }
            }
            else if (!_isLost)
            {
                _isLost = true;
                note($"{stream.Problem} Trying again every {Pause.TotalSeconds:0} s.");
            }

            await Task.Delay(Pause, time, cancellationToken);
        }
    }

    private async IAsyncEnumerable<SseItem<string>> EventsOf(HttpResponseMessage response, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (_isLost)
        {
            _isLost = false;
            note("The balancer is back.");
        }

        var parser = SseParser.Create(await response.Content.ReadAsStreamAsync(cancellationToken));
        await using var events = parser.EnumerateAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (true)
        {
            try
            {
                if (!await events.MoveNextAsync())
                {
                    break;
                }
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException)
            {
                // A lost connection; the next attempt tells whether the balancer is there.
                break;
            }

            _lastId = parser.LastEventId is { Length: > 0 } id ? id : _lastId;
            yield return events.Current;
        }
    }
}
