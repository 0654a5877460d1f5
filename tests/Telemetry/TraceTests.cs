using System.Diagnostics;
using System.Net;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Telemetry;

public sealed class TraceTests
{
    [Fact]
    public async Task Request_WithAFailedAttempt_IsASpanWithOneForEach()
    {
        await using var bad = ScriptedUpstream.Start(Scripts.Status(503));
        await using var good = ScriptedUpstream.Start(Scripts.Chat("hello there"));
        await using var host = await BalancerHost.StartAsync([bad, good], shape: (index, backend) => backend with { ModelName = "model-" + index });
        using var spans = new RecordedSpans();

        using var answer = await host.ChatAsync(false, ("traceparent", spans.TraceParent), ("tracestate", "vendor=1"), ("X-Request-Id", "my-id"));
        await Await.Until(() => spans.Ended.Count == 3, "three spans have ended");

        var (request, first, second) = (spans.Request, spans.Attempts[0], spans.Attempts[1]);
        Assert.Equal("POST /v1/chat/completions", request.DisplayName);
        Assert.Equal(spans.ClientSpanId, request.ParentSpanId.ToHexString());
        Assert.Equal("chat", request.GetTagItem("gen_ai.operation.name"));
        Assert.Equal("m", request.GetTagItem("gen_ai.request.model"));
        Assert.Equal(200, request.GetTagItem("http.response.status_code"));
        Assert.Equal("my-id", request.GetTagItem("roadbalancer.request_id"));
        Assert.Equal(2, request.GetTagItem("roadbalancer.attempts"));
        Assert.Null(request.GetTagItem("error.type"));
        Assert.Equal(request.SpanId, first.ParentSpanId);
        Assert.Equal(request.SpanId, second.ParentSpanId);
        Assert.Equal("chat model-0", first.DisplayName);
        Assert.Equal("overloaded", first.GetTagItem("error.type"));
        Assert.Equal(503, first.GetTagItem("http.response.status_code"));
        Assert.Equal(ActivityStatusCode.Error, first.Status);
        Assert.Equal("b", second.GetTagItem("roadbalancer.backend"));
        Assert.Equal(good.Port, second.GetTagItem("server.port"));
        Assert.Equal("127.0.0.1", second.GetTagItem("server.address"));
        Assert.Equal(1, second.GetTagItem("http.request.resend_count"));
        Assert.Equal((long)ScriptedChat.PromptTokens, second.GetTagItem("gen_ai.usage.input_tokens"));

        Assert.Equal($"00-{spans.TraceId}-{first.SpanId.ToHexString()}-01", bad.Requests[0].Header("traceparent"));
        Assert.Equal($"00-{spans.TraceId}-{second.SpanId.ToHexString()}-01", good.Requests[0].Header("traceparent"));
        Assert.Equal("vendor=1", good.Requests[0].Header("tracestate"));
    }

    [Fact]
    public async Task Request_OfAnotherTrace_PassesItsHeadersUnchanged()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hello"));
        await using var host = await BalancerHost.StartAsync([upstream]);
        using var spans = new RecordedSpans();
        var own = $"00-{ActivityTraceId.CreateRandom().ToHexString()}-00f067aa0ba902b7-01";

        using var answer = await host.ChatAsync(false, ("traceparent", own), ("tracestate", "vendor=1"));

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(own, upstream.Requests[0].Header("traceparent"));
        Assert.Equal("vendor=1", upstream.Requests[0].Header("tracestate"));
        Assert.Empty(spans.Ended);
    }

    [Fact]
    public async Task Request_NotSampled_PassesTheTraceOnAsNotSampled()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hello"));
        await using var host = await BalancerHost.StartAsync([upstream]);
        using var spans = new RecordedSpans(ActivitySamplingResult.PropagationData);

        using var answer = await host.ChatAsync(false, ("traceparent", spans.TraceParent));
        await Await.Until(() => spans.Ended.Count == 1, "the request's span has ended");

        Assert.Equal($"00-{spans.TraceId}-{spans.Request.SpanId.ToHexString()}-00", upstream.Requests[0].Header("traceparent"));
    }

    [Fact]
    public async Task Stream_CutMidwayWithNowhereToGo_EndsTheSpanAsTruncated()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.StreamThen([ScriptedChat.Role(), ScriptedChat.Content("hel")], connection => connection.ResetAsync()));
        await using var host = await BalancerHost.StartAsync([upstream], options => options with { StreamRecovery = StreamRecovery.Off });
        using var spans = new RecordedSpans();

        using var answer = await host.ChatAsync(true, ("traceparent", spans.TraceParent));
        await Assert.ThrowsAnyAsync<Exception>(() => answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        await Await.Until(() => spans.Ended.Count == 2, "both spans have ended");

        Assert.Equal("truncated", spans.Request.GetTagItem("error.type"));
        Assert.Equal("stream_broken", spans.Request.GetTagItem("roadbalancer.outcome"));
        Assert.Equal("stream_broken", spans.Attempts[0].GetTagItem("error.type"));
        Assert.IsType<double>(spans.Attempts[0].GetTagItem("roadbalancer.time_to_first_token"));
    }

    [Fact]
    public async Task Hedge_SecondAttempt_BelongsToTheRequestToo()
    {
        var gate = new TaskCompletionSource();
        await using var slow = ScriptedUpstream.Start(Scripts.After(gate.Task, Scripts.Chat("slow")));
        await using var fast = ScriptedUpstream.Start(Scripts.Chat("fast"));
        await using var host = await BalancerHost.StartAsync([slow, fast], options => options with { HedgeAfter = TimeSpan.FromMilliseconds(20), HedgeRatio = 1 });
        using var spans = new RecordedSpans();

        using var answer = await host.ChatAsync(false, ("traceparent", spans.TraceParent));
        await Await.Until(() => spans.Ended.Count == 3, "three spans have ended");
        gate.SetResult();

        Assert.All(spans.Attempts, attempt => Assert.Equal(spans.Request.SpanId, attempt.ParentSpanId));
        Assert.Equal(ActivityStatusCode.Unset, spans.Attempts[0].Status);
    }

    [Fact]
    public async Task Request_Refused_HasItsStatusAndNoKey()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hello"));
        await using var host = await BalancerHost.StartAsync([upstream], options => options with { ClientKeys = [new ClientKey("team", "k-secret")] });
        using var spans = new RecordedSpans();

        using var wrong = await host.ChatAsync(false, ("traceparent", spans.TraceParent), ("Authorization", "Bearer w-secret"));
        await Await.Until(() => spans.Ended.Count == 1, "the span has ended");
        using var right = await host.ChatAsync(false, ("traceparent", spans.TraceParent), ("Authorization", "Bearer k-secret"));
        await Await.Until(() => spans.Ended.Count == 3, "the others have ended");

        Assert.Equal(401, spans.Ended.First().GetTagItem("http.response.status_code"));
        Assert.Equal("team", spans.Ended.Last().GetTagItem("roadbalancer.key"));
        Assert.DoesNotContain("secret", string.Join(' ', spans.Ended.SelectMany(span => span.TagObjects)), StringComparison.Ordinal);
    }
}
