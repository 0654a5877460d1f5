using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Roadbalancer.Tests.Faults;

/// <summary>Everything a client heard of one answer, and whether it ended as HTTP says that answers end.</summary>
internal sealed partial class Heard
{
    private readonly HttpResponseHeaders _headers;

    private Heard(HttpResponseMessage response, string text, bool brokeOff)
    {
        _headers = response.Headers;
        Status = (int)response.StatusCode;
        ContentType = response.Content.Headers.ContentType?.MediaType;
        Text = text;
        BrokeOff = brokeOff;
    }

    public int Status { get; }

    public string? ContentType { get; }

    /// <summary>The body, as far as it came.</summary>
    public string Text { get; }

    /// <summary>The connection ended before the answer did: no last chunk, or less than announced.</summary>
    public bool BrokeOff { get; }

    public string? Backend => Header("X-Backend");

    public string? Attempts => Header("X-Attempts");

    /// <summary><c>X-Backend-Attempts</c> without its milliseconds: <c>a;server_error, b;answering</c>.</summary>
    public string Trail => Milliseconds().Replace(Header("X-Backend-Attempts") ?? "", "");

    /// <summary>The data of every event, <c>[DONE]</c> included.</summary>
    public IReadOnlyList<string> Events =>
        [.. Text.Split("\n\n").SelectMany(block => block.Split('\n')).Where(line => line.StartsWith("data: ", StringComparison.Ordinal)).Select(line => line[6..])];

    /// <summary>The JSON of every event but <c>[DONE]</c>.</summary>
    public IReadOnlyList<JsonElement> Chunks => [.. Events.Where(data => data != "[DONE]").Select(Parse)];

    /// <summary>How many <c>[DONE]</c> came.</summary>
    public int Dones => Events.Count(data => data == "[DONE]");

    /// <summary>The text of a streamed chat's choice, put together as a client does.</summary>
    public string Content(int choice = 0, string field = "content") =>
        string.Concat(Deltas(choice).Select(delta => delta.TryGetProperty(field, out var text) ? text.GetString() : ""));

    /// <summary>The deltas of a streamed chat's choice.</summary>
    public IEnumerable<JsonElement> Deltas(int choice = 0) =>
        Choices().Where(item => item.GetProperty("index").GetInt32() == choice && item.TryGetProperty("delta", out _)).Select(item => item.GetProperty("delta"));

    /// <summary>Every choice of every event.</summary>
    public IEnumerable<JsonElement> Choices() =>
        Chunks.Where(chunk => chunk.TryGetProperty("choices", out _)).SelectMany(chunk => chunk.GetProperty("choices").EnumerateArray());

    /// <summary>Every <c>finish_reason</c> that was given, in order.</summary>
    public IReadOnlyList<string> FinishReasons =>
        [.. Choices().Where(choice => choice.TryGetProperty("finish_reason", out var reason) && reason.ValueKind == JsonValueKind.String).Select(choice => choice.GetProperty("finish_reason").GetString()!)];

    /// <summary>Every usage object that was given.</summary>
    public IReadOnlyList<JsonElement> Usages =>
        [.. Chunks.Where(chunk => chunk.TryGetProperty("usage", out var usage) && usage.ValueKind == JsonValueKind.Object).Select(chunk => chunk.GetProperty("usage"))];

    /// <summary>The error object: of the body, or of a stream's last event.</summary>
    public JsonElement Error => (ContentType == "text/event-stream" ? Chunks[^1] : Parse(Text)).GetProperty("error");

    public string? ErrorCode => Error.GetProperty("code").GetString();

    public string? Header(string name) => _headers.TryGetValues(name, out var values) ? string.Join(", ", values) : null;

    /// <summary>Reads to the end, or to the break.</summary>
    /// <param name="onText">Called with all that has come whenever more has.</param>
    public static async Task<Heard> OfAsync(Task<HttpResponseMessage> asking, Action<string>? onText = null)
    {
        using var response = await asking;
        var bytes = new MemoryStream();
        var brokeOff = false;
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
            var buffer = new byte[4096];
            while (await body.ReadAsync(buffer, TestContext.Current.CancellationToken) is > 0 and var count)
            {
                bytes.Write(buffer, 0, count);
                onText?.Invoke(Encoding.UTF8.GetString(bytes.ToArray()));
            }
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            brokeOff = true;
        }

        return new(response, Encoding.UTF8.GetString(bytes.ToArray()), brokeOff);
    }

    /// <summary>Holds that the answer is the stream that <paramref name="text"/> is scripted as, whole and once.</summary>
    public void IsWholeStream(string text)
    {
        Assert.Equal(200, Status);
        Assert.False(BrokeOff, "The stream broke off: " + Text);
        Assert.Equal(text, Content());
        Assert.Equal("stop", Assert.Single(FinishReasons));
        Assert.Equal(1, Dones);
        Assert.Equal("[DONE]", Events[^1]);
    }

    /// <summary>Holds that the stream ended in an error event in OpenAI's shape, and not as whole streams do.</summary>
    public void IsBrokenStream(string code)
    {
        Assert.Equal(200, Status);
        Assert.True(BrokeOff, "The stream ended as if it were whole: " + Text);
        Assert.Equal(0, Dones);
        Assert.Equal(code, ErrorCode);
        Assert.Equal(["message", "type", "param", "code", "request_id"], Error.EnumerateObject().Select(property => property.Name));
    }

    public override string ToString() => $"{Status} [{Trail}] {Text}";

    private static JsonElement Parse(string json)
    {
        using var document = JsonDocument.Parse(json);
        return document.RootElement.Clone();
    }

    [GeneratedRegex(";[0-9]+")]
    private static partial Regex Milliseconds();
}
