using System.Net;
using System.Text;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Admin;

/// <summary>A run of the program with a secret in every place that may have one: it tells none of them to anybody.</summary>
public sealed class AdminSecretTests
{
    private const string Admin = "k-admin-8WqLr2", ClientKey = "k-client-5TzVn9", OtherKey = "k-other-3HbXc7", Backend = "sk-backend-6JmPd4", Header = "hdr-secret-9YfKs1",
        Query = "qry-secret-2GvTw8", Probe = "prb-secret-7NcRj5", Password = "pw-redis-4ZxMq6", Added = "sk-added-1DkWb3", AddedQuery = "qry-added-5LsHv2";

    /// <summary>What is written in the configuration; the others come by the API, and instances have to share them.</summary>
    private static readonly string[] Configured = [Admin, ClientKey, OtherKey, Backend, Header, Query, Probe, Password];

    private static readonly string[] Secrets = [.. Configured, Added, AddedQuery];

    private readonly StringBuilder _told = new();

    [Fact]
    public async Task Run_SecretsInEveryPlace_AreInNoReplyNoLogAndNoStoreThatNeedNotHaveThem()
    {
        await using var redis = await RedisServer.StartAsync("--requirepass", Password);
        await using var good = ScriptedUpstream.Start(Scripts.Chat("hello"));
        await using var bad = ScriptedUpstream.Start((_, connection, _) => connection.RespondAsync(401, $$$"""{"error":{"message":"Incorrect API key provided: {{{Backend}}}"}}"""));
        await using var program = await ProgramProcess.Start(config: Config(good, bad), environment: ("REDIS_CONNECTION", $"redis://:{Password}@{redis.Connection}")).ListenAsync();

        await TalkAsync(program);
        await ManageAsync(program, good);
        Assert.Contains(good.Requests, request => request.Headers.Any(header => header.Value == $"Bearer {Backend}") && request.Target.Contains(Query, StringComparison.Ordinal));

        var store = await redis.SendAllAsync(["AUTH", Password], ["EVAL", Everything, "0"]);
        Assert.Contains("added", store, StringComparison.Ordinal);
        AssertSilent("what was told", _told.ToString(), [.. Secrets, .. new[] { Admin, ClientKey, OtherKey }.Select(Roadbalancer.Options.ClientKey.HashOf)]);
        AssertSilent("the log", program.Output, Secrets);
        AssertSilent("Redis", store, Configured);

        program.Terminate();
        Assert.Equal(0, await program.ExitCodeAsync());
        AssertSilent("the log", program.Output, Secrets);
        var folder = Path.Combine(program.Folder, "data");
        Assert.All(Directory.GetFiles(folder), file => AssertSilent(file, File.ReadAllText(file), Configured));
        Assert.Contains(Directory.GetFiles(folder), file => File.ReadAllText(file).Contains(Added, StringComparison.Ordinal));
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(folder));
            foreach (var file in Directory.GetFiles(folder, "*.json*"))
            {
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
            }
        }
    }

    /// <summary>Every key and whatever is in it, in one text.</summary>
    private const string Everything = """
        local all = {}
        for _, key in ipairs(redis.call('KEYS', '*')) do
          table.insert(all, key)
          local kind = redis.call('TYPE', key).ok
          local parts = kind == 'hash' and redis.call('HGETALL', key) or kind == 'zset' and redis.call('ZRANGE', key, 0, -1)
            or kind == 'set' and redis.call('SMEMBERS', key) or kind == 'list' and redis.call('LRANGE', key, 0, -1) or { redis.call('GET', key) }
          for _, part in ipairs(parts) do table.insert(all, part) end
        end
        return table.concat(all, '\n')
        """;

    private static void AssertSilent(string where, string text, string[] secrets) =>
        Assert.All(secrets, secret => Assert.False(text.Contains(secret, StringComparison.OrdinalIgnoreCase), $"{where} has {secret}"));

    private static string Config(ScriptedUpstream good, ScriptedUpstream bad) => $$"""
        log_level: trace
        admin_keys: {ops: {{Admin}}}
        api_keys: {team: {key: {{ClientKey}}, requests_per_minute: 1000}, other: {{OtherKey}}}
        debug_keys: [team]
        endpoints:
          - {name: good, url: '{{good.BaseUrl}}', api_key: {{Backend}}, headers: {X-Secret: {{Header}}}, query: {k: {{Query}}}, health_path: 'models?t={{Probe}}'}
          - {name: bad, url: '{{bad.BaseUrl}}?k={{Query}}', api_key: {{Backend}}, auth: api-key}
          - {name: gone, url: 'http://127.0.0.1:9?k={{Query}}', api_key: {{Backend}}}
        """;

    private async Task TalkAsync(ProgramProcess program)
    {
        for (var i = 0; i < 6; i++)
        {
            await SendAsync(program, "POST", "/v1/chat/completions", BalancerHost.ChatJson(stream: i % 2 == 0), ClientKey, ("X-Debug-Routing", "1"));
        }

        await SendAsync(program, "GET", "/v1/files", null, ClientKey, ("X-Debug-Routing", "1"));
        await SendAsync(program, "POST", "/v1/chat/completions", BalancerHost.ChatJson(), Admin);
        await SendAsync(program, "POST", "/v1/chat/completions", "{", ClientKey);
        foreach (var path in new[] { "/", "/v1/models", "/health", "/ready", "/stats", "/metrics", "/dashboard", "/dashboard/", "/api/v1/openapi.json", $"/v1/../{ClientKey[..3]}" })
        {
            await SendAsync(program, "GET", path, null, null);
            await SendAsync(program, "GET", path, null, ClientKey);
            await SendAsync(program, "GET", path, null, Admin);
        }
    }

    private async Task ManageAsync(ProgramProcess program, ScriptedUpstream good)
    {
        const string api = "/api/v1/load_balancer";
        foreach (var (method, path, body, status) in new (string, string, string?, HttpStatusCode)[]
        {
            ("POST", "/backends", $$$"""{"name":"added","url":"{{{good.BaseUrl}}}?k={{{AddedQuery}}}","api_key":"{{{Added}}}","headers":{"X-Secret":"{{{Added}}}"}}""", HttpStatusCode.Created),
            ("PATCH", "/backends/good", """{"weight":3}""", HttpStatusCode.OK),
            ("PATCH", "/backends/added", $$$"""{"api_key":"{{{Added}}}-2","query":{"k":"{{{AddedQuery}}}-2"}}""", HttpStatusCode.OK),
            ("PATCH", "/backends/good", """{"url":"http://127.0.0.1:9"}""", HttpStatusCode.BadRequest),
            ("POST", "/backends/good/drain", null, HttpStatusCode.OK),
            ("POST", "/backends/good/restore", null, HttpStatusCode.OK),
            ("POST", "/backends/bad/health_check", null, HttpStatusCode.OK),
            ("POST", "/backends/gone/health_check", null, HttpStatusCode.OK),
            ("POST", "/backends/gone/reset", null, HttpStatusCode.OK),
            ("PATCH", "/keys/team", """{"max_concurrency":5}""", HttpStatusCode.OK),
            ("DELETE", "/keys/other", null, HttpStatusCode.OK),
        })
        {
            Assert.Equal(status, await SendAsync(program, method, api + path, body, Admin));
        }

        foreach (var path in ApiDescription.Operations.Where(operation => operation.Method == "GET" && operation.Path != "/events").Select(operation => operation.Path.Replace("{name}", "good", StringComparison.Ordinal)))
        {
            Assert.Equal(HttpStatusCode.OK, await SendAsync(program, "GET", api + path, null, Admin));
            Assert.Equal(HttpStatusCode.Forbidden, await SendAsync(program, "GET", api + path, null, ClientKey));
        }

        using var request = Request("GET", api + "/events?recent=500", null, Admin);
        using var response = await program.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        string? line;
        do
        {
            line = await Await.For(reader.ReadLineAsync(TestContext.Current.CancellationToken).AsTask(), "a status event");
            _told.AppendLine(line);
        }
        while (line is not null && !line.StartsWith("event: status", StringComparison.Ordinal));
        _told.AppendLine(await reader.ReadLineAsync(TestContext.Current.CancellationToken));
        Assert.Contains("event: change", _told.ToString(), StringComparison.Ordinal);
    }

    private async Task<HttpStatusCode> SendAsync(ProgramProcess program, string method, string path, string? body, string? key, params (string Name, string Value)[] headers)
    {
        using var request = Request(method, path, body, key, headers);
        using var response = await program.Http.SendAsync(request, TestContext.Current.CancellationToken);
        _told.Append(method).Append(' ').Append(path).Append(' ').AppendLine(response.ToString()).AppendLine(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        return response.StatusCode;
    }

    private static HttpRequestMessage Request(string method, string path, string? body, string? key, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in key is null ? headers : [("Authorization", $"Bearer {key}"), .. headers])
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return request;
    }
}
