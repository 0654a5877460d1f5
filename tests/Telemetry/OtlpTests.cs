using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Functions;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Telemetry;

/// <summary>The program itself, sending to a collector on the loopback that keeps what it gets.</summary>
public sealed class OtlpTests
{
    private const string TraceId = "0af7651916cd43dd8448eb211c80319c";

    [Fact]
    public async Task Export_EndpointSet_SendsSpansAndMetrics()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hello there"));
        await using var collector = await Collector.StartAsync();
        await using var program = await ProgramProcess.Start("", Config(upstream),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.Url), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "300"), ("OTEL_BSP_SCHEDULE_DELAY", "200"), ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")).ListenAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent(BalancerHost.ChatJson(), System.Text.Encoding.UTF8, "application/json"),
        };
        request.Headers.TryAddWithoutValidation("traceparent", $"00-{TraceId}-b7ad6b7169203331-01");

        using var answer = await program.Http.SendAsync(request, TestContext.Current.CancellationToken);
        await Await.Until(() => collector.Spans.Count == 2, "both spans have arrived", TimeSpan.FromSeconds(30));
        await Await.Until(() => collector.Sum("roadbalancer.requests", "outcome", "succeeded") == 1, "the request has been counted", TimeSpan.FromSeconds(30));

        var server = collector.Spans.Single(span => span.Number(6) == 2);
        var client = collector.Spans.Single(span => span.Number(6) == 3);
        Assert.Equal(TraceId, server.Hex(1));
        Assert.Equal("b7ad6b7169203331", server.Hex(4));
        Assert.Equal("POST /v1/chat/completions", server.Text(5));
        Assert.Equal("200", server.Attributes(9)["http.response.status_code"]);
        Assert.Equal(server.Hex(2), client.Hex(4));
        Assert.Equal("a", client.Attributes(9)["roadbalancer.backend"]);
        Assert.Equal("succeeded", server.Attributes(9)["roadbalancer.outcome"]);
        Assert.Contains(collector.Resources, resource => resource.GetValueOrDefault("service.name") == "roadbalancer" && resource.GetValueOrDefault("deployment.environment") == "test");
        Assert.Contains(collector.Metrics, metric => metric.Text(1) == "gen_ai.server.request.duration" && metric.Text(3) == "s" && metric.Has(9));
        Assert.Contains(collector.Metrics, metric => metric.Text(1) == "roadbalancer.backend.in_flight" && metric.Has(5));
        Assert.DoesNotContain("b-secret", collector.All, StringComparison.Ordinal);
        Assert.Equal($"00-{TraceId}-{client.Hex(2)}-01", upstream.Requests[0].Header("traceparent"));
    }

    [Fact]
    public async Task Start_NothingSet_LoadsNoneOfIt()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hello there"));
        await using var program = await ProgramProcess.Start("", Config(upstream)).ListenAsync();
        using var answer = await program.ChatAsync();

        var loaded = await File.ReadAllTextAsync($"/proc/{program.Id}/maps", TestContext.Current.CancellationToken);

        Assert.Contains("Roadbalancer.dll", loaded, StringComparison.Ordinal);
        Assert.DoesNotContain("OpenTelemetry", loaded, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_BrokenEndpoint_EndsWithItsName()
    {
        await using var program = ProgramProcess.Start("--demo", null, ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317?key=o-secret"));

        Assert.Equal(2, await program.ExitCodeAsync());
        Assert.Contains("OTEL_EXPORTER_OTLP_ENDPOINT: must be an http or https URL", program.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("o-secret", program.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", null)]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4317", "metrics traces")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4317;OTEL_TRACES_EXPORTER=none", "metrics ")]
    [InlineData("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c:4318/v1/traces", " traces")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4317;OTEL_SDK_DISABLED=true", null)]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT=ftp://c", "OTEL_EXPORTER_OTLP_ENDPOINT: must be an http or https URL, such as http://localhost:4317")]
    [InlineData("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=c", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: must be an http or https URL, such as http://localhost:4317")]
    [InlineData("OTEL_TRACES_EXPORTER=zipkin", "OTEL_TRACES_EXPORTER: must be otlp or none, not 'zipkin'")]
    public void Read_Variables_SayWhatIsSent(string variables, string? expected)
    {
        var environment = variables.Split(';', StringSplitOptions.RemoveEmptyEntries).Select(variable => variable.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1]);

        var settings = OtlpSettings.Read(environment.GetValueOrDefault, out var problems);

        Assert.Equal(expected, problems.Length > 0 ? problems.TrimEnd() : (settings is null ? null : (settings.Metrics ? "metrics " : " ") + (settings.Traces ? "traces" : "")));
    }

    private static string Config(ScriptedUpstream upstream) =>
        $"endpoints: [{{name: a, url: '{upstream.BaseUrl}', api_key: b-secret}}, {{name: b, url: '{upstream.BaseUrl}', weight: 0}}]\nhealth_check: {{enabled: false}}";

    /// <summary>Takes OTLP over HTTP, as protobuf.</summary>
    private sealed class Collector(WebApplication app) : IAsyncDisposable
    {
        private readonly ConcurrentQueue<(string Path, byte[] Body)> _received = new();

        public string Url { get; private set; } = "";

        public string All => string.Concat(_received.Select(message => System.Text.Encoding.Latin1.GetString(message.Body)));

        public List<ProtobufFields> Spans => [.. Scopes("/v1/traces").SelectMany(scope => scope.All(2))];

        public List<ProtobufFields> Metrics => [.. Scopes("/v1/metrics").SelectMany(scope => scope.All(2))];

        public List<Dictionary<string, string>> Resources =>
            [.. _received.SelectMany(message => new ProtobufFields(message.Body).All(1)).Select(resource => resource.All(1).Single().Attributes(1))];

        public static async Task<Collector> StartAsync()
        {
            var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
            builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
            var collector = new Collector(builder.Build());
            await collector.BeginAsync();
            return collector;
        }

        /// <summary>The newest value of the point of a sum that has this attribute; null for none yet.</summary>
        public ulong? Sum(string metric, string tag, string value) => Metrics.Where(sent => sent.Text(1) == metric && sent.Has(7))
            .SelectMany(sent => sent.All(7).Single().All(1)).LastOrDefault(point => point.Attributes(7).GetValueOrDefault(tag) == value)?.Number(6);

        public async ValueTask DisposeAsync() => await app.DisposeAsync();

        private IEnumerable<ProtobufFields> Scopes(string path) => _received.Where(message => message.Path == path)
            .SelectMany(message => new ProtobufFields(message.Body).All(1)).SelectMany(resource => resource.All(2));

        private async Task BeginAsync()
        {
            app.Run(async http =>
            {
                using var body = new MemoryStream();
                await http.Request.Body.CopyToAsync(body, http.RequestAborted);
                _received.Enqueue((http.Request.Path.Value!, body.ToArray()));
                http.Response.ContentType = "application/x-protobuf";
            });
            await app.StartAsync(TestContext.Current.CancellationToken);
            Url = string.Create(CultureInfo.InvariantCulture, $"{app.Urls.First()}");
        }
    }
}
