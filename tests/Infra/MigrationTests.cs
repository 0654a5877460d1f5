using System.Text.RegularExpressions;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Infra;

/// <summary>The page for those who come from elsewhere names every variable that they have, and keys that there are.</summary>
public sealed partial class MigrationTests
{
    private static readonly Dictionary<string, string> Rows = Row().Matches(File.ReadAllText(Repository.PathOf("docs", "migration.md")))
        .ToDictionary(match => match.Groups[1].Value, match => match.Groups[2].Value);

    [Fact]
    public void Rows_OfThePage_AreTheVariablesThatTheProgramReads()
    {
        string?[] variables =
        [
            .. SettingTable.Rows.SelectMany(row => new[] { row.VariableA, row.VariableB }), Families.Backends, Families.SingleUrl, Families.Endpoints,
            .. Families.PositionalKeys.Select(list => list.Variable), .. Families.SingleKeys.Select(key => key.Variable),
        ];

        Assert.Equal(variables.OfType<string>().Order(StringComparer.Ordinal), Rows.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Counterparts_OfEachVariable_AreTheKeysItSets()
    {
        foreach (var row in SettingTable.Rows)
        {
            Assert.All(new[] { row.VariableA, row.VariableB }.OfType<string>(), variable => Assert.Equal(row.Key, Rows[variable]));
        }

        Assert.All(Families.PositionalKeys.Concat(Families.SingleKeys), variable => Assert.Equal($"endpoints[].{variable.Key}", Rows[variable.Variable]));
        Assert.All(Rows.Values.Where(key => key.StartsWith("endpoints[].", StringComparison.Ordinal)), key => Assert.Contains(key[12..], BackendTable.Keys));
    }

    [GeneratedRegex(@"^\| `([A-Z_]+)` \| `([a-z_.\[\]]+)` \|", RegexOptions.Multiline)]
    private static partial Regex Row();
}
