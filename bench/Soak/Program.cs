using Roadbalancer.Soak;

if (SoakSettings.Parse(args) is not { } settings)
{
    Console.Error.WriteLine("Usage: dotnet run -c Release --project bench/Soak -- [--seconds 600] [--rate 200] [--seed N]");
    return 2;
}

Console.WriteLine($"{settings.Seconds} s at {settings.Rate} requests a second, seed {settings.Seed}");
var report = await SoakRun.RunAsync(settings);
Console.Write(report.Text);
return report.Violations.Count == 0 ? 0 : 1;
