using System.Buffers;

namespace Roadbalancer.Proxy;

/// <summary>A growing buffer on the shared array pool: written at its end, used up from its start.</summary>
internal sealed class PooledBytes : IBufferWriter<byte>, IDisposable
{
    /// <summary>More than this takes a millisecond and longer to go through.</summary>
    private const int Large = 256 * 1024;

    private byte[] _bytes = [];
    private int _start;
    private int _end;

    public int Length => _end - _start;

    /// <summary>Not to be gone through on a thread that watches sockets (<see cref="ServerSetup.PreferInlineSockets"/>): every other stream of that thread would wait for it.</summary>
    public bool IsLarge => Length > Large;

    public ReadOnlySpan<byte> Span => _bytes.AsSpan(_start, Length);

    public ReadOnlyMemory<byte> Memory => _bytes.AsMemory(_start, Length);

    public void Advance(int count) => _end += count;

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(Math.Max(1, sizeHint));
        return _bytes.AsMemory(_end);
    }

    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    /// <summary>Forgets the first <paramref name="count"/> bytes.</summary>
    public void Use(int count)
    {
        _start += count;
        if (_start == _end)
        {
            _start = _end = 0;
        }
    }

    public void Dispose()
    {
        if (_bytes.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_bytes);
        }

        _bytes = [];
        _start = _end = 0;
    }

    private void Reserve(int free)
    {
        if (_bytes.Length - _end >= free)
        {
            return;
        }

        if (_bytes.Length - Length >= free && _start > 0)
        {
            Span.CopyTo(_bytes);
        }
        else
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(1024, Math.Max(Length * 2, Length + free)));
            Span.CopyTo(larger);
            if (_bytes.Length > 0)
            {
                ArrayPool<byte>.Shared.Return(_bytes);
            }

            _bytes = larger;
        }

        _end = Length;
        _start = 0;
    }
}
