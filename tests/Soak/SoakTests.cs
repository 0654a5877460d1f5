using Roadbalancer.Soak;

namespace Roadbalancer.Tests.Soak;

public sealed class SoakTests
{
    [Fact]
    public async Task Soak_EveryFaultAtRandom_LosesNothingWithoutAReason()
    {
        var report = await SoakRun.RunAsync(new SoakSettings { Seconds = 10, Rate = 50, Seed = 20260102, WatchesProcess = false });
        TestContext.Current.TestOutputHelper?.WriteLine(report.Text);
        Assert.Empty(report.Violations);
        Assert.Equal(500, report.Requests);
        Assert.InRange(report.Whole, 400, 500);
    }
}
