using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Proxy;

namespace Roadbalancer.Tests.Proxy;

/// <summary>Requests without a server, for the parts that need no more of one.</summary>
internal static class Exchanges
{
    public static Exchange Of(Pool pool, TimeProvider time, HttpContext? http = null, RequestFacts? facts = null, string[]? tags = null) =>
        new(http ?? new DefaultHttpContext { Response = { Body = new MemoryStream() } }, pool, time)
        {
            Path = "chat/completions",
            Facts = facts ?? new RequestFacts(),
            Shape = ApiShape.Chat,
            RequestId = "req_test",
            Tags = tags ?? [],
        };
}
