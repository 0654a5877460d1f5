using Microsoft.AspNetCore.Http;
using Roadbalancer.Keys;
using Roadbalancer.Options;

namespace Roadbalancer.Tests.Keys;

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

    [Fact]
    public void Match_SameKeysAgainAndOthersBetween_AlwaysGivesTheirOwn()
    {
        var keys = Enumerable.Range(0, 200).Select(number => new ClientKey($"key{number}", $"secret-{number}")).ToArray();
        var ring = new KeyRing([.. keys]);
        for (var round = 0; round < 3; round++)
        {
            foreach (var key in keys)
            {
                var secret = $"secret-{key.Name[3..]}";
                Assert.Equal((key.Name, null, null), (ring.Find(secret), ring.Find(secret + "x"), ring.Find(secret[..^1] + "\0")));
            }
        }
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

    [Fact]
    public void IsOpen_AllKeysTakenAway_IsFalse()
    {
        var ring = new KeyRing([], isClosed: true);
        var request = new DefaultHttpContext().Request;
        request.Headers.Authorization = "Bearer ";
        Assert.False(ring.IsOpen);
        Assert.Null(ring.Find(request));
    }
}
