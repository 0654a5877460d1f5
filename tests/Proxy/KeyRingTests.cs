using Microsoft.AspNetCore.Http;
using Roadbalancer.Options;
using Roadbalancer.Proxy;

namespace Roadbalancer.Tests.Proxy;

public sealed class KeyRingTests
{
    private readonly KeyRing _keys = new([new ClientKey("one", "secret-1"), new ClientKey("two", "schlüssel"), new ClientKey("three", new string('k', 1024))]);

    [Theory]
    [InlineData("Authorization", "Bearer secret-1", "one")]
    [InlineData("Authorization", "bearer   secret-1  ", "one")]
    [InlineData("Authorization", "Bearer schlüssel", "two")]
    [InlineData("api-key", "secret-1", "one")]
    [InlineData("Authorization", "Bearer secret-2", null)]
    [InlineData("Authorization", "Bearer secret-", null)]
    [InlineData("Authorization", "Bearer SECRET-1", null)]
    [InlineData("Authorization", "Bearer ", null)]
    [InlineData("Authorization", "secret-1", null)]
    [InlineData("Authorization", "Basic secret-1", null)]
    [InlineData("X-Api-Key", "secret-1", null)]
    public void Find_Header_GivesTheKeysName(string header, string value, string? expected)
    {
        var request = new DefaultHttpContext().Request;
        request.Headers[header] = value;
        Assert.Equal(expected, _keys.Find(request));
    }

    [Theory]
    [InlineData(1024, "three")]
    [InlineData(1025, null)]
    [InlineData(60_000, null)]
    public void Find_LongKey_IsBounded(int length, string? expected)
    {
        var request = new DefaultHttpContext().Request;
        request.Headers.Authorization = "Bearer " + new string('k', length);
        Assert.Equal(expected, _keys.Find(request));
    }

    [Fact]
    public void Find_BothHeaders_BearerCounts()
    {
        var request = new DefaultHttpContext().Request;
        request.Headers.Authorization = "Bearer wrong";
        request.Headers["api-key"] = "secret-1";
        Assert.Null(_keys.Find(request));
    }

    [Fact]
    public void IsOpen_NoKeys_IsTrue()
    {
        Assert.True(new KeyRing([]).IsOpen);
        Assert.False(_keys.IsOpen);
    }
}

public sealed class RequestIdsTests
{
    [Theory]
    [InlineData("abc-DEF_1.2:3")]
    [InlineData("x")]
    public void For_UsableId_IsKept(string id) => Assert.Equal(id, For(id));

    [Theory]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("a\"b")]
    [InlineData("é")]
    [InlineData("a\tb")]
    public void For_UnusableId_IsReplaced(string id) => Assert.StartsWith("req_", For(id), StringComparison.Ordinal);

    [Fact]
    public void For_Length_IsBounded()
    {
        Assert.Equal(new string('a', 128), For(new string('a', 128)));
        Assert.StartsWith("req_", For(new string('a', 129)), StringComparison.Ordinal);
    }

    [Fact]
    public void For_SeveralOrNone_IsFreshEachTime()
    {
        var ids = new[] { For("a", "b"), For(), For() };
        Assert.Equal(3, ids.Distinct().Count());
        Assert.All(ids, id => Assert.Equal(36, id.Length));
    }

    private static string For(params string[] ids)
    {
        var http = new DefaultHttpContext();
        http.Request.Headers["X-Request-Id"] = ids;
        return RequestIds.For(http);
    }
}
