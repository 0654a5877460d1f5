using System.Text;
using Roadbalancer.Proxy;
using Roadbalancer.Strategies;

namespace Roadbalancer.Tests.Proxy;

public sealed class PooledBytesTests
{
    [Fact]
    public void WriteAndUse_InAnyOrder_KeepsTheBytes()
    {
        for (var seed = 1UL; seed <= 50; seed++)
        {
            var chance = new Chance(seed);
            using var bytes = new PooledBytes();
            var model = new List<byte>();
            for (var step = 0; step < 200; step++)
            {
                if (chance.Next(2) == 0)
                {
                    var wanted = chance.Next(3000);
                    var free = bytes.GetSpan(wanted);
                    Assert.True(free.Length >= Math.Max(1, wanted));
                    var count = chance.Next(wanted + 1);
                    for (var i = 0; i < count; i++)
                    {
                        model.Add(free[i] = (byte)chance.Next(256));
                    }

                    bytes.Advance(count);
                }
                else
                {
                    var count = chance.Next(bytes.Length + 1);
                    bytes.Use(count);
                    model.RemoveRange(0, count);
                }

                Assert.True(bytes.Length == model.Count && bytes.Span.SequenceEqual(model.ToArray()) && bytes.Memory.Span.SequenceEqual(bytes.Span), $"seed {seed}, step {step}");
            }
        }
    }

    [Fact]
    public void Dispose_Twice_LeavesItEmptyAndUsable()
    {
        var bytes = new PooledBytes();
        bytes.GetSpan(10)[0] = 1;
        bytes.Advance(1);
        bytes.Dispose();
        bytes.Dispose();
        Assert.Equal(0, bytes.Length);
        bytes.GetSpan(1)[0] = 2;
        bytes.Advance(1);
        Assert.Equal([2], bytes.Span.ToArray());
        bytes.Dispose();
    }
}

public sealed class PrefixedStreamTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(100)]
    public async Task Read_AnySize_GivesPrefixThenRest(int size)
    {
        using var sync = new PrefixedStream("abc"u8.ToArray(), new MemoryStream("defg"u8.ToArray()));
        using var async = new PrefixedStream("abc"u8.ToArray(), new MemoryStream("defg"u8.ToArray()));
        var (one, other) = (new StringBuilder(), new StringBuilder());
        var buffer = new byte[size];
        int read;
        while ((read = sync.Read(buffer, 0, size)) > 0)
        {
            one.Append(Encoding.UTF8.GetString(buffer, 0, read));
        }

        while ((read = await async.ReadAsync(buffer, TestContext.Current.CancellationToken)) > 0)
        {
            other.Append(Encoding.UTF8.GetString(buffer, 0, read));
        }

        Assert.Equal(("abcdefg", "abcdefg"), (one.ToString(), other.ToString()));
    }
}
