using Roadbalancer.Soak;

namespace Roadbalancer.Tests.Soak;

public sealed class SoakTests
{
    [Fact]
    public async Task Soak_EveryFaultAtRandom_LosesNothingWithoutAReason()
    {
        var report = await SoakRun.RunAsync(new SoakSettings { Seconds = 20, Rate = 50, Seed = 20260102, WatchesProcess = false });
        TestContext.Current.TestOutputHelper?.WriteLine(report.Text);
        Assert.Empty(report.Violations);
        Assert.Equal(1000, report.Requests);
        Assert.InRange(report.Whole, 800, 1000);
    }
}
