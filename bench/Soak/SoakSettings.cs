namespace Roadbalancer.Soak;

/// <summary>What a soak is run with.</summary>
public sealed record SoakSettings
{
    /// <summary>How long requests are sent, in seconds. Default 600.</summary>
    public int Seconds { get; init; } = 600;

    /// <summary>Requests sent in a second, whether or not earlier ones are answered. Default 200.</summary>
    public int Rate { get; init; } = 200;

    /// <summary>Decides every request and fault; which attempt meets which fault also depends on timing.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Whether heap, handles and timers of the process are checked: only where nothing else runs in it. Default true.</summary>
    public bool WatchesProcess { get; init; } = true;

    /// <summary>Reads <c>--seconds N --rate N --seed N</c>; null when they are something else.</summary>
    public static SoakSettings? Parse(IReadOnlyList<string> args)
    {
        var settings = new SoakSettings();
        for (var i = 0; i < args.Count; i += 2)
        {
            if (i + 1 >= args.Count || !ulong.TryParse(args[i + 1], out var number) || number > int.MaxValue)
            {
                return null;
            }

            switch (args[i])
            {
                case "--seconds" when number > 0:
                    settings = settings with { Seconds = (int)number };
                    break;
                case "--rate" when number > 0:
                    settings = settings with { Rate = (int)number };
                    break;
                case "--seed":
                    settings = settings with { Seed = number };
                    break;
                default:
                    return null;
            }
        }

        return settings;
    }
}
