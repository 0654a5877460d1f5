using System.Runtime.InteropServices;
using Roadbalancer.Proxy;

namespace Roadbalancer.Telemetry;

/// <summary>The process that the balancer runs in; for a server, whose process is the balancer's own. Names are OpenTelemetry's for processes and .NET.</summary>
internal sealed class ProcessMetrics
{
    private static readonly string[] Generations = ["gen0", "gen1", "gen2"];

    /// <param name="metrics">Where they are told.</param>
    /// <param name="time">Measures how long the process has been up, from here on.</param>
    public ProcessMetrics(BalancerMetrics metrics, TimeProvider time)
    {
        var all = metrics.All;
        var startedAt = time.GetTimestamp();
        var version = typeof(ProcessMetrics).Assembly.GetName().Version?.ToString(3) ?? "";
        all.Gauge("roadbalancer.build_info", "{build}", "Always 1; the tags say what runs.",
            () => [new Reading(1, version, Environment.Version.ToString(), RuntimeInformation.RuntimeIdentifier)],
            "version", "dotnet", "platform");
        all.Gauge("process.uptime", "s", "Since the balancer was set up.", () => [new Reading(time.GetElapsedTime(startedAt).TotalSeconds)]);
        all.Counter("process.cpu.time", "s", "Processor time used.", () =>
        {
            var used = Environment.CpuUsage;
            return [new Reading(used.UserTime.TotalSeconds, "user"), new Reading(used.PrivilegedTime.TotalSeconds, "system")];
        }, "cpu.mode");
        all.Gauge("process.memory.usage", "By", "Physical memory in use.", () => [new Reading(Environment.WorkingSet)]);
        all.Counter("dotnet.gc.collections", "{collection}", "Garbage collections.",
            () => Generations.Select((name, generation) => new Reading(GC.CollectionCount(generation) - OfOlder(generation), name)), "gc.heap.generation");
        all.Counter("dotnet.gc.pause.time", "s", "Time that garbage collections held the process up.", () => [new Reading(GC.GetTotalPauseDuration().TotalSeconds)]);
        all.Counter("dotnet.gc.heap.total_allocated", "By", "Bytes allocated on the managed heap.", () => [new Reading(GC.GetTotalAllocatedBytes())]);
        all.Gauge("dotnet.thread_pool.queue.length", "{work_item}", "Work that waits for a thread of the pool.", () => [new Reading(ThreadPool.PendingWorkItemCount)]);
    }

    /// <summary>The runtime counts a collection of a generation among those of every younger one too.</summary>
    private static int OfOlder(int generation) => generation < 2 ? GC.CollectionCount(generation + 1) : 0;
}
