using System.Collections.Concurrent;
using System.Text;

namespace Roadbalancer.Soak;

/// <summary>Counts by name.</summary>
internal sealed class Tally
{
    private readonly ConcurrentDictionary<string, int> _counts = new(StringComparer.Ordinal);

    public int Total => _counts.Values.Sum();

    public int this[string name] => _counts.GetValueOrDefault(name);

    public void Add(string name) => _counts.AddOrUpdate(name, 1, static (_, count) => count + 1);

    /// <summary>One line a name, the most frequent first.</summary>
    public string Table(string title)
    {
        var text = new StringBuilder().AppendLine().AppendLine(title);
        foreach (var (name, count) in _counts.OrderByDescending(pair => pair.Value))
        {
            text.AppendLine(null, $"  {count,8}  {name}");
        }

        return text.ToString();
    }
}
