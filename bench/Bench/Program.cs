using System.Globalization;
using System.Runtime.InteropServices;
using Roadbalancer.Bench;

// Roles that the benchmark starts as processes of their own, then the benchmark itself.
switch (args)
{
    case ["forward", var port, .. var to] when to.Length > 0:
        await Forwarder.RunAsync(int.Parse(port, CultureInfo.InvariantCulture), to);
        return 0;
    case ["stream", .. var ports] when ports.Length > 0:
        await StreamUpstream.RunAsync([.. ports.Select(port => int.Parse(port, CultureInfo.InvariantCulture))]);
        return 0;
    case [var name, .. var only] when BenchPlan.Named(name) is { } plan:
        return await EndingAllAsync(async () =>
        {
            await new BenchRun(plan, only).RunAsync();
            return 0;
        });
    case ["sustained", .. var rest] when rest.Length < 2:
        return await EndingAllAsync(() => Sustained.RunAsync(TimeSpan.FromMinutes(rest.Length == 0 ? 30 : double.Parse(rest[0], CultureInfo.InvariantCulture))));
    default:
        await Console.Error.WriteLineAsync("Usage: bench.sh [quick | full | requests | streams] [SUBJECT...] | bench.sh sustained [MINUTES]");
        return 2;
}

static async Task<int> EndingAllAsync(Func<Task<int>> run)
{
    using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, static _ => RunningProcess.EndAll());
    using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, static _ => RunningProcess.EndAll());
    try
    {
        return await run();
    }
    catch (InvalidOperationException exception)
    {
        await Console.Error.WriteLineAsync(exception.Message);
        return 1;
    }
    finally
    {
        RunningProcess.EndAll();
    }
}
