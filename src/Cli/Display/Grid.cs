namespace Roadbalancer.Cli.Display;

/// <summary>How good or bad a cell's news are; a colour on a terminal that has them, nothing elsewhere.</summary>
internal enum Tone
{
    Plain,
    Good,
    Warning,
    Bad,
    Dim,
}

/// <summary>A cell of a grid.</summary>
internal readonly record struct Cell(string Text, Tone Tone = Tone.Plain)
{
    public static implicit operator Cell(string? text) => new(text ?? Words.None);
}

/// <summary>A column.</summary>
/// <param name="Heading">In capitals; empty in a grid of facts.</param>
/// <param name="IsNumber">To the right.</param>
/// <param name="IsWhole">Never broken into two lines, however little room there is.</param>
internal readonly record struct Column(string Heading, bool IsNumber = false, bool IsWhole = false)
{
    public static implicit operator Column(string heading) => new(heading);

    public static Column Number(string heading) => new(heading, IsNumber: true, IsWhole: true);

    public static Column Whole(string heading) => new(heading, IsWhole: true);
}

/// <summary>Rows and columns, before it is known where they will be shown.</summary>
internal sealed class Grid(params Column[] columns)
{
    private readonly List<Cell[]> _rows = [];

    public IReadOnlyList<Column> Columns => columns;

    public IReadOnlyList<Cell[]> Rows => _rows;

    public bool HasHeadings => columns.Any(column => column.Heading.Length > 0);

    /// <summary>A grid of two columns, a name and a value, without headings.</summary>
    public static Grid Facts() => new("", "");

    public Grid Add(params Cell[] cells)
    {
        _rows.Add(cells);
        return this;
    }
}
