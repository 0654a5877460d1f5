using Microsoft.AspNetCore.Http;
using Roadbalancer.Proxy;

namespace Roadbalancer.Tests.Proxy;

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
