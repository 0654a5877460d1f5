using System.Text.Json;
using Roadbalancer.Ledger;

namespace Roadbalancer.Functions.Hosted;

/// <summary>Settles with the durable entities when the platform's timer says so. Only that call brings the address of the entities, and the key to it.</summary>
internal sealed class SettleTimer(Settlement settlement, TimeProvider time) : IDisposable
{
    /// <summary>The name of the function's <c>durableClient</c> input.</summary>
    public const string ClientName = "client";

    /// <summary>The longest run: a sooner end than that of the interval, so that no run meets the next.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(25);

    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, UseCookies = false, AllowAutoRedirect = false }) { Timeout = TimeSpan.FromSeconds(10) };
    private int _running;

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

    /// <summary>One run; tells in lines what was done, or why nothing.</summary>
    public async Task<string> RunAsync((Uri BaseUrl, string Query) client, CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _running, 1) == 1)
        {
            return "Skipped: the run before is still under way";
        }

        using var timer = new CancellationTokenSource(Longest, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timer.Token);
        try
        {
            var report = await settlement.RunAsync(new DurableLedger(_http, client.BaseUrl, client.Query), limit.Token);
            return string.Join('\n', report.Lines);
        }
        catch (OperationCanceledException) when (timer.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return $"Stopped after {Longest.TotalSeconds:0} s: the next run goes on from here";
        }
        finally
        {
            Volatile.Write(ref _running, 0);
        }
    }
}
