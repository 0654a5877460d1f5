using System.Buffers;

namespace Roadbalancer.Proxy;

/// <summary>
/// The text of a streamed answer in the order in which it came, each piece under the channel it belongs to (which choice, and whether content,
/// reasoning, or a tool call's name or arguments). Two streams say the same exactly as long as their logs are equal, however the text was cut
/// into events. A channel change is written as 0xFF (never part of UTF-8), choice, field.
/// </summary>
internal sealed class DeltaLog : IDisposable
{
    public const int NoChannel = -1;

    private const byte ChannelMark = 0xFF;

    private byte[] _bytes = [];

    public int Length { get; private set; }

    /// <summary>The channel that the log ends in; <see cref="NoChannel"/> at its start.</summary>
    public int Channel { get; private set; } = NoChannel;

    public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, Length);

    /// <summary>The text alone when all of it is choice 0's <paramref name="field"/>; empty otherwise.</summary>
    public ReadOnlySpan<byte> TextOf(DeltaField field) =>
        Length > 3 && _bytes[0] == ChannelMark && _bytes[1] == 0 && _bytes[2] == (byte)field && Bytes[3..].IndexOf(ChannelMark) < 0
            ? Bytes[3..]
            : default;

    /// <summary>Adds <paramref name="text"/> (UTF-8) under its channel; empty text leaves no trace.</summary>
    public void Append(int choice, DeltaField field, int ordinal, ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty)
        {
            return;
        }

        var channel = (choice << 16) | ((int)field << 8) | ordinal;
        if (channel != Channel)
        {
            Channel = channel;
            Write([ChannelMark, (byte)choice, (byte)((int)field + ordinal)]);
        }

        Write(text);
    }

    /// <summary>Empties the log and goes on in <paramref name="channel"/>, which is not announced again.</summary>
    public void Restart(int channel)
    {
        Length = 0;
        Channel = channel;
    }

    /// <summary>Adds what <paramref name="continuation"/>, restarted in this log's channel, holds.</summary>
    public void Add(DeltaLog continuation)
    {
        Write(continuation.Bytes);
        Channel = continuation.Channel;
    }

    /// <summary>Forgets the first <paramref name="count"/> bytes.</summary>
    public void DropStart(int count)
    {
        Bytes[count..].CopyTo(_bytes);
        Length -= count;
    }

    public void Dispose()
    {
        if (_bytes.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_bytes);
            _bytes = [];
        }

        Length = 0;
    }

    private void Write(ReadOnlySpan<byte> bytes)
    {
        if (Length + bytes.Length > _bytes.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(256, (Length + bytes.Length) * 2));
            Bytes.CopyTo(larger);
            if (_bytes.Length > 0)
            {
                ArrayPool<byte>.Shared.Return(_bytes);
            }

            _bytes = larger;
        }

        bytes.CopyTo(_bytes.AsSpan(Length));
        Length += bytes.Length;
    }
}

/// <summary>What a piece of streamed text is. Tool calls leave room for 32 of each kind.</summary>
internal enum DeltaField : byte
{
    Content = 1,
    Reasoning = 2,
    Refusal = 3,
    ToolName = 32,
    ToolArguments = 96,
}
