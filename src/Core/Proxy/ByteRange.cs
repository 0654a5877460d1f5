namespace Roadbalancer.Proxy;

/// <summary>Where something stands in a body, in bytes. Length 0: it is not there.</summary>
internal readonly record struct ByteRange(int Start, int Length)
{
    /// <summary>Whether there is anything.</summary>
    public bool IsPresent => Length > 0;

    /// <summary>The offset just after the last byte.</summary>
    public int End => Start + Length;

    /// <summary>The bytes themselves.</summary>
    public ReadOnlySpan<byte> In(ReadOnlySpan<byte> body) => body.Slice(Start, Length);
}
