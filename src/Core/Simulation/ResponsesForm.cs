using System.Buffers;

namespace Roadbalancer.Simulation;

/// <summary><c>/v1/responses</c> (API reference: «Streaming events»): one message of one text part; no <c>[DONE]</c>, the terminal event ends it.</summary>
internal sealed class ResponsesForm(Answer answer) : AnswerForm(answer)
{
    private int _sequence;

    public override void PutBegin(IBufferWriter<byte> to)
    {
        foreach (var isCreated in (ReadOnlySpan<bool>)[true, false])
        {
            BeginEvent(to, isCreated ? "response.created"u8 : "response.in_progress"u8);
            to.Write(",\"response\":"u8);
            PutResponse(to, isWhole: false);
            EndEvent(to);
        }

        BeginEvent(to, "response.output_item.added"u8);
        to.Write(",\"output_index\":0,\"item\":"u8);
        PutItem(to, isWhole: false);
        EndEvent(to);
        BeginPartEvent(to, "response.content_part.added"u8);
        to.Write(",\"part\":"u8);
        PutPart(to, isWhole: false);
        EndEvent(to);
    }

    public override void PutToken(IBufferWriter<byte> to, int index)
    {
        BeginPartEvent(to, "response.output_text.delta"u8);
        to.Write(",\"delta\":\""u8);
        to.Write(Answer[index]);
        to.Write("\",\"logprobs\":[]"u8);
        EndEvent(to);
    }

    protected override void PutFinish(IBufferWriter<byte> to)
    {
        BeginPartEvent(to, "response.output_text.done"u8);
        to.Write(",\"text\":\""u8);
        Answer.PutText(to);
        to.Write("\",\"logprobs\":[]"u8);
        EndEvent(to);
        BeginPartEvent(to, "response.content_part.done"u8);
        to.Write(",\"part\":"u8);
        PutPart(to, isWhole: true);
        EndEvent(to);
        BeginEvent(to, "response.output_item.done"u8);
        to.Write(",\"output_index\":0,\"item\":"u8);
        PutItem(to, isWhole: true);
        EndEvent(to);
        BeginEvent(to, Answer.IsCut ? "response.incomplete"u8 : "response.completed"u8);
        to.Write(",\"response\":"u8);
        PutResponse(to, isWhole: true);
        EndEvent(to);
    }

    protected override void PutDone(IBufferWriter<byte> to)
    {
    }

    public override void PutWhole(IBufferWriter<byte> to) => PutResponse(to, isWhole: true);

    private void BeginEvent(IBufferWriter<byte> to, ReadOnlySpan<byte> type)
    {
        to.Write("event: "u8);
        to.Write(type);
        to.Write("\ndata: {\"type\":\""u8);
        to.Write(type);
        to.Write("\",\"sequence_number\":"u8);
        to.Put(_sequence++);
    }

    private void BeginPartEvent(IBufferWriter<byte> to, ReadOnlySpan<byte> type)
    {
        BeginEvent(to, type);
        to.Write(",\"item_id\":\""u8);
        PutId(to, "msg"u8);
        to.Write("\",\"output_index\":0,\"content_index\":0"u8);
    }

    private static void EndEvent(IBufferWriter<byte> to) => to.Write("}\n\n"u8);

    private void PutResponse(IBufferWriter<byte> to, bool isWhole)
    {
        to.Write("{\"id\":\""u8);
        PutId(to, "resp"u8);
        to.Write("\",\"object\":\"response\",\"created_at\":"u8);
        to.Put(Answer.CreatedSeconds);
        to.Write(",\"status\":\""u8);
        to.Write(!isWhole ? "in_progress"u8 : Answer.IsCut ? "incomplete"u8 : "completed"u8);
        to.Write("\",\"error\":null,\"incomplete_details\":"u8);
        to.Write(isWhole && Answer.IsCut ? "{\"reason\":\"max_output_tokens\"}"u8 : "null"u8);
        to.Write(",\"instructions\":null,\"metadata\":{},\"parallel_tool_calls\":true,\"tool_choice\":\"auto\",\"tools\":[],\"model\":\""u8);
        to.Write(Answer.Request.Model);
        to.Write("\",\"output\":["u8);
        if (isWhole)
        {
            PutItem(to, isWhole);
            to.Write("],"u8);
            PutUsage(to, inputOutput: true);
        }
        else
        {
            to.Write("],\"usage\":null"u8);
        }

        to.Write("}"u8);
    }

    private void PutItem(IBufferWriter<byte> to, bool isWhole)
    {
        to.Write("{\"id\":\""u8);
        PutId(to, "msg"u8);
        to.Write("\",\"type\":\"message\",\"status\":\""u8);
        to.Write(!isWhole ? "in_progress"u8 : Answer.IsCut ? "incomplete"u8 : "completed"u8);
        to.Write("\",\"role\":\"assistant\",\"content\":["u8);
        if (isWhole)
        {
            PutPart(to, isWhole);
        }

        to.Write("]}"u8);
    }

    private void PutPart(IBufferWriter<byte> to, bool isWhole)
    {
        to.Write("{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\""u8);
        if (isWhole)
        {
            Answer.PutText(to);
        }

        to.Write("\"}"u8);
    }
}
