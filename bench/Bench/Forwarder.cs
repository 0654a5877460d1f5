using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace Roadbalancer.Bench;

/// <summary>The yardstick: what a forwarder on ASP.NET costs that parses nothing, counts nothing and passes every byte on as it comes.</summary>
internal static class Forwarder
{
    private static readonly HashSet<string> HopByHop = new(StringComparer.OrdinalIgnoreCase)
    {
        "Connection", "Keep-Alive", "Transfer-Encoding", "Host", "Upgrade", "TE", "Trailer", "Proxy-Connection",
    };

    public static async Task RunAsync(int port, string[] to)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls($"http://127.0.0.1:{port}");
        await using var app = builder.Build();
        using var upstream = new HttpMessageInvoker(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            AutomaticDecompression = DecompressionMethods.None,
            ActivityHeadersPropagator = null,
        });
        var turn = 0u;
        app.Run(http => ForwardAsync(http, upstream, to[Interlocked.Increment(ref turn) % (uint)to.Length]));
        await app.RunAsync();
    }

    private static async Task ForwardAsync(HttpContext http, HttpMessageInvoker upstream, string to)
    {
        using var request = new HttpRequestMessage(new HttpMethod(http.Request.Method), to + http.Request.Path + http.Request.QueryString)
        {
            Content = http.Request.ContentLength > 0 ? new StreamContent(http.Request.Body) : null,
        };
        foreach (var (name, values) in http.Request.Headers)
        {
            if (!HopByHop.Contains(name) && !request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values))
            {
                request.Content?.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
            }
        }

        using var response = await upstream.SendAsync(request, http.RequestAborted);
        http.Response.StatusCode = (int)response.StatusCode;
        foreach (var (name, values) in response.Headers.Concat(response.Content.Headers))
        {
            if (!HopByHop.Contains(name))
            {
                http.Response.Headers[name] = values.ToArray();
            }
        }

        await using var body = await response.Content.ReadAsStreamAsync(http.RequestAborted);
        while (true)
        {
            var read = await body.ReadAsync(http.Response.BodyWriter.GetMemory(4096), http.RequestAborted);
            if (read == 0)
            {
                return;
            }

            http.Response.BodyWriter.Advance(read);
            await http.Response.BodyWriter.FlushAsync(http.RequestAborted);
        }
    }
}
