using System.Globalization;

namespace Roadbalancer.Simulation;

/// <summary><c>--simulate PORT…</c>: simulated backends without delays, for tests and benchmarks that set faults by request.</summary>
internal static class SimulationHost
{
    /// <summary>Runs one backend a port, named <c>sim-PORT</c>, until cancelled; prints one line for each.</summary>
    /// <returns>The exit code: 0 after cancellation, 1 when a port is taken (which is printed too).</returns>
    public static async Task<int> RunAsync(IEnumerable<int> ports, TextWriter output, TimeProvider time, CancellationToken cancellationToken)
    {
        var profiles = ports.Select(port => new SimulatedBackend { Name = "sim-" + port.ToString(CultureInfo.InvariantCulture), Port = port });
        try
        {
            var running = await Demo.StartAllAsync(profiles, time, cancellationToken);
            foreach (var simulation in running)
            {
                await output.WriteLineAsync($"simulated LLM backend on {simulation.BaseUrl} (any model; faults by ?sim=… or by a model named sim;…)");
            }

            await output.FlushAsync(CancellationToken.None);
            await UntilCancelledAsync(cancellationToken);
            foreach (var simulation in running)
            {
                await simulation.DisposeAsync();
            }

            return 0;
        }
        catch (IOException exception)
        {
            await output.WriteLineAsync($"cannot simulate: {exception.Message}");
            return 1;
        }
        catch (OperationCanceledException)
        {
            return 0;
        }
    }

    private static async Task UntilCancelledAsync(CancellationToken cancellationToken)
    {
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = cancellationToken.Register(() => over.TrySetResult());
        await over.Task;
    }
}
