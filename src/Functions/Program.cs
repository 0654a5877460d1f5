using System.Reflection;
using System.Runtime.InteropServices;
using Roadbalancer;
using Roadbalancer.Backends;
using Roadbalancer.Functions;
using Roadbalancer.Functions.Hosted;
using Roadbalancer.Ledger;
using Roadbalancer.Options;
using Roadbalancer.Simulation;
using Roadbalancer.State;

ServerSetup.PreferInlineSockets();
var commandLine = CommandLine.Parse(args);
if (commandLine.Help || commandLine.Version)
{
    Console.WriteLine(commandLine.Help ? CommandLine.Usage : $"Roadbalancer {Assembly.GetExecutingAssembly().GetName().Version?.ToString(3)}");
    return 0;
}

using var stop = new CancellationTokenSource();
if (commandLine is { SimulatePorts.IsEmpty: false, Errors.IsEmpty: true })
{
    using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
    using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
    return await SimulationHost.RunAsync(commandLine.SimulatePorts, Console.Out, TimeProvider.System, stop.Token);
}

var demo = commandLine.Demo ? await Demo.StartAsync(TimeProvider.System, [], stop.Token) : null;
var environment = OptionsLoader.ProcessEnvironment();
var limits = FunctionsHost.LimitsOf(environment, Environment.CurrentDirectory);
var loader = new OptionsLoader(environment, commandLine, Environment.CurrentDirectory) { DemoBackends = demo?.Options.Backends ?? [], Limits = limits };
var loaded = loader.Load();
await Console.Error.WriteAsync(OptionsReport.Warnings(loaded));
var otlp = OtlpSettings.Read(Environment.GetEnvironmentVariable, out var problems);
if (!loaded.IsValid || problems.Length > 0)
{
    await Console.Error.WriteAsync(OptionsReport.Errors(loaded) + problems);
    return 2;
}

var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
builder.WebHost.UseKestrelCore().UseUrls([.. loaded.Host.ListenUrls]);
HostSetup.AddLogging(builder.Logging, loaded.Host, showsRequests: commandLine.Demo);
builder.Services.AddOwnLedger(loaded.Host);
builder.Services.AddRoadbalancer(loaded.Options, ownTimers: limits is null);
builder.Services.AddFunctions(limits);
builder.Services.AddHostedService(services => new OptionsWatcher(
    loader, loaded, services.GetRequiredService<PoolSource>(), TimeProvider.System, services.GetRequiredService<ILogger<OptionsWatcher>>()));
HostSetup.AddExport(builder.Services, otlp);
await using var app = builder.Build();
app.UseFunctions();
app.MapRoadbalancer();
if (await app.Services.CheckRedisAsync(loaded.Options) is { } missing)
{
    await Console.Error.WriteLineAsync(missing);
    return 1;
}

try
{
    await app.StartAsync();
}
catch (IOException exception)
{
    await Console.Error.WriteLineAsync($"Cannot listen on {string.Join(" ", loaded.Host.ListenUrls)}: {exception.Message}");
    return 1;
}

HostSetup.Announce(app, loaded, isDemo: demo is not null);
await app.WaitForShutdownAsync();
if (demo is not null)
{
    await demo.DisposeAsync();
}

return 0;

void Stop(PosixSignalContext signal)
{
    signal.Cancel = true;
    stop.Cancel();
}
