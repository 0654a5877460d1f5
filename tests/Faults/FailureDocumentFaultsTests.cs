using Roadbalancer.Proxy;

namespace Roadbalancer.Tests.Faults;

/// <summary>The class table in <c>docs/failure-handling.md</c> says what <see cref="OutcomeTable"/> does.</summary>
public sealed class FailureDocumentFaultsTests
{
    private static readonly Dictionary<string, string[]> _rows = Read();

    public static TheoryData<string> Kinds => [.. Enum.GetNames<OutcomeKind>()];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void ClassTable_EveryKind_SaysWhatTheCodeDoes(string name)
    {
        var kind = Enum.Parse<OutcomeKind>(name);
        var (next, blame) = OutcomeTable.For(kind);

        Assert.True(_rows.TryGetValue(Trail.NameOf(kind), out var cells), "no row");
        Assert.Equal(WordsFor(next), cells![3]);
        Assert.StartsWith(WordsFor(blame), cells[4], StringComparison.Ordinal);
        Assert.All(cells, cell => Assert.NotEqual("", cell));
    }

    [Fact]
    public void ClassTable_Rows_AreTheKindsAndNoOthers() =>
        Assert.Equal(Enum.GetValues<OutcomeKind>().Select(Trail.NameOf).Order(StringComparer.Ordinal), _rows.Keys.Order(StringComparer.Ordinal));

    private static string WordsFor(NextStep next) => next switch
    {
        NextStep.Stop => "nowhere",
        NextStep.AnyBackend => "any backend",
        NextStep.OtherBackend => "another backend",
        NextStep.WorsePriority => "a worse priority",
        _ => throw new ArgumentOutOfRangeException(nameof(next), next, "A step without words."),
    };

    private static string WordsFor(Blame blame) => blame switch
    {
        Blame.None => "is not blamed",
        Blame.Praise => "works",
        Blame.Failure => "has failed",
        Blame.Park => "is parked until it said",
        Blame.ParkLong => "is parked for `quota_park`",
        Blame.Misconfigured => "is misconfigured",
        Blame.ModelAbsent => "lacks this model",
        _ => throw new ArgumentOutOfRangeException(nameof(blame), blame, "A blame without words."),
    };

    private static Dictionary<string, string[]> Read()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Functions.sln")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("Not in the repository.");
        }

        return File.ReadLines(Path.Combine(folder.FullName, "docs", "failure-handling.md"))
            .SkipWhile(line => line != "## The classes")
            .TakeWhile(line => line != "## The rules")
            .Where(line => line.StartsWith("| `", StringComparison.Ordinal))
            .Select(line => line.Trim('|').Split('|').Select(cell => cell.Trim()).ToArray())
            .ToDictionary(cells => cells[0].Trim('`'));
    }
}
