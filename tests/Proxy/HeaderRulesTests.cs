using Microsoft.Extensions.Primitives;
using Roadbalancer.Backends;
using Roadbalancer.Proxy;

namespace Roadbalancer.Tests.Proxy;

public sealed class HeaderRulesTests
{
    private static readonly Backend _open = new() { Name = "a", BaseUrl = new Uri("http://a/v1") };

    [Theory]
    [InlineData("Connection", false)]
    [InlineData("keep-alive", false)]
    [InlineData("TE", false)]
    [InlineData("Trailer", false)]
    [InlineData("Transfer-Encoding", false)]
    [InlineData("upgrade", false)]
    [InlineData("Proxy-Connection", false)]
    [InlineData("proxy-authorization", false)]
    [InlineData("Proxy-Anything", false)]
    [InlineData("Host", false)]
    [InlineData("content-length", false)]
    [InlineData("Expect", false)]
    [InlineData("Accept-Encoding", false)]
    [InlineData("AUTHORIZATION", false)]
    [InlineData("Api-Key", false)]
    [InlineData("x-api-key", false)]
    [InlineData("Cookie", false)]
    [InlineData("x-functions-key", false)]
    [InlineData("X-Backend-Tags", false)]
    [InlineData("x-debug-routing", false)]
    [InlineData("X-Azure-Functions-HostId", false)]
    [InlineData("x-ms-invocation-id", false)]
    [InlineData("X-MS-TOKEN-AAD-ACCESS-TOKEN", false)]
    [InlineData("x-ms-client-principal-id", false)]
    [InlineData("X-ARR-ClientCert", false)]
    [InlineData(":authority", false)]
    [InlineData("", false)]
    [InlineData("Content-Type", true)]
    [InlineData("Content-Encoding", true)]
    [InlineData("Accept", true)]
    [InlineData("User-Agent", true)]
    [InlineData("X-Session-Id", true)]
    [InlineData("X-Request-Id", true)]
    [InlineData("X-Forwarded-For", true)]
    [InlineData("Forwarded", true)]
    [InlineData("OpenAI-Organization", true)]
    [InlineData("Priority", true)]
    [InlineData("x-ms-client-request-id", true)]
    [InlineData("traceparent", true)]
    public void PassesToBackend_Name_IsDecided(string name, bool expected) => Assert.Equal(expected, HeaderRules.PassesToBackend(name));

    [Theory]
    [InlineData("connection", false)]
    [InlineData("Transfer-Encoding", false)]
    [InlineData("Set-Cookie", false)]
    [InlineData("server", false)]
    [InlineData("Alt-Svc", false)]
    [InlineData("Strict-Transport-Security", false)]
    [InlineData("Content-Length", false)]
    [InlineData("x-backend", false)]
    [InlineData("X-Attempts", false)]
    [InlineData("x-request-id", false)]
    [InlineData("X-Backend-Attempts", false)]
    [InlineData("Content-Type", true)]
    [InlineData("Content-Encoding", true)]
    [InlineData("Access-Control-Allow-Origin", true)]
    [InlineData("x-ratelimit-remaining-tokens", true)]
    [InlineData("Retry-After", true)]
    [InlineData("WWW-Authenticate", true)]
    [InlineData("openai-processing-ms", true)]
    public void PassesToClient_Name_IsDecided(string name, bool expected) => Assert.Equal(expected, HeaderRules.PassesToClient(name));

    [Theory]
    [InlineData("Authorization", null, (int)BackendAuth.Bearer, false, true)]
    [InlineData("api-key", null, (int)BackendAuth.ApiKey, false, true)]
    [InlineData("X-Api-Key", null, (int)BackendAuth.Bearer, false, true)]
    [InlineData("Cookie", null, (int)BackendAuth.Bearer, false, false)]
    [InlineData("Authorization", "own", (int)BackendAuth.Bearer, false, false)]
    [InlineData("Authorization", null, (int)BackendAuth.None, false, false)]
    [InlineData("Authorization", null, (int)BackendAuth.Bearer, true, false)]
    public void CredentialPasses_OnlyToAKeylessBackendOfAnOpenBalancer(string name, string? apiKey, int auth, bool clientsAuthenticate, bool expected) =>
        Assert.Equal(expected, HeaderRules.CredentialPasses(name, _open with { ApiKey = apiKey, Auth = (BackendAuth)auth }, clientsAuthenticate));

    [Theory]
    [InlineData("X-Hop", true)]
    [InlineData("x-other", true)]
    [InlineData("close", true)]
    [InlineData("X-Ho", false)]
    public void IsNamedBy_Connection_FindsWholeNames(string name, bool expected)
    {
        Assert.Equal(expected, HeaderRules.IsNamedBy(new StringValues(["close , x-hop", "X-Other"]), name));
        Assert.False(HeaderRules.IsNamedBy(StringValues.Empty, name));
    }

    [Theory]
    [InlineData(null, "", "")]
    [InlineData("?", "", "")]
    [InlineData("", "api-version=1", "?api-version=1")]
    [InlineData("?a=1&b=%20x&c", "", "?a=1&b=%20x&c")]
    [InlineData("?code=secret", "", "")]
    [InlineData("?a=1&CODE=secret&b=2", "", "?a=1&b=2")]
    [InlineData("?c%6Fde=secret&codes=1", "", "?codes=1")]
    [InlineData("?code", "", "")]
    [InlineData("?code=a&code=b&&x=code", "", "?x=code")]
    [InlineData("?api-version=9&a=1", "api-version=1&z=2", "?a=1&api-version=1&z=2")]
    [InlineData("?API%2Dversion=9", "api-version=1", "?api-version=1")]
    public void StripQuery_Queries_AreMerged(string? query, string own, string expected) => Assert.Equal(expected, HeaderRules.StripQuery(query, own));
}
