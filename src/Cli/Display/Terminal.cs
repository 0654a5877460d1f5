using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Spectre.Console;

namespace Roadbalancer.Cli.Display;

/// <summary>
/// Where results and errors go. On a terminal grids are tables in colour; with <c>NO_COLOR</c> aligned text; anywhere else a line a row with tabs
/// between the cells, for <c>cut</c> and <c>awk</c>.
/// </summary>
/// <param name="output">Results.</param>
/// <param name="error">Errors and notes.</param>
/// <param name="isTerminal">Whether <paramref name="output"/> is one.</param>
/// <param name="hasColour">Whether it may be coloured.</param>
/// <param name="width">In columns.</param>
internal sealed class Terminal(TextWriter output, TextWriter error, bool isTerminal, bool hasColour, Func<int> width)
{
    private const int UnknownWidth = 80;
    private const int WideEnough = 110;

    private static readonly JsonWriterOptions Indented = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly JsonWriterOptions OneLine = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public bool IsTerminal => isTerminal;

    /// <summary>Whether everything has room: on a wide terminal, and wherever lines have no end.</summary>
    public bool HasRoom => !isTerminal || Width >= WideEnough;

    public int Width => width() is > 0 and var known ? known : UnknownWidth;

    /// <summary>This process's own.</summary>
    public static Terminal OfProcess()
    {
        var isTerminal = !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("TERM") != "dumb";
        if (Console.OutputEncoding is not UTF8Encoding)
        {
            Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        }

        return new(Console.Out, Console.Error, isTerminal, isTerminal && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")),
            () => isTerminal ? Console.WindowWidth : UnknownWidth);
    }

    public void Write(string line) => output.WriteLine(Words.Clean(line, keepsLines: true));

    /// <summary>Writes as it is, at once: pieces of an answer, frames.</summary>
    public void WriteRaw(string text)
    {
        output.Write(text);
        output.Flush();
    }

    public void Write(Grid grid)
    {
        if (isTerminal)
        {
            output.Write(Draw(grid));
        }
        else
        {
            WritePlain(grid);
        }
    }

    /// <summary>The grid as it is on this terminal, a line end after each row; no wider than it.</summary>
    public string Draw(Grid grid)
    {
        var text = new StringWriter { NewLine = "\n" };
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = hasColour ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = hasColour ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(text),
        });
        console.Profile.Width = Width;
        console.Profile.Capabilities.Unicode = true;
        console.Write(TableOf(grid));
        return string.Join('\n', text.ToString().Split('\n').Select(line => line.TrimEnd()));
    }

    /// <summary>JSON, indented.</summary>
    public void WriteJson(JsonElement json) => output.WriteLine(ToText(json, Indented));

    /// <summary>JSON in one line.</summary>
    public void WriteJsonLine(JsonElement json)
    {
        output.WriteLine(ToText(json, OneLine));
        output.Flush();
    }

    /// <summary>A remark beside the result, on the error stream.</summary>
    public void Note(string sentence) => error.WriteLine(Words.Clean(sentence));

    /// <summary>What failed; returns 1.</summary>
    public int Fail(string sentence)
    {
        error.WriteLine($"{CommandTree.Name}: {Words.Clean(sentence)}");
        return ExitCode.Failed;
    }

    /// <summary>What was not understood; returns 2.</summary>
    /// <param name="command">The words of the command whose help says more.</param>
    public int Usage(string sentence, string command)
    {
        error.WriteLine($"{CommandTree.Name}: {Words.Clean(sentence)} See «{command} --help».");
        return ExitCode.Usage;
    }

    private static string ToText(JsonElement json, JsonWriterOptions options)
    {
        using var bytes = new MemoryStream();
        using (var writer = new Utf8JsonWriter(bytes, options))
        {
            json.WriteTo(writer);
        }

        return Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length);
    }

    private void WritePlain(Grid grid)
    {
        if (grid.HasHeadings)
        {
            output.WriteLine(string.Join('\t', grid.Columns.Select(column => column.Heading)));
        }

        foreach (var row in grid.Rows)
        {
            output.WriteLine(string.Join('\t', row.Select(cell => Words.Clean(cell.Text))));
        }
    }

    private Table TableOf(Grid grid)
    {
        var table = new Table { ShowHeaders = grid.HasHeadings, Border = hasColour && grid.HasHeadings ? TableBorder.Horizontal : TableBorder.None };
        table.BorderColor(Color.Grey);
        var last = grid.Columns.Count - 1;
        foreach (var (index, column) in grid.Columns.Index())
        {
            // One blank between columns, which a border brings along: at 80 characters each counts.
            var gap = index == last || table.Border != TableBorder.None ? 0 : grid.HasHeadings ? 1 : 2;
            table.AddColumn(new TableColumn(new Text(column.Heading, new Style(decoration: Decoration.Bold)))
            {
                Alignment = column.IsNumber ? Justify.Right : Justify.Left,
                NoWrap = column.IsWhole,
                Padding = new Padding(0, 0, gap, 0),
            });
        }

        foreach (var row in grid.Rows)
        {
            table.AddRow(row.Select(cell => new Text(Words.Clean(cell.Text), StyleOf(cell.Tone))));
        }

        return table;
    }

    private static Style StyleOf(Tone tone) => tone switch
    {
        Tone.Good => new(Color.Green),
        Tone.Warning => new(Color.Yellow),
        Tone.Bad => new(Color.Red),
        Tone.Dim => new(Color.Grey),
        _ => Style.Plain,
    };
}
