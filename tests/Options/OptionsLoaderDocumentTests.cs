using System.Text;
using Roadbalancer.Options;

namespace Roadbalancer.Tests.Options;

/// <summary>Documents as documents: forms, and hostile ones.</summary>
public sealed class OptionsLoaderDocumentTests
{
    private const string Endpoint = "endpoints: [{url: 'http://a'}]";

    [Theory]
    [InlineData("\uFEFFendpoints:\n- url: http://a\n")]
    [InlineData("endpoints:\r\n  - url: http://a\r\n    weight: 2\r\n")]
    [InlineData("---\n# comment\nendpoints:\n- url: http://a # another\n...\n")]
    [InlineData("endpoints: !!seq\n- !!map {url: !!str http://a}\n")]
    [InlineData("? endpoints\n: - url: http://a\n")]
    [InlineData("{\"endpoints\": [{\"url\": \"http://a\"}]}")]
    [InlineData("timeout:\nstrategy: ~\nhealth_check:\nendpoints:\n- url: http://a\n  weight: null\n")]
    public void Load_YamlForms_AreRead(string yaml)
    {
        using var setup = Setup.Yaml(yaml);
        Assert.Equal("a:80", setup.Options().Backends[0].Name);
    }

    [Theory]
    [InlineData("{\"endpoints\": [{\"url\": \"http://a\", \"weight\": 2,},], // comment\n}")]
    [InlineData("/* comment */ {\"endpoints\": [{\"url\": \"http://a\", \"weight\": \"2\"}]}")]
    [InlineData("\uFEFF{\r\n\"endpoints\": [{\"url\": \"http:\\/\\/a\", \"weight\": 2, \"tags\": null}]}")]
    public void Load_JsonForms_AreRead(string json)
    {
        using var setup = Setup.Json(json);
        Assert.Equal(2, setup.Options().Backends[0].Weight);
    }

    [Fact]
    public void Load_JsonError_NamesTheLine()
    {
        using var setup = Setup.Json("{\n  \"retry_count\": 1,\n  \"endpoints\": [\n    {\"url\": \"http://a\",\n     \"weight\": []}]}");
        Assert.Equal("config.json, line 5", setup.Error().Location);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n\n# nothing\n")]
    [InlineData("---\n")]
    [InlineData("{}")]
    [InlineData("endpoints:\n")]
    [InlineData("endpoints: []\n")]
    public void Load_EmptyDocument_IsNoBackend(string yaml)
    {
        using var setup = Setup.Yaml(yaml);
        Assert.Contains("no backend is configured", setup.Error().Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("just text", "must be a map")]
    [InlineData("- a\n- b", "must be a map")]
    [InlineData("endpoints:\n\t- url: http://a\n", "tab")]
    [InlineData("endpoints:\n  - url: http://a\n\tweight: 1\n", "tab")]
    [InlineData("a: [", "not valid YAML")]
    [InlineData("a: 'open", "not valid YAML")]
    [InlineData("a: b: c", "not valid YAML")]
    [InlineData("a: @x", "not valid YAML")]
    [InlineData("timeout: 1\ntimeout: 2\n", "'timeout' is there twice")]
    [InlineData("---\na: 1\n---\nb: 2\n", "more than one document")]
    [InlineData("a: *nowhere", "alias")]
    [InlineData("a: &x [*x]", "alias")]
    [InlineData("<<: 5", "<<")]
    [InlineData("[a]: 1", "plain word")]
    [InlineData("? [a]\n: 1", "plain word")]
    [InlineData("a: !!python/object/apply:os.system [ls]", "tag")]
    [InlineData("a: !env X", "tag")]
    [InlineData("%YAML 9.9\n---\na: 1", "not valid YAML")]
    public void Load_BrokenYaml_IsAnErrorWithItsCause(string yaml, string cause)
    {
        using var setup = Setup.Yaml(yaml);
        Assert.Contains(cause, setup.Error().Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{\"a\": 1} x")]
    [InlineData("{\"a\": \"\\ud800\"}")]
    [InlineData("{\"a\": NaN}")]
    [InlineData("{\"timeout\": 1, \"timeout\": 2}")]
    [InlineData("[1]")]
    [InlineData("5")]
    [InlineData("\"text\"")]
    public void Load_BrokenJson_IsOneError(string json)
    {
        using var setup = Setup.Json(json);
        Assert.Equal("config.json", setup.Error().Key);
    }

    [Theory]
    [InlineData("config.yaml", "[")]
    [InlineData("config.yaml", "{a: ")]
    [InlineData("config.yaml", "- ")]
    [InlineData("config.yaml", "? ")]
    [InlineData("config.json", "[")]
    [InlineData("config.json", "{\"a\":")]
    public void Load_DeepNesting_IsOneErrorSoon(string name, string piece)
    {
        using var setup = new Setup().File(name, string.Concat(Enumerable.Repeat(piece, 200_000 / piece.Length)));
        setup.Arguments.AddRange(["--config", name]);
        Assert.Equal(name, setup.Error().Key);
    }

    [Theory]
    [InlineData(1024 * 1024 + 1)]
    [InlineData(5 * 1024 * 1024)]
    public void Load_HugeFile_IsRefusedUnread(int length)
    {
        using var setup = Setup.Yaml(new string('#', length));
        Assert.Contains("1 MiB", setup.Error().Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_LargestFile_IsRead()
    {
        using var setup = Setup.Yaml(Endpoint + "\n" + new string('#', SettingLimits.Bytes - Endpoint.Length - 1));
        Assert.Single(setup.Options().Backends);
    }

    [Fact]
    public void Load_TooManyValues_IsOneError()
    {
        using var setup = Setup.Yaml("a: [" + string.Concat(Enumerable.Repeat("1,", 150_000)) + "]");
        Assert.Contains("values", setup.Error().Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_ManyErrors_AreCountedNotListed()
    {
        using var setup = Setup.Yaml("endpoints:\n" + string.Concat(Enumerable.Repeat("- {url: x}\n", 900)));
        var errors = setup.Load().Errors;
        Assert.Equal(SettingLimits.Errors + 1, errors.Length);
        Assert.Contains("800 further errors", errors[^1].Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_TooManyBackends_IsOneError()
    {
        using var setup = Setup.Yaml("endpoints:\n" + string.Concat(Enumerable.Repeat("- {url: x}\n", 1001)));
        Assert.Equal("endpoints", setup.Error().Key);
    }

    [Fact]
    public void Load_AliasBomb_CostsNothing()
    {
        var yaml = new StringBuilder("x-a0: &a0 [lol]\n");
        for (var i = 1; i < 30; i++)
        {
            yaml.Append(System.Globalization.CultureInfo.InvariantCulture, $"x-a{i}: &a{i} [{string.Join(',', Enumerable.Repeat($"*a{i - 1}", 10))}]\n");
        }

        using var setup = Setup.Yaml(yaml + "tags: *a29\n" + "endpoints: [{url: 'http://a', tags: *a29, models: *a29, headers: *a29}]\n");
        Assert.All(setup.Load().Errors, error => Assert.True(error.ToString().Length < 2000));
    }

    [Fact]
    public void Load_MergeBomb_IsBounded()
    {
        var yaml = new StringBuilder("x-m0: &m0 {a: 1}\n");
        for (var i = 1; i < 20_000; i++)
        {
            yaml.Append(System.Globalization.CultureInfo.InvariantCulture, $"x-m{i}: &m{i} {{<<: *m{i - 1}, k{i}: 1}}\n");
        }

        using var setup = Setup.Yaml(yaml.ToString());
        Assert.Contains("values", setup.Error().Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_NotUtf8_IsOneError()
    {
        using var setup = new Setup();
        File.WriteAllBytes(setup.PathOf("config.yaml"), [0xff, 0xfe, 0x61, 0x00]);
        Assert.Contains("UTF-8", setup.Error().Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_RandomPiecesOfSyntax_NeverThrows()
    {
        string[] pieces = ["endpoints", ":", " ", "\n", "  ", "- ", "url", "http://a", "[", "]", "{", "}", "&a ", "*a", "<<", "'", "\"", "!!str ", "|", ">", "#", "\t", "?", "%", "---", ",", "1", "null", "\\", "//", "é", "\u0001"];
        for (var seed = 0; seed < 400; seed++)
        {
            var random = new Random(seed);
            var text = string.Concat(Enumerable.Range(0, 40).Select(_ => pieces[random.Next(pieces.Length)]));
            using var yaml = Setup.Yaml(text);
            using var json = Setup.With(("LLM_BACKENDS", text));
            Assert.True(yaml.Load().Errors.Length > 0 || yaml.Load().IsValid, $"seed {seed}");
            Assert.True(json.Load().Errors.Length > 0 || json.Load().IsValid, $"seed {seed}");
        }
    }
}
