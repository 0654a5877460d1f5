using System.Buffers;

namespace Roadbalancer.Simulation;

/// <summary><c>/v1/completions</c> (API reference: «Completion object»); chunks have the same shape as the whole.</summary>
internal sealed class CompletionForm(Answer answer) : AnswerForm(answer)
{
    public override void PutBegin(IBufferWriter<byte> to)
    {
    }

    public override void PutToken(IBufferWriter<byte> to, int index)
    {
        to.Write("data: "u8);
        PutHead(to);
        to.Write("\"choices\":[{\"text\":\""u8);
        to.Write(Answer[index]);
        to.Write("\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}]}\n\n"u8);
    }

    protected override void PutFinish(IBufferWriter<byte> to)
    {
        to.Write("data: "u8);
        PutHead(to);
        to.Write("\"choices\":[{\"text\":\"\",\"index\":0,\"logprobs\":null,\"finish_reason\":\""u8);
        to.Write(Answer.FinishReason);
        to.Write("\"}]}\n\n"u8);
        if (Answer.Request.IncludeUsage)
        {
            to.Write("data: "u8);
            PutHead(to);
            to.Write("\"choices\":[],"u8);
            PutUsage(to);
            to.Write("}\n\n"u8);
        }
    }

    public override void PutWhole(IBufferWriter<byte> to)
    {
        PutHead(to);
        to.Write("\"choices\":[{\"text\":\""u8);
        Answer.PutText(to);
        to.Write("\",\"index\":0,\"logprobs\":null,\"finish_reason\":\""u8);
        to.Write(Answer.FinishReason);
        to.Write("\"}],"u8);
        PutUsage(to);
        to.Write("}"u8);
    }

    private void PutHead(IBufferWriter<byte> to)
    {
        to.Write("{\"id\":\""u8);
        PutId(to, "cmpl"u8);
        to.Write("\",\"object\":\"text_completion\",\"created\":"u8);
        to.Put(Answer.CreatedSeconds);
        to.Write(",\"model\":\""u8);
        to.Write(Answer.Request.Model);
        to.Write("\","u8);
    }
}
