using System.Text;
using System.Text.Json;

namespace Roadbalancer.Soak;

/// <summary>How a request ended for its client.</summary>
internal enum Verdict
{
    /// <summary>200 and every character of the answer.</summary>
    Whole,

    /// <summary>A clear error, before or in place of the rest of an answer.</summary>
    Error,

    /// <summary>The client went away itself.</summary>
    Left,

    /// <summary>Something that must not happen: a cut answer that looks whole, an unclear error, silence.</summary>
    Broken,
}

/// <param name="Verdict">How it ended.</param>
/// <param name="Status">The answer's status; 0 without one.</param>
/// <param name="Code">The error's code; a description for <see cref="Soak.Verdict.Broken"/>.</param>
/// <param name="Trail">The answer's <c>X-Backend-Attempts</c>, as far as it was known when the answer began.</param>
internal readonly record struct ClientAnswer(Verdict Verdict, int Status, string Code, string Trail);

/// <summary>Sends requests to the balancer and judges what comes back, with no knowledge of how it came about.</summary>
internal sealed class SoakClient(Uri url) : IDisposable
{
    /// <summary>Longer than any request may take by the balancer's own settings.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, MaxConnectionsPerServer = int.MaxValue })
    {
        BaseAddress = url,
        Timeout = Timeout.InfiniteTimeSpan,
    };

    public void Dispose() => _http.Dispose();

    public async Task<ClientAnswer> SendAsync(SoakRequest request)
    {
        using var limit = new CancellationTokenSource(Limit);
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(request.Json(), Encoding.UTF8, "application/json") };
        message.Headers.Add("X-Request-Id", request.Id);
        try
        {
            using var response = await _http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            return await ReadAsync(request, response, limit.Token);
        }
        catch (OperationCanceledException)
        {
            return new(Verdict.Broken, 0, "no end within the limit", "");
        }
        catch (HttpRequestException exception)
        {
            return new(Verdict.Broken, 0, $"no answer: {exception.HttpRequestError}", "");
        }
    }

    private static async Task<ClientAnswer> ReadAsync(SoakRequest request, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var trail = response.Headers.TryGetValues("X-Backend-Attempts", out var trails) ? trails.First() : "";
        var status = (int)response.StatusCode;
        var body = new MemoryStream();
        var isCut = false;
        try
        {
            var buffer = new byte[4096];
            var source = await response.Content.ReadAsStreamAsync(cancellationToken);
            int read;
            while ((read = await source.ReadAsync(buffer, cancellationToken)) > 0)
            {
                body.Write(buffer, 0, read);
                if (body.Length > request.LeavesAfterBytes)
                {
                    return new(Verdict.Left, status, "", trail);
                }
            }
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            isCut = true;
        }

        var text = Encoding.UTF8.GetString(body.ToArray());
        var (verdict, code) = status != 200 ? JudgeError(text, isCut) : request.Stream ? JudgeStream(request, text, isCut) : JudgeWhole(request, text, isCut);
        return new(verdict, status, code, trail);
    }

    private static (Verdict Verdict, string Code) JudgeError(string body, bool isCut)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            return !isCut && ErrorCode(json.RootElement) is { } code ? (Verdict.Error, code) : (Verdict.Broken, $"an error that is not OpenAI's: {body}");
        }
        catch (JsonException)
        {
            return (Verdict.Broken, $"an error that is no JSON: {body}");
        }
    }

    private static (Verdict Verdict, string Code) JudgeWhole(SoakRequest request, string body, bool isCut)
    {
        if (isCut)
        {
            return (Verdict.Broken, "an answer that is no stream was cut");
        }

        try
        {
            using var json = JsonDocument.Parse(body);
            var choice = json.RootElement.GetProperty("choices")[0];
            return request.IsAnswer(choice.GetProperty("message").GetProperty("content").GetString()!)
                ? (Verdict.Whole, "")
                : (Verdict.Broken, $"a wrong answer: {body}");
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException)
        {
            return (Verdict.Broken, $"a success that is no answer: {body}");
        }
    }

    /// <summary>Whole is: a finish reason, <c>[DONE]</c>, a clean end and exactly the text. An error event must be the last there is.</summary>
    private static (Verdict Verdict, string Code) JudgeStream(SoakRequest request, string body, bool isCut)
    {
        var text = new StringBuilder();
        var (isFinished, isDone) = (false, false);
        foreach (var line in body.Split('\n').Where(line => line.StartsWith("data: ", StringComparison.Ordinal)))
        {
            if (isDone)
            {
                return (Verdict.Broken, "something after [DONE]");
            }

            if (line == "data: [DONE]")
            {
                isDone = true;
                continue;
            }

            JsonDocument json;
            try
            {
                json = JsonDocument.Parse(line.AsMemory(6));
            }
            catch (JsonException)
            {
                return (isCut ? Verdict.Error : Verdict.Broken, isCut ? "cut inside an event" : $"an event that is no JSON: {line}");
            }

            using (json)
            {
                if (ErrorCode(json.RootElement) is { } code)
                {
                    return (Verdict.Error, code);
                }

                foreach (var choice in json.RootElement.GetProperty("choices").EnumerateArray())
                {
                    text.Append(choice.GetProperty("delta").TryGetProperty("content", out var content) ? content.GetString() : "");
                    isFinished |= choice.GetProperty("finish_reason").ValueKind == JsonValueKind.String;
                }
            }
        }

        return isCut ? (Verdict.Error, "cut without an error event")
            : !isFinished || !isDone ? (Verdict.Broken, "a stream that ends as if it were whole, and is not")
            : request.IsAnswer(text.ToString()) ? (Verdict.Whole, "")
            : (Verdict.Broken, $"a wrong stream: {text}");
    }

    private static string? ErrorCode(JsonElement json) =>
        json.TryGetProperty("error", out var error) && error.TryGetProperty("message", out var message) && message.GetString() is { Length: > 0 }
            ? error.GetProperty("code").GetString() ?? error.GetProperty("type").GetString()
            : null;
}
