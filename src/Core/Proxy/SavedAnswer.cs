using System.Globalization;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Roadbalancer.Proxy;

/// <summary>A backend's error answer, kept so that the client can have it as it was when nothing better comes.</summary>
internal sealed class SavedAnswer
{
    /// <summary>The most that is kept of its body, in bytes.</summary>
    public const int BodyLimit = 1024 * 1024;

    private readonly List<KeyValuePair<string, string>> _headers = [];
    private readonly byte[] _body;

    public SavedAnswer(string backend, HttpResponseMessage response, ReadOnlySpan<byte> body)
    {
        Backend = backend;
        Status = (int)response.StatusCode;
        _body = body.ToArray();
        Keep(response.Headers.NonValidated);
        Keep(response.Content.Headers.NonValidated);
    }

    public string Backend { get; }

    public int Status { get; }

    public async Task WriteAsync(Exchange exchange)
    {
        var response = exchange.Http.Response;
        response.StatusCode = Status;
        response.ContentLength = _body.Length;
        foreach (var (name, value) in _headers)
        {
            response.Headers[name] = StringValues.Concat(response.Headers[name], value);
        }

        Trail.Write(exchange, response.Headers, Backend);
        if (!HttpMethods.IsHead(exchange.Http.Request.Method))
        {
            await response.Body.WriteAsync(_body, exchange.ClientLeft);
        }
    }

    private void Keep(HttpHeadersNonValidated headers)
    {
        foreach (var (name, values) in headers)
        {
            if (HeaderRules.PassesToClient(name))
            {
                foreach (var value in values.Where(HeaderRules.IsWritable))
                {
                    _headers.Add(new(name, value));
                }
            }
        }
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Status} from {Backend}");
}
