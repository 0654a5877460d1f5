using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace Roadbalancer.Simulation;

/// <summary>What is to be said, whichever API's form it takes.</summary>
internal sealed class Answer(SimulatedBackend profile, SimulatedRequest request, long number, long createdSeconds)
{
    private static readonly byte[][] ToolArguments = ["{"u8.ToArray(), "}"u8.ToArray()];

    private readonly int _first = request.WordsGiven;

    public long Number => number;

    public long CreatedSeconds => createdSeconds;

    public SimulatedBackend Profile => profile;

    public SimulatedRequest Request => request;

    /// <summary>The tool to call instead of talking, or null.</summary>
    public byte[]? Tool { get; } = request.CallsTool ? request.ToolName : null;

    /// <summary>Tokens of this answer.</summary>
    public int Count => Tool is not null ? ToolArguments.Length : Math.Min(request.MaxTokens, Available);

    /// <summary>Whether the token limit ends the answer.</summary>
    public bool IsCut => Tool is null && request.MaxTokens < Available;

    public ReadOnlySpan<byte> FinishReason => Tool is not null ? "tool_calls"u8 : IsCut ? "length"u8 : "stop"u8;

    private int Available => Math.Max(0, request.Text.Count - _first);

    /// <summary>Escaped for JSON.</summary>
    public ReadOnlySpan<byte> this[int index] => Tool is not null ? ToolArguments[index] : request.Text[_first + index];

    public void PutText(IBufferWriter<byte> to)
    {
        for (var i = 0; i < Count; i++)
        {
            to.Write(this[i]);
        }
    }
}

/// <summary>Writes numbers and names without strings in between.</summary>
internal static class BufferWriting
{
    public static void Put(this IBufferWriter<byte> to, long number)
    {
        Utf8Formatter.TryFormat(number, to.GetSpan(20), out var written);
        to.Advance(written);
    }

    public static void Put(this IBufferWriter<byte> to, string text) => Encoding.UTF8.GetBytes(text, to);
}
