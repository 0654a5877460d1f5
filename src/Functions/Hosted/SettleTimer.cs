using System.Text.Json;
using Roadbalancer.Ledger;

namespace Roadbalancer.Functions.Hosted;

/// <summary>Settles with the durable entities when the platform's timer says so. Only that call brings the address of the entities, and the key to it.</summary>
internal sealed class SettleTimer(Settlement settlement, TimeProvider time) : IDisposable
{
    /// <summary>The name of the function's <c>durableClient</c> input.</summary>
    public const string ClientName = "client";

    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, UseCookies = false, AllowAutoRedirect = false });

    public void Dispose() => _http.Dispose();

    /// <summary>What <c>Data.client</c> says of the durable client; null when it says nothing usable.</summary>
    public static (Uri BaseUrl, string Query)? ClientOf(JsonElement? input)
    {
        try
        {
            if (input is null || Invocation.Unquoted(input.Value) is not { } text)
            {
                return null;
            }

            using var client = JsonDocument.Parse(text);
            return client.RootElement.TryGetProperty("httpBaseUrl", out var address) && Uri.TryCreate(address.GetString(), UriKind.Absolute, out var url)
                && url.Scheme is "http" or "https"
                && client.RootElement.TryGetProperty("requiredQueryStringParameters", out var query)
                ? (url, query.GetString() ?? "") : null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>One run, bounded and never beside another, as <see cref="Settlement"/> sees to; tells in lines what was done, or why nothing.</summary>
    public async Task<string> RunAsync((Uri BaseUrl, string Query) client, CancellationToken cancellationToken)
    {
        var report = await settlement.RunAsync(new DurableLedger(_http, client.BaseUrl, client.Query, time), cancellationToken);
        return report.Lines.IsEmpty ? "Nothing had moved" : string.Join('\n', report.Lines);
    }
}
