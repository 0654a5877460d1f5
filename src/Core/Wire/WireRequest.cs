using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace Roadbalancer.Wire;

/// <summary>A request as it goes over the wire: its head is written once, straight into the bytes that are sent.</summary>
internal sealed class WireRequest : IDisposable
{
    /// <summary>A body up to this many bytes goes out with the head in one piece.</summary>
    private const int SmallBody = 8 * 1024;

    private static readonly SearchValues<char> _breaks = SearchValues.Create('\r', '\n', '\0');

    private byte[] _bytes = ArrayPool<byte>.Shared.Rent(4096);
    private int _length;

    /// <param name="target">Path and query, escaped.</param>
    /// <param name="host">Value of <c>Host</c>.</param>
    public WireRequest(string method, string target, string host)
    {
        IsHead = method == "HEAD";
        Write(method);
        Write(" "u8);
        Write(target);
        Write(" HTTP/1.1\r\nHost: "u8);
        Write(host);
        Write("\r\n"u8);
    }

    public bool IsHead { get; }

    /// <summary>The head, and the body where it is small. Complete after <see cref="End"/>.</summary>
    public ReadOnlyMemory<byte> First => _bytes.AsMemory(0, _length);

    /// <summary>What follows <see cref="First"/>.</summary>
    public ReadOnlySequence<byte> Rest { get; private set; }

    /// <summary>Adds a header, bytes for characters. A value with a line break in it would be a header of its own: it is left out.</summary>
    public void Add(string name, string? value)
    {
        if (value is not null && value.AsSpan().IndexOfAny(_breaks) < 0)
        {
            Write(name);
            Write(": "u8);
            Write(value);
            Write("\r\n"u8);
        }
    }

    /// <summary>Adds header lines that are written already.</summary>
    public void Add(ReadOnlySpan<byte> lines) => Write(lines);

    /// <summary>Ends the head.</summary>
    /// <param name="hasBody">The method has one, even if it is empty.</param>
    public void End(ReadOnlySequence<byte> body, bool hasBody)
    {
        if (hasBody || body.Length > 0)
        {
            Write("Content-Length: "u8);
            Reserve(20);
            Utf8Formatter.TryFormat(body.Length, _bytes.AsSpan(_length), out var digits);
            _length += digits;
            Write("\r\n"u8);
        }

        Write("\r\n"u8);
        if (body.Length > SmallBody)
        {
            Rest = body;
            return;
        }

        Reserve((int)body.Length);
        body.CopyTo(_bytes.AsSpan(_length));
        _length += (int)body.Length;
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_bytes);
        _bytes = [];
    }

    private void Write(ReadOnlySpan<byte> bytes)
    {
        Reserve(bytes.Length);
        bytes.CopyTo(_bytes.AsSpan(_length));
        _length += bytes.Length;
    }

    private void Write(string text)
    {
        Reserve(text.Length);
        _length += Encoding.Latin1.GetBytes(text, _bytes.AsSpan(_length));
    }

    private void Reserve(int count)
    {
        if (_bytes.Length - _length >= count)
        {
            return;
        }

        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(2 * _bytes.Length, _length + count));
        _bytes.AsSpan(0, _length).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_bytes);
        _bytes = larger;
    }
}
