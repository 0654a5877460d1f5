using System.Buffers;

namespace Roadbalancer.Simulation;

/// <summary><c>/v1/chat/completions</c> (API reference: «Chat completion object» and «chunk object»).</summary>
internal sealed class ChatForm : AnswerForm
{
    /// <summary>What every chunk begins with; written once an answer.</summary>
    private readonly ArrayBufferWriter<byte> _head = new();

    public ChatForm(Answer answer)
        : base(answer)
    {
        if (answer.Request.Stream)
        {
            _head.Write("data: "u8);
            PutHead(_head, "chat.completion.chunk"u8);
        }
    }

    public override void PutBegin(IBufferWriter<byte> to)
    {
        to.Write(_head.WrittenSpan);
        to.Write("\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":"u8);
        if (Answer.Tool is { } tool)
        {
            to.Write("null,\"tool_calls\":[{\"index\":0,"u8);
            PutCall(to, tool);
            to.Write("\"\"}}]"u8);
        }
        else
        {
            to.Write("\"\",\"refusal\":null"u8);
        }

        to.Write("},\"logprobs\":null,\"finish_reason\":null}]}\n\n"u8);
    }

    public override void PutToken(IBufferWriter<byte> to, int index)
    {
        to.Write(_head.WrittenSpan);
        to.Write(Answer.Tool is null
            ? "\"choices\":[{\"index\":0,\"delta\":{\"content\":\""u8
            : "\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\""u8);
        to.Write(Answer[index]);
        to.Write(Answer.Tool is null ? "\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"u8 : "\"}}]},\"logprobs\":null,\"finish_reason\":null}]}\n\n"u8);
    }

    protected override void PutFinish(IBufferWriter<byte> to)
    {
        to.Write(_head.WrittenSpan);
        to.Write("\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\""u8);
        to.Write(Answer.FinishReason);
        to.Write("\"}]}\n\n"u8);
        if (Answer.Request.IncludeUsage)
        {
            to.Write(_head.WrittenSpan);
            to.Write("\"choices\":[],"u8);
            PutUsage(to);
            to.Write("}\n\n"u8);
        }
    }

    public override void PutWhole(IBufferWriter<byte> to)
    {
        PutHead(to, "chat.completion"u8);
        to.Write("\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"u8);
        if (Answer.Tool is { } tool)
        {
            to.Write("null,\"refusal\":null,\"tool_calls\":[{"u8);
            PutCall(to, tool);
            to.Write("\""u8);
            Answer.PutText(to);
            to.Write("\"}}]"u8);
        }
        else
        {
            to.Write("\""u8);
            Answer.PutText(to);
            to.Write("\",\"refusal\":null"u8);
        }

        to.Write("},\"logprobs\":null,\"finish_reason\":\""u8);
        to.Write(Answer.FinishReason);
        to.Write("\"}],"u8);
        PutUsage(to);
        to.Write("}"u8);
    }

    private void PutCall(IBufferWriter<byte> to, byte[] tool)
    {
        to.Write("\"id\":\""u8);
        PutId(to, "call"u8);
        to.Write("\",\"type\":\"function\",\"function\":{\"name\":\""u8);
        to.Write(tool);
        to.Write("\",\"arguments\":"u8);
    }

    private void PutHead(IBufferWriter<byte> to, ReadOnlySpan<byte> kind)
    {
        to.Write("{\"id\":\""u8);
        PutId(to, "chatcmpl"u8);
        to.Write("\",\"object\":\""u8);
        to.Write(kind);
        to.Write("\",\"created\":"u8);
        to.Put(Answer.CreatedSeconds);
        to.Write(",\"model\":\""u8);
        to.Write(Answer.Request.Model);
        to.Write("\",\"system_fingerprint\":\"fp_"u8);
        to.Put(Answer.Profile.Name);
        to.Write("\","u8);
    }
}
