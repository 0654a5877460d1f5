using System.Text;
using Roadbalancer.Options;

namespace Roadbalancer.Tests.Options;

/// <summary>No secret is in any message, wherever it was written and whatever is wrong with it.</summary>
public sealed class OptionsSecretTests
{
    private const string Secret = "sk-Zq7Xw93Kf5TnB1";

    /// <summary>Ways in which a value can be wrong around a secret: each <c>§</c> becomes the secret.</summary>
    private static readonly string[] Forms = ["§", "§ §", "env:§", "§\u0001", "ü§", "a=§", "=§", "§=", ",§,", "http://u:§@h", "http://u:p/§@h", "http://h/?k=§", "http://h:x/?k=§", "http://h/#§", "https://§:p@h:0/", "u:§@h"];

    private static readonly string[] Places =
    [
        "api_key: §", "api_key: [§]", "api_key: {§: 1}", "api_key: {k: §}", "headers: §", "headers: [§]", "headers: {X-A: §}", "headers: {X-A: [§]}", "headers: {Host: §}",
        "headers: {'a b': §}", "headers: {X-A: 1, x-a: §}", "query: §", "query: [§]", "query: {k: §}", "query: {k: [§]}", "apikey: §", "password: §", "§: §", "§", "'§':",
        "api_key: |\n      §\n      §", "api_key: *§", "api_key: &§ x", "api_key: !§ x", "api_key: '§", "api_key: \"\\q§\"", "api_key: [§", "api_key: @§", "api_key: §: §", "api_key: %§",
        "api_key: §\n    api_key: §", "url: http://u:§@h", "url: http://h?k=§#", "url: http://u:§@h:x", "url: http://h:0?k=§", "auth: bearer\n    headers: {Authorization: \"Bearer §\\r\\n\"}",
    ];

    [Fact]
    public void Load_SecretInAnyPlaceOfAFile_IsInNoMessage()
    {
        foreach (var place in Places)
        {
            foreach (var broken in new[] { "", "weight: x", "timeout: -1", "name: a b" })
            {
                using var setup = Setup.Yaml($"api_keys: [§, 'a=§', '=§', [§]]\nstrategy: round_robin\nendpoints:\n  - weight: 1\n    {place}\n    {broken}\n".Replace("§", Secret, StringComparison.Ordinal));
                AssertSilent(setup, place);
            }
        }
    }

    [Theory]
    [InlineData("api_keys: §")]
    [InlineData("api_keys: {§: [§]}")]
    [InlineData("api_keys: {a b: §}")]
    [InlineData("api_keys: {alice: §, bob: §}")]
    [InlineData("api_keys: ['§', '§']")]
    [InlineData("api_keys: 'ü=§'")]
    [InlineData("apy_keys: §")]
    [InlineData("§: 1")]
    [InlineData("§")]
    [InlineData("[§]")]
    [InlineData("endpoints: §")]
    [InlineData("endpoints: [§]")]
    [InlineData("endpoints: [http://u:§@h]")]
    [InlineData("endpoints: {url: http://a, api_key: §}")]
    [InlineData("endpoints: [{url: http://a, api_key §}]")]
    [InlineData("endpoints: [{url: http://a, tags: [§]}, §, api_key: §]")]
    public void Load_SecretAtTheTopOfAFile_IsInNoMessage(string yaml)
    {
        using var setup = Setup.Yaml(yaml.Replace("§", Secret, StringComparison.Ordinal));
        AssertSilent(setup, yaml);
    }

    [Theory]
    [InlineData("[{\"url\":\"http://a\",\"api_key\":\"§\"}")]
    [InlineData("[{\"url\":\"http://a\",\"api_key\":§}]")]
    [InlineData("[{\"url\":\"http://a\",\"api_key\":\"§\",\"api_key\":\"§\"}]")]
    [InlineData("[{\"url\":\"http://a\",\"§\":\"§\",\"§\":1}]")]
    [InlineData("[{\"url\":\"http://a\",\"api_key\":[\"§\"],\"headers\":{\"X\":\"§\\u0000\"},\"query\":\"§ §\"}]")]
    [InlineData("{\"url\":\"http://a\",\"api_key\":\"§\"}")]
    [InlineData("[\"§\"]")]
    [InlineData("\"§\"")]
    [InlineData("§")]
    public void Load_SecretInBrokenBackendsVariable_IsInNoMessage(string json)
    {
        using var setup = Setup.With(("LLM_BACKENDS", json.Replace("§", Secret, StringComparison.Ordinal)));
        AssertSilent(setup, json);
    }

    [Fact]
    public void Load_SecretInAnyVariableForSecrets_IsInNoMessage()
    {
        foreach (var form in Forms)
        {
            var value = form.Replace("§", Secret, StringComparison.Ordinal);
            using var a = Setup.With(("LLM_ENDPOINTS", "http://a,http://b"), ("LLM_API_KEYS", $"{value},{value},{value}"), ("ROADBALANCER_API_KEYS", $"{value},{value}"), ("LLM_WEIGHTS", "x"));
            AssertSilent(a, form);
            using var b = Setup.With(("VLLM_SERVER_URL", "http://a"), ("API_KEY", value), ("PORT", "x"));
            AssertSilent(b, form);
            if (form.Contains('/', StringComparison.Ordinal) || form.Contains('@', StringComparison.Ordinal))
            {
                using var url = Setup.With(("VLLM_SERVER_URL", value));
                AssertSilent(url, form);
                using var urls = Setup.With(("LLM_ENDPOINTS", $"{value},nonsense"), ("MAX_RETRIES", "x"));
                AssertSilent(urls, form);
            }
        }
    }

    [Fact]
    public void Load_SecretInArguments_IsInNoMessage()
    {
        foreach (var arguments in new[] { "--api-key §", "--api-key=§", "--§", "-§", "§", "--demo=§", "--simulate §", "--simulate=§" })
        {
            using var setup = new Setup();
            setup.Arguments.AddRange(arguments.Replace("§", Secret, StringComparison.Ordinal).Split(' '));
            AssertSilent(setup, arguments);
        }
    }

    [Fact]
    public void Load_ValidSecrets_AreInNoReport()
    {
        using var setup = Setup.Yaml($"api_keys: [{Secret}1]\nendpoints: [{{url: 'https://h/v1?k={Secret}', api_key: {Secret}, auth: none, headers: {{X-A: {Secret}}}, query: {{k: {Secret}}}}}, {{url: 'http://b.example.com', api_key: env:K}}]");
        setup.Environment["K"] = Secret;
        var options = setup.Options();
        AssertSilent(setup, "valid");
        Assert.DoesNotContain(Secret, $"{options.ClientKeys[0]} {options.Backends[0]} {OptionsReport.Mode(options)} {string.Join('\n', OptionsReport.Backends(options))}", StringComparison.Ordinal);
    }

    private static void AssertSilent(Setup setup, string what)
    {
        var result = setup.Load();
        var said = new StringBuilder().Append(OptionsReport.Errors(result)).Append(OptionsReport.Warnings(result));
        foreach (var error in result.Errors)
        {
            said.Append(error).Append(error.Key).Append(error.Value).Append(error.Problem).Append(error.Location);
        }

        if (result.Options is { } options)
        {
            said.AppendJoin('\n', OptionsReport.Backends(options)).Append(OptionsReport.Mode(options));
        }

        // Half of a secret is a leak too.
        Assert.False(said.ToString().Contains(Secret[3..], StringComparison.OrdinalIgnoreCase), $"'{what}' told: {said}");
        Assert.False(said.ToString().Contains(Secret[..10], StringComparison.OrdinalIgnoreCase), $"'{what}' told: {said}");
    }
}
