using System.Buffers;

namespace Roadbalancer.Simulation;

/// <summary>How one API words an answer: piece by piece for a stream, or whole.</summary>
internal abstract class AnswerForm(Answer answer)
{
    /// <summary>Tokens of the answer.</summary>
    public int Tokens => answer.Count;

    /// <summary>Whether the client asked for a stream.</summary>
    public bool IsStream => answer.Request.Stream;

    protected Answer Answer => answer;

    /// <summary>Everything before the first token.</summary>
    public abstract void PutBegin(IBufferWriter<byte> to);

    public abstract void PutToken(IBufferWriter<byte> to, int index);

    /// <summary>Everything after the last token, apart from <c>[DONE]</c>.</summary>
    protected abstract void PutFinish(IBufferWriter<byte> to);

    /// <summary>Everything after the last token.</summary>
    public void PutEnd(IBufferWriter<byte> to, bool withDone)
    {
        PutFinish(to);
        if (withDone)
        {
            PutDone(to);
        }
    }

    /// <summary>The last word of a stream, where the API has one.</summary>
    protected virtual void PutDone(IBufferWriter<byte> to) => to.Write("data: [DONE]\n\n"u8);

    /// <summary>The answer as one JSON body.</summary>
    public abstract void PutWhole(IBufferWriter<byte> to);

    protected void PutUsage(IBufferWriter<byte> to, bool inputOutput = false)
    {
        var prompt = answer.Request.PromptTokens;
        to.Write(inputOutput ? "\"usage\":{\"input_tokens\":"u8 : "\"usage\":{\"prompt_tokens\":"u8);
        to.Put(prompt);
        to.Write(inputOutput ? ",\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":"u8 : ",\"completion_tokens\":"u8);
        to.Put(answer.Count);
        to.Write(inputOutput ? ",\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":"u8 : ",\"total_tokens\":"u8);
        to.Put(prompt + answer.Count);
        to.Write("}"u8);
    }

    /// <summary>An id that tells the backend and the request apart from every other: <c>PREFIX-NAME-NUMBER</c>.</summary>
    protected void PutId(IBufferWriter<byte> to, ReadOnlySpan<byte> prefix)
    {
        to.Write(prefix);
        to.Write("-"u8);
        to.Put(answer.Profile.Name);
        to.Write("-"u8);
        to.Put(answer.Number);
    }
}
