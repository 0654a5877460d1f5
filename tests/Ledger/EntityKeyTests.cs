using Roadbalancer.Ledger;

namespace Roadbalancer.Tests.Ledger;

public class EntityKeyTests
{
    [Theory]
    [InlineData("gpu1", "67707531")]
    [InlineData("GPU1", "67707531")]
    [InlineData("a/b#c?d%+\\", "612f6223633f64252b5c")]
    [InlineData("ö", "c3b6")]
    public void Of_AnyName_IsHexOfTheLowerCaseName(string name, string key)
    {
        Assert.Equal(key, EntityKey.Of(name));
        Assert.Equal(name.ToLowerInvariant(), EntityKey.NameOf(key));
    }

    [Theory]
    [InlineData("")]
    [InlineData("xyz")]
    [InlineData("6")]
    [InlineData("ff")]
    public void NameOf_NoSuchKey_IsNull(string key) => Assert.Null(EntityKey.NameOf(key));
}
