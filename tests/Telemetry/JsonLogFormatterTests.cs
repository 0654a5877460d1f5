using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Roadbalancer.Proxy;
using Roadbalancer.Telemetry;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Telemetry;

public sealed class JsonLogFormatterTests
{
    [Fact]
    public void Write_FieldsOfEveryKind_AreOneFlatObject()
    {
        KeyValuePair<string, object?>[] fields =
        [
            new("RequestId", "req_1"), new("ElapsedMs", 12L), new("Outcome", OutcomeKind.ServerError), new("Nothing", null), new("Ratio", 0.5),
            new("Time", "not the line's"), new("{OriginalFormat}", "template"),
        ];

        var line = Write(fields, "said\nso", new InvalidOperationException("why"));
        using var json = JsonDocument.Parse(line);
        var root = json.RootElement;

        Assert.Single(line.TrimEnd('\n').Split('\n'));
        Assert.Equal("2026-01-02T03:04:05.000Z", root.GetProperty("time").GetString());
        Assert.Equal("warning", root.GetProperty("level").GetString());
        Assert.Equal(3001, root.GetProperty("event").GetInt32());
        Assert.Equal("said\nso", root.GetProperty("message").GetString());
        Assert.Equal("req_1", root.GetProperty("request_id").GetString());
        Assert.Equal(12, root.GetProperty("elapsed_ms").GetInt64());
        Assert.Equal("server_error", root.GetProperty("outcome").GetString());
        Assert.Equal(JsonValueKind.Null, root.GetProperty("nothing").ValueKind);
        Assert.Equal(0.5, root.GetProperty("ratio").GetDouble());
        Assert.Equal("not the line's", root.GetProperty("field_time").GetString());
        Assert.Contains("why", root.GetProperty("exception").GetString(), StringComparison.Ordinal);
        Assert.False(root.TryGetProperty("{original_format}", out _));
    }

    [Fact]
    public async Task LostRequest_JsonLog_HasItsId()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Status(500));
        await using var program = await ProgramProcess.Start("--log-format json --log-level debug",
            $"endpoints: [{{name: a, url: '{upstream.BaseUrl}'}}, {{name: b, url: '{upstream.BaseUrl}'}}]\nhealth_check: {{enabled: false}}").ListenAsync();
        using var answer = await program.ChatAsync();
        var id = answer.Headers.GetValues("X-Request-Id").Single();
        await program.SaysAsync("was lost");

        var lines = program.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement).ToArray();
        var lost = lines.Single(line => line.GetProperty("event").GetInt32() == 3001);

        Assert.Equal(id, lost.GetProperty("request_id").GetString());
        Assert.Equal("server_error", lost.GetProperty("outcome").GetString());
        Assert.All(lines, line => Assert.EndsWith("Z", line.GetProperty("time").GetString(), StringComparison.Ordinal));
    }

    private static string Write(KeyValuePair<string, object?>[] fields, string message, Exception exception)
    {
        var text = new StringWriter { NewLine = "\n" };
        new JsonLogFormatter(new ManualTime()).Write(
            new LogEntry<KeyValuePair<string, object?>[]>(LogLevel.Warning, "Cat", new EventId(3001), fields, exception, (_, _) => message), null, text);
        return text.ToString();
    }
}
