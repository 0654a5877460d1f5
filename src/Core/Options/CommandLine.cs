using System.Collections.Immutable;
using System.Globalization;

namespace Roadbalancer.Options;

/// <summary>The arguments of the program, parsed but not yet checked against the rest of the configuration.</summary>
internal sealed record CommandLine
{
    /// <summary>What <c>--help</c> prints.</summary>
    public const string Usage = """
        Usage: roadbalancer [options]

          --config FILE           YAML or JSON; default: ROADBALANCER_CONFIG, else config.yaml in the working folder
          --strategy NAME         which backend gets the next request, e.g. round_robin
          --host ADDRESS          where to listen; default HOST, else 127.0.0.1
          --port N                default PORT, else 5000; 0 picks a free one
          --urls URLS             e.g. http://127.0.0.1:5000;http://[::1]:5000; wins over host and port
          --demo                  balance over three simulated backends; config.yaml is left alone, a file that is named is not
          --simulate PORT...      only simulate backends, one on each port
          --log-format FORMAT     text (default) or json
          --log-level LEVEL       trace, debug, information (default), warning, error, critical, none
          --help, --version
        """;

    private static readonly string[] WithValue = ["--config", "--strategy", "--host", "--port", "--urls", "--log-format", "--log-level"];
    private static readonly string[] Known = [.. WithValue, "--demo", "--simulate", "--help", "--version"];

    /// <summary><c>--config</c>.</summary>
    public string? ConfigFile { get; init; }

    /// <summary><c>--strategy</c>.</summary>
    public string? Strategy { get; init; }

    /// <summary><c>--host</c>.</summary>
    public string? Host { get; init; }

    /// <summary><c>--port</c>, unchecked.</summary>
    public string? Port { get; init; }

    /// <summary><c>--urls</c>, unchecked.</summary>
    public string? Urls { get; init; }

    /// <summary><c>--log-format</c>, unchecked.</summary>
    public string? LogFormat { get; init; }

    /// <summary><c>--log-level</c>, unchecked.</summary>
    public string? LogLevel { get; init; }

    /// <summary><c>--demo</c>: three simulated backends are added to what is configured; a <c>config.yaml</c> that nobody named does not count.</summary>
    public bool Demo { get; init; }

    /// <summary><c>--simulate</c>: the ports to simulate backends on, 0 for a free one; empty without the option.</summary>
    public ImmutableArray<int> SimulatePorts { get; init; } = [];

    /// <summary><c>--help</c>, <c>-h</c>.</summary>
    public bool Help { get; init; }

    /// <summary><c>--version</c>.</summary>
    public bool Version { get; init; }

    /// <summary>What is wrong with the arguments; <see cref="OptionsLoader.Load"/> reports it with everything else.</summary>
    public ImmutableArray<OptionsError> Errors { get; init; } = [];

    /// <summary>Reads <c>--name value</c> and <c>--name=value</c>; of a repeated option the last counts. Never throws.</summary>
    public static CommandLine Parse(IReadOnlyList<string> arguments)
    {
        var line = new CommandLine();
        for (var i = 0; i < arguments.Count; i++)
        {
            var sign = arguments[i].StartsWith("--", StringComparison.Ordinal) ? arguments[i].IndexOf('=', StringComparison.Ordinal) : -1;
            var name = sign < 0 ? arguments[i] : arguments[i][..sign];
            var value = sign < 0 ? null : arguments[i][(sign + 1)..];
            if (WithValue.Contains(name))
            {
                value ??= i + 1 < arguments.Count && !IsOption(arguments[i + 1]) ? arguments[++i] : null;
                line = string.IsNullOrWhiteSpace(value) ? line.With(new(name, null, "needs a value")) : line.WithValueOf(name, value);
            }
            else if (name == "--simulate")
            {
                line = line.Simulate(arguments, ref i, value);
            }
            else
            {
                line = value is null ? line.WithFlag(arguments, ref i) : line.With(Known.Contains(name) ? new(name, null, "takes no value") : Unknown(name));
            }
        }

        return line;
    }

    private static bool IsOption(string argument) => argument.StartsWith('-') && argument.Length > 1;

    private static OptionsError Unknown(string name) => new(KeyText.Path(name), null, "unknown option" + KeyText.Suggestion(name, Known));

    private CommandLine With(OptionsError error) => this with { Errors = Errors.Add(error) };

    private CommandLine WithValueOf(string name, string value) => name switch
    {
        "--config" => this with { ConfigFile = value },
        "--strategy" => this with { Strategy = value },
        "--host" => this with { Host = value },
        "--port" => this with { Port = value },
        "--urls" => this with { Urls = value },
        "--log-format" => this with { LogFormat = value },
        _ => this with { LogLevel = value },
    };

    private CommandLine WithFlag(IReadOnlyList<string> arguments, ref int i)
    {
        switch (arguments[i])
        {
            case "--demo":
                return this with { Demo = true };
            case "--help" or "-h" or "-?":
                return this with { Help = true };
            case "--version":
                return this with { Version = true };
            case var option when IsOption(option):
                // What follows an unknown option is probably its value, and may be a secret: it is skipped, not quoted.
                var end = i + 1 < arguments.Count && !IsOption(arguments[i + 1]) ? i + 1 : i;
                i = end;
                return With(Unknown(option));
            default:
                return With(new("argument", null, $"{KeyText.Shown(arguments[i])} belongs to no option; options begin with --"));
        }
    }

    private CommandLine Simulate(IReadOnlyList<string> arguments, ref int i, string? first)
    {
        var line = this;
        var texts = first is null ? new List<string>() : [.. first.Split(',', StringSplitOptions.TrimEntries)];
        while (i + 1 < arguments.Count && !IsOption(arguments[i + 1]))
        {
            texts.Add(arguments[++i]);
        }

        foreach (var text in texts)
        {
            line = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port <= 65_535
                ? line with { SimulatePorts = line.SimulatePorts.Add(port) }
                : line.With(new("--simulate", KeyText.Shown(text), "must be ports from 0 to 65,535"));
        }

        return texts.Count > 0 ? line : line.With(new("--simulate", null, "needs at least one port"));
    }
}
