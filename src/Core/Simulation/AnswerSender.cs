using System.Buffers;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Roadbalancer.Simulation;

/// <summary>Puts answers on the wire, at their pace and with their faults.</summary>
internal sealed class AnswerSender(SimulatedBackend profile, TimeProvider time)
{
    [ThreadStatic]
    private static ArrayBufferWriter<byte>? _scratch;

    /// <summary>A stream of events, each token flushed by itself.</summary>
    public async Task StreamAsync(HttpContext context, AnswerForm form, int tokens, SimulatedFault fault)
    {
        var pace = new Pace(profile, fault, time);
        var writer = context.Response.BodyWriter;
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        if (fault.Break == AnswerBreak.Empty)
        {
            await writer.FlushAsync();
            return;
        }

        if (pace.HasFirstDelay)
        {
            // The client sees headers and then waits, as it does with servers that begin before the first token.
            await writer.FlushAsync();
            await pace.WaitAsync(0, context.RequestAborted);
        }

        var breakAt = fault.Break == AnswerBreak.None ? -1 : Math.Min(fault.BreakAfter ?? tokens / 2, tokens);
        if (breakAt == 0 && await BreakAsync(context, fault.Break))
        {
            return;
        }

        form.PutBegin(writer);
        for (var i = 0; i < tokens; i++)
        {
            await pace.WaitAsync(i, context.RequestAborted);
            form.PutToken(writer, i);
            await writer.FlushAsync(context.RequestAborted);
            if (breakAt == i + 1 && await BreakAsync(context, fault.Break))
            {
                return;
            }
        }

        form.PutEnd(writer, withDone: !fault.NoDone);
        await writer.FlushAsync(context.RequestAborted);
    }

    /// <summary>One body, after the time that all its tokens take.</summary>
    public async Task WholeAsync(HttpContext context, Action<IBufferWriter<byte>> put, int tokens, SimulatedFault fault)
    {
        await new Pace(profile, fault, time).WaitAsync(tokens, context.RequestAborted);
        if (fault.Break == AnswerBreak.ErrorEvent)
        {
            await ErrorAsync(context, SimulatedError.For(500), fault);
            return;
        }

        var (announced, sent) = Render(put, fault.Break);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = announced;
        context.Response.BodyWriter.Write(sent.WrittenSpan[..SentOf(sent.WrittenCount, fault.Break)]);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
        if (fault.Break is AnswerBreak.Stall or AnswerBreak.Reset or AnswerBreak.HalfClose or AnswerBreak.EndEarly)
        {
            await BreakAsync(context, fault.Break == AnswerBreak.EndEarly ? AnswerBreak.HalfClose : fault.Break);
        }
    }

    /// <summary>An error status with its body, and when to come back if the fault says so.</summary>
    public static async Task ErrorAsync(HttpContext context, SimulatedError error, SimulatedFault fault)
    {
        var response = context.Response;
        response.StatusCode = error.Status;
        response.ContentType = "application/json";
        response.ContentLength = error.Body.Length;
        if (fault.RetryAfterSeconds is { } seconds)
        {
            response.Headers.RetryAfter = seconds.ToString(System.Globalization.CultureInfo.InvariantCulture);
        }

        if (fault.RetryAfterMs is { } milliseconds)
        {
            response.Headers["retry-after-ms"] = milliseconds.ToString(System.Globalization.CultureInfo.InvariantCulture);
        }

        await response.BodyWriter.WriteAsync(error.Body);
    }

    /// <summary>Nothing more, until the client leaves or the simulation ends.</summary>
    public static async Task SilenceAsync(HttpContext context)
    {
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = context.RequestAborted.Register(() => over.TrySetResult());
        await over.Task;
    }

    /// <summary>A real RST.</summary>
    public static void Reset(HttpContext context)
    {
        if (SocketOf(context) is { } socket)
        {
            socket.LingerState = new LingerOption(true, 0);
        }

        context.Abort();
    }

    private static Socket? SocketOf(HttpContext context) => context.Features.Get<IConnectionSocketFeature>()?.Socket;

    private static int SentOf(int length, AnswerBreak how) => how is AnswerBreak.None or AnswerBreak.Empty ? length : length / 2;

    /// <summary>Renders synchronously into this thread's scratch space: use it before the next await.</summary>
    private static (int Announced, ArrayBufferWriter<byte> Rendered) Render(Action<IBufferWriter<byte>> put, AnswerBreak how)
    {
        var scratch = _scratch ??= new(4096);
        scratch.ResetWrittenCount();
        if (how != AnswerBreak.Empty)
        {
            put(scratch);
        }

        var matches = how is AnswerBreak.BadJson or AnswerBreak.MalformedEvent;
        return (matches ? SentOf(scratch.WrittenCount, how) : scratch.WrittenCount, scratch);
    }

    /// <summary>Breaks a stream where it is; false when it goes on afterwards.</summary>
    private static async Task<bool> BreakAsync(HttpContext context, AnswerBreak how)
    {
        // Headers at least have to be out: a break before them is another fault.
        var writer = context.Response.BodyWriter;
        await writer.FlushAsync(context.RequestAborted);
        switch (how)
        {
            case AnswerBreak.Stall:
                await SilenceAsync(context);
                return true;
            case AnswerBreak.Reset:
                Reset(context);
                return true;
            case AnswerBreak.HalfClose:
                SocketOf(context)?.Shutdown(SocketShutdown.Send);
                await SilenceAsync(context);
                return true;
            case AnswerBreak.EndEarly:
                return true;
            case AnswerBreak.ErrorEvent:
                await writer.WriteAsync(SimulatedError.Event, context.RequestAborted);
                return true;
            case AnswerBreak.MalformedEvent:
                await writer.WriteAsync("data: {\"id\":\"chatcmpl-broken\",\"object\":\"chat.comp\n\n"u8.ToArray(), context.RequestAborted);
                return false;
            default:
                return false;
        }
    }
}
