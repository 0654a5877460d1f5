using System.Globalization;
using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Roadbalancer.Cli.Api;

/// <summary>What came of one request.</summary>
/// <param name="Backend">Who answered; null when nobody did.</param>
/// <param name="Attempts">How many backends were asked; null when the balancer did not say.</param>
/// <param name="Way">Each attempt with its outcome and milliseconds, as <c>X-Backend-Attempts</c> tells it.</param>
/// <param name="Status">The HTTP status; null without an answer.</param>
/// <param name="Time">Until the last byte.</param>
/// <param name="FirstToken">Until the first text of a stream; null otherwise.</param>
/// <param name="Answer">The text.</param>
/// <param name="Problem">What went wrong; null when nothing did.</param>
internal sealed record TrialResult(
    string? Backend, string? Attempts, string? Way, int? Status, TimeSpan Time, TimeSpan? FirstToken, string? RequestId, string Answer, string? Problem);

/// <summary>Sends chat requests as a client would and notes what happens.</summary>
/// <param name="api">The balancer.</param>
/// <param name="clientKey">What clients present; null for none.</param>
/// <param name="longest">For one request.</param>
/// <param name="time">Measures.</param>
internal sealed class Trial(ApiClient api, string? clientKey, TimeSpan longest, TimeProvider time)
{
    /// <summary>The first model that the balancer lists, or the problem.</summary>
    public async Task<(string? Model, string? Problem)> FirstModelAsync(CancellationToken cancellationToken)
    {
        using var limit = Limited(cancellationToken);
        try
        {
            using var response = await api.AskAsync(HttpMethod.Get, "v1/models", clientKey, null, limit.Token);
            var json = Parse(await response.Content.ReadAsByteArrayAsync(limit.Token));
            return !response.IsSuccessStatusCode ? (null, Refused((int)response.StatusCode, json))
                : json.Items("data").Select(model => model.Text("id")).FirstOrDefault(id => id is not null) is { } first ? (first, null)
                : (null, "The balancer lists no model: name one with --model.");
        }
        catch (HttpRequestException exception)
        {
            return (null, ApiProblem.Unreachable(api.Server, exception));
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return (null, ApiProblem.Silent(api.Server, longest));
        }
    }

    /// <summary>Sends one request.</summary>
    /// <param name="body">A chat request.</param>
    /// <param name="onText">Hears each piece of the answer as it comes.</param>
    public async Task<TrialResult> AskAsync(JsonObject body, Action<string> onText, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var result = new TrialResult(null, null, null, null, default, null, null, "", null);
        using var limit = Limited(cancellationToken);
        try
        {
            using var response = await api.AskAsync(HttpMethod.Post, "v1/chat/completions", clientKey, body, limit.Token);
            result = result with
            {
                Backend = Header(response, "X-Backend"),
                Attempts = Header(response, "X-Attempts"),
                Way = Header(response, "X-Backend-Attempts"),
                Status = (int)response.StatusCode,
                RequestId = Header(response, "X-Request-Id"),
            };
            result = response.IsSuccessStatusCode && response.Content.Headers.ContentType?.MediaType == "text/event-stream"
                ? await ReadStreamAsync(result, response, onText, started, limit.Token)
                : ReadWhole(result, response, await response.Content.ReadAsByteArrayAsync(limit.Token), onText);
        }
        catch (HttpRequestException exception)
        {
            result = result with { Problem = ApiProblem.Unreachable(api.Server, exception) };
        }
        catch (IOException exception)
        {
            result = result with { Problem = $"The answer broke off: {exception.Message}" };
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            result = result with { Problem = ApiProblem.Silent(api.Server, longest) };
        }

        return result with { Time = time.GetElapsedTime(started) };
    }

    private static TrialResult ReadWhole(TrialResult result, HttpResponseMessage response, byte[] body, Action<string> onText)
    {
        var json = Parse(body);
        if (!response.IsSuccessStatusCode)
        {
            return result with { Problem = Refused((int)response.StatusCode, json) };
        }

        if (json.Items("choices").FirstOrDefault().Member("message").Text("content") is not { } text)
        {
            return result with { Problem = "The answer is not one of a chat: check --server-url." };
        }

        onText(text);
        return result with { Answer = text };
    }

    private async Task<TrialResult> ReadStreamAsync(TrialResult result, HttpResponseMessage response, Action<string> onText, long started, CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        var problem = "The stream ended before its end.";
        try
        {
            await foreach (var item in SseParser.Create(await response.Content.ReadAsStreamAsync(cancellationToken)).EnumerateAsync(cancellationToken))
            {
                if (item.Data == "[DONE]")
                {
                    problem = null;
                    continue;
                }

                var json = Parse(Encoding.UTF8.GetBytes(item.Data));
                if (json.Member("error").Text("message") is { } message)
                {
                    problem = message;
                    break;
                }

                if (json.Items("choices").FirstOrDefault().Member("delta").Text("content") is { Length: > 0 } piece)
                {
                    result = result.FirstToken is null ? result with { FirstToken = time.GetElapsedTime(started) } : result;
                    text.Append(piece);
                    onText(piece);
                }
            }
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            problem = $"The stream broke: {exception.Message}";
        }

        return result with { Answer = text.ToString(), Problem = problem };
    }

    private static string Refused(int status, JsonElement json)
    {
        var message = json.Member("error").Text("message")?.TrimEnd('.');
        return (status, message) switch
        {
            (401, _) => "The balancer wants a client key: give one with --client-key or ROADBALANCER_CLIENT_KEY.",
            (_, null) => string.Create(CultureInfo.InvariantCulture, $"Answered {status}: check --server-url."),
            _ => string.Create(CultureInfo.InvariantCulture, $"Answered {status}: {message}."),
        };
    }

    private CancellationTokenSource Limited(CancellationToken cancellationToken)
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(longest);
        return limit;
    }

    private static string? Header(HttpResponseMessage response, string name) =>
        response.Headers.TryGetValues(name, out var values) ? string.Join(", ", values) : null;

    private static JsonElement Parse(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return document.RootElement.Clone();
        }
        catch (JsonException)
        {
            return default;
        }
    }
}
