namespace Roadbalancer.Bench;

/// <summary>One kind of figure, with the values that each subject had in each round.</summary>
/// <param name="Name">What was measured, with its unit.</param>
/// <param name="HasRatios">Whether it is told as a multiple of nginx's and the plain forwarder's in the same round.</param>
internal sealed record Measure(string Name, bool HasRatios)
{
    private readonly Dictionary<string, List<double>> _values = [];

    public void Add(string subject, double value)
    {
        if (!_values.TryGetValue(subject, out var values))
        {
            _values[subject] = values = [];
        }

        values.Add(value);
    }

    public IEnumerable<string> Subjects => _values.Keys;

    public IReadOnlyList<double> Values(string subject) => _values.GetValueOrDefault(subject) ?? [];

    /// <summary>Round by round, how many times <paramref name="other"/>'s value; null without values.</summary>
    public Spread? Ratio(string subject, string other)
    {
        var ratios = Values(subject).Zip(Values(other), static (mine, theirs) => mine / theirs).Where(double.IsFinite).ToArray();
        return HasRatios && subject != other && ratios.Length > 0 ? Spread.Of(ratios) : null;
    }
}

/// <summary>All figures of a run, in the order in which they first came.</summary>
internal sealed class Results
{
    private readonly List<Measure> _measures = [];

    public IReadOnlyList<Measure> Measures => _measures;

    /// <summary>What could not be measured, and why.</summary>
    public List<string> Remarks { get; } = [];

    public void Add(string measure, string subject, double value, bool hasRatios = true)
    {
        var found = _measures.Find(known => known.Name == measure);
        if (found is null)
        {
            _measures.Add(found = new Measure(measure, hasRatios));
        }

        found.Add(subject, value);
    }
}
