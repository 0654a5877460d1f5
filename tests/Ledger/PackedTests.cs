using Roadbalancer.Ledger;
using Roadbalancer.Strategies;

namespace Roadbalancer.Tests.Ledger;

public class PackedTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(127)]
    [InlineData(128)]
    [InlineData(16_383)]
    [InlineData(16_384)]
    [InlineData(65_535)]
    [InlineData(65_536)]
    [InlineData(131_071)]
    public void Rounded_Below131072_IsExact(long value) => Assert.Equal(value, Rounded(value));

    [Fact]
    public void Rounded_AnyValue_IsWithin17BitsAndStaysWhenRoundedAgain()
    {
        var chance = new Chance(1);
        for (var round = 0; round < 20_000; round++)
        {
            var value = (long)(chance.NextBits() >> (11 + chance.Next(50)));
            var read = Rounded(value);
            Assert.True(Math.Abs(read - value) <= value / 131_072.0, $"{value} became {read}");
            Assert.Equal(read, Rounded(read));
        }
    }

    [Fact]
    public void Exact_AnyValue_ComesBackAndWhatIsTooLargeIsCut()
    {
        var chance = new Chance(2);
        for (var round = 0; round < 20_000; round++)
        {
            var value = (long)(chance.NextBits() >> (11 + chance.Next(50)));
            Assert.Equal(value, Exact(value));
        }

        Assert.Equal(PackedWriter.Most, Exact(long.MaxValue));
        Assert.Equal(0, Exact(-1));
        Assert.Equal(PackedWriter.Most, Rounded(long.MaxValue));
    }

    private static long Rounded(long value)
    {
        var writer = new PackedWriter();
        writer.Rounded(value);
        return new PackedReader(writer.ToString()).Rounded();
    }

    private static long Exact(long value)
    {
        var writer = new PackedWriter();
        writer.Exact(value);
        return new PackedReader(writer.ToString()).Exact();
    }
}
