using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Roadbalancer.Proxy;

/// <content>Joining an answer to what the client has: comparing, cutting, putting it under the first answer's identity.</content>
internal sealed partial class StreamFilter
{
    /// <summary>Compares the event's text with what the client has; <paramref name="overlap"/> is how much of it the client has already.</summary>
    private bool TryMatch(in StreamEvent streamEvent, out int overlap)
    {
        overlap = 0;
        if (join == JoinMode.Continue)
        {
            return true;
        }

        var left = client.Log.Bytes[_replayed..];
        overlap = Math.Min(left.Length, _event.Length);
        if (!left[..overlap].SequenceEqual(_event.Bytes[..overlap]) || (streamEvent.IsOpaque && !left.IsEmpty))
        {
            return false;
        }

        _replayed += overlap;
        return streamEvent.Finished == 0 || overlap == left.Length;
    }

    private bool TryEmitJoined(ReadOnlySpan<byte> bytes, int jsonStart, in StreamEvent streamEvent, int overlap, IBufferWriter<byte> output)
    {
        if (jsonStart < 0 || (overlap > 0 && streamEvent.Texts != 1))
        {
            return false;
        }

        Span<(TokenRange Range, byte[] With)> edits = new (TokenRange, byte[])[4];
        var count = 0;
        AddEdit(edits, ref count, streamEvent.Id, client.Id);
        AddEdit(edits, ref count, streamEvent.Created, client.Created);
        AddEdit(edits, ref count, streamEvent.Model, client.Model);
        if (overlap > 0)
        {
            var rest = JsonEncodedText.Encode(_event.Bytes[overlap..], JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes;
            AddEdit(edits, ref count, streamEvent.Text, [(byte)'"', .. rest, (byte)'"']);
        }

        edits = edits[..count];
        edits.Sort((a, b) => a.Range.Start.CompareTo(b.Range.Start));
        var at = 0;
        foreach (var (range, with) in edits)
        {
            output.Write(bytes[at..(jsonStart + range.Start)]);
            output.Write(with);
            at = jsonStart + range.Start + range.Length;
        }

        output.Write(bytes[at..]);
        return true;
    }

    private static void AddEdit(Span<(TokenRange Range, byte[] With)> edits, ref int count, TokenRange range, byte[] with)
    {
        if (!range.IsEmpty && with.Length > 0)
        {
            edits[count++] = (range, with);
        }
    }
}
