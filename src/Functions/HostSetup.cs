using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging.Console;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Telemetry;

namespace Roadbalancer.Functions;

/// <summary>What belongs to the process and not to balancing: its log and what it says at start.</summary>
internal static partial class HostSetup
{
    /// <param name="showsRequests">Each request gets a line: what the demo is for.</param>
    public static void AddLogging(ILoggingBuilder logging, Roadbalancer.Options.HostOptions host, bool showsRequests)
    {
        logging.SetMinimumLevel(host.LogLevel);
        if (showsRequests)
        {
            logging.AddFilter(typeof(AttemptLoop).FullName, LogLevel.Debug);
        }

        logging.AddFilter("Microsoft", LogLevel.Warning);

        // A start that fails is told by the program, in a line; what ends it later is critical.
        logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical);

        // Kestrel reports every answer that is cut off on purpose as a fault; the balancer has told of each by then.
        logging.AddFilter("Microsoft.AspNetCore.Server.Kestrel", LogLevel.Critical);
        if (host.LogFormat == LogFormat.Json)
        {
            logging.Services.AddSingleton<ConsoleFormatter>(new JsonLogFormatter(TimeProvider.System));
            logging.AddConsole(console => console.FormatterName = JsonLogFormatter.FormatterName);
        }
        else
        {
            logging.AddSimpleConsole(text =>
            {
                text.SingleLine = true;
                text.TimestampFormat = "HH:mm:ss.fff ";
                text.ColorBehavior = LoggerColorBehavior.Default;
            });
        }
    }

    /// <summary>Sends metrics and traces where that is wanted; where it is not, nothing of what it needs is loaded.</summary>
    public static void AddExport(IServiceCollection services, OtlpSettings? settings)
    {
        if (settings is not null)
        {
            AddWantedExport(services, settings);
        }
    }

    /// <summary>A method of its own: compiling it loads OpenTelemetry.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void AddWantedExport(IServiceCollection services, OtlpSettings settings) => OtlpExport.Add(services, settings);

    /// <summary>Tells where it listens, in which mode, over which backends; and, for the demo, what to try.</summary>
    public static void Announce(WebApplication app, OptionsResult loaded, bool isDemo)
    {
        var log = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("Roadbalancer");
        var url = app.Urls.First().Replace("0.0.0.0", "127.0.0.1", StringComparison.Ordinal).Replace("[::]", "127.0.0.1", StringComparison.Ordinal);
        LogListening(log, string.Join(" ", app.Urls), url);
        LogLine(log, OptionsReport.Mode(loaded.Options!));
        foreach (var backend in OptionsReport.Backends(loaded.Options!))
        {
            LogLine(log, backend);
        }

        if (loaded.File is { } file)
        {
            LogFile(log, file);
        }

        if (loaded.PassedOver is { } ignored)
        {
            LogPassedOver(log, ignored);
        }

        if (isDemo)
        {
            LogTry(log, url);
            LogDashboard(log, url);
        }
    }

    [LoggerMessage(5000, LogLevel.Information, "Listening on {Urls}; the base URL for OpenAI clients is {Url}/v1")]
    private static partial void LogListening(ILogger logger, string urls, string url);

    [LoggerMessage(5001, LogLevel.Information, "{Line}")]
    private static partial void LogLine(ILogger logger, string line);

    [LoggerMessage(5002, LogLevel.Information, "Configuration file: {File} (watched)")]
    private static partial void LogFile(ILogger logger, string file);

    [LoggerMessage(5005, LogLevel.Information, "The demo leaves {File} alone; named with --config it would count, and the simulated backends would be added to its own")]
    private static partial void LogPassedOver(ILogger logger, string file);

    [LoggerMessage(5003, LogLevel.Information,
        "Try: curl -N {Url}/v1/chat/completions -H 'Content-Type: application/json' -d '{{\"model\":\"demo-model\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'")]
    private static partial void LogTry(ILogger logger, string url);

    [LoggerMessage(5004, LogLevel.Information, "Watch: {Url}/dashboard")]
    private static partial void LogDashboard(ILogger logger, string url);
}
