using System.Net;
using System.Text;
using System.Text.Json;

namespace Roadbalancer.Ledger;

/// <summary>Entities of Azure Durable Functions, over the extension's HTTP API (Durable Functions, "HTTP API reference": signal, get and list entities).</summary>
/// <param name="http">Sends the calls.</param>
/// <param name="httpBaseUrl">As the <c>durableClient</c> input gives it: <c>https://…/runtime/webhooks/durabletask</c>.</param>
/// <param name="requiredQuery">As that input gives it; it holds the key and is told nobody.</param>
/// <param name="time">Bounds each call.</param>
internal sealed class DurableLedger(HttpClient http, Uri httpBaseUrl, string requiredQuery, TimeProvider time) : ILedger
{
    /// <summary>How long a call may take.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private const string Continuation = "x-ms-continuation-token";
    private const int PageSize = 100;
    private const int MostPages = 100;

    public async Task SignalAsync(string entity, string key, string operation, string inputJson, CancellationToken cancellationToken)
    {
        var call = $"{entity} {operation}";
        using var request = Request(HttpMethod.Post, $"{entity}/{Uri.EscapeDataString(key)}?op={Uri.EscapeDataString(operation)}&");
        request.Content = new StringContent(inputJson, Encoding.UTF8, "application/json");
        var answer = await SendAsync(request, call, cancellationToken);
        Require(answer.Status == HttpStatusCode.Accepted, answer, call);
    }

    public async Task<string?> ReadAsync(string entity, string key, CancellationToken cancellationToken)
    {
        var call = $"reading {entity}";
        using var request = Request(HttpMethod.Get, $"{entity}/{Uri.EscapeDataString(key)}?");
        var answer = await SendAsync(request, call, cancellationToken);
        Require(answer.Status is HttpStatusCode.OK or HttpStatusCode.NotFound, answer, call);
        return answer.Status == HttpStatusCode.NotFound || answer.Body is "" or "null" ? null : answer.Body;
    }

    public async Task<IReadOnlyDictionary<string, string>> ListAsync(string entity, CancellationToken cancellationToken)
    {
        var call = $"listing {entity}";
        var states = new Dictionary<string, string>(StringComparer.Ordinal);
        string? next = null;
        for (var page = 0; page < MostPages; page++)
        {
            using var request = Request(HttpMethod.Get, $"{entity}?fetchState=true&top={PageSize}&");
            if (next is not null)
            {
                request.Headers.TryAddWithoutValidation(Continuation, next);
            }

            var answer = await SendAsync(request, call, cancellationToken);
            Require(answer.Status == HttpStatusCode.OK, answer, call);
            Collect(answer.Body, call, states);
            next = answer.Next;
            if (string.IsNullOrEmpty(next) || next == "null")
            {
                return states;
            }
        }

        throw new LedgerException($"{call}: more than {MostPages * PageSize:N0} entities");
    }

    private static void Collect(string body, string call, Dictionary<string, string> states)
    {
        try
        {
            using var list = JsonDocument.Parse(body);
            foreach (var item in list.RootElement.EnumerateArray())
            {
                if (item.TryGetProperty("state", out var state) && state.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined))
                {
                    states[item.GetProperty("entityId").GetProperty("key").GetString()!] = state.GetRawText();
                }
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException or ArgumentNullException)
        {
            throw new LedgerException($"{call}: the answer is not the list that was asked for", exception);
        }
    }

    private static void Require(bool isGood, in Answer answer, string call)
    {
        if (!isGood)
        {
            throw new LedgerException($"{call}: the durable HTTP API answered {(int)answer.Status}{(answer.Status == HttpStatusCode.Unauthorized ? " (the key is not accepted)" : "")}");
        }
    }

    private HttpRequestMessage Request(HttpMethod method, string rest) =>
        new(method, $"{httpBaseUrl.AbsoluteUri.TrimEnd('/')}/entities/{rest}{requiredQuery.TrimStart('?', '&')}");

    private async Task<Answer> SendAsync(HttpRequestMessage request, string call, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            using var response = await http.SendAsync(request, either.Token);
            return new Answer(
                response.StatusCode, await response.Content.ReadAsStringAsync(either.Token),
                response.Headers.TryGetValues(Continuation, out var tokens) ? tokens.FirstOrDefault() : null);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new LedgerException($"{call}: no answer within {Patience.TotalSeconds:0} s");
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or InvalidOperationException)
        {
            // The exception's own words may hold the URL, and with it the key.
            throw new LedgerException($"{call}: the durable HTTP API cannot be reached ({exception.GetType().Name})");
        }
    }

    private readonly record struct Answer(HttpStatusCode Status, string Body, string? Next);
}
