using System.Text;

namespace Roadbalancer.Cli.Display;

/// <summary>The whole terminal for as long as this lives; afterwards it is as it was. ECMA-48 and xterm's alternate screen.</summary>
internal sealed class FullScreen : IDisposable
{
    private const string Enter = "\e[?1049h\e[?25l";
    private const string Leave = "\e[?25h\e[?1049l";
    private const string ToTop = "\e[H";
    private const string ToLineEnd = "\e[K";
    private const string ToScreenEnd = "\e[J";

    private readonly Terminal _terminal;

    private FullScreen(Terminal terminal) => _terminal = terminal;

    /// <param name="quit">Called when the user types q.</param>
    public static FullScreen Open(Terminal terminal, Action quit)
    {
        if (!Console.IsInputRedirected)
        {
            // A thread of its own: a key is waited for all the time, since the terminal shows what is typed while nobody waits. It ends with the process.
            new Thread(() => AwaitQuit(quit)) { IsBackground = true }.Start();
        }

        terminal.WriteRaw(Enter);
        return new(terminal);
    }

    /// <summary>Draws over what was there, without flicker; lines that do not fit are left out, before the last one.</summary>
    public void Show(IReadOnlyList<string> lines)
    {
        var room = Math.Max(2, Console.WindowHeight);
        IEnumerable<string> fitting = lines.Count <= room ? lines : [.. lines.Take(room - 1), lines[^1]];
        var frame = new StringBuilder(ToTop);
        frame.AppendJoin(ToLineEnd + "\r\n", fitting.Select(Cut)).Append(ToLineEnd).Append(ToScreenEnd);
        _terminal.WriteRaw(frame.ToString());
    }

    public void Dispose() => _terminal.WriteRaw(Leave);

    /// <summary>Plain lines are cut at the edge; drawn ones, which have escapes in them, are no wider than it.</summary>
    private string Cut(string line) => line.Contains('\e', StringComparison.Ordinal) || line.Length <= _terminal.Width ? line : line[.._terminal.Width];

    private static void AwaitQuit(Action quit)
    {
        try
        {
            while (Console.ReadKey(intercept: true).KeyChar is not ('q' or 'Q'))
            {
            }

            quit();
        }
        catch (Exception exception) when (exception is InvalidOperationException or IOException or ObjectDisposedException)
        {
            // No keyboard after all, or the command has ended meanwhile; Ctrl-C remains.
        }
    }
}
