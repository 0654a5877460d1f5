namespace Roadbalancer.Backends;

/// <summary>
/// A set of indices into <see cref="Pool.Backends"/>: one word for pools of up to 64 backends, an array beyond.
/// The default value is the empty set.
/// </summary>
internal struct BackendSet
{
    private ulong _low;
    private ulong[]? _high;

    public readonly bool IsEmpty => _low == 0 && (_high is null || Array.TrueForAll(_high, word => word == 0));

    public readonly bool Contains(int index)
    {
        if (index < 64)
        {
            return (_low & (1UL << index)) != 0;
        }

        var word = (index >> 6) - 1;
        return _high is not null && word < _high.Length && (_high[word] & (1UL << (index & 63))) != 0;
    }

    /// <summary>Adds <paramref name="index"/>. Copies of this set taken before are not touched.</summary>
    public void Add(int index)
    {
        if (index < 64)
        {
            _low |= 1UL << index;
            return;
        }

        var word = (index >> 6) - 1;
        var copy = new ulong[Math.Max(word + 1, _high?.Length ?? 0)];
        _high?.CopyTo(copy, 0);
        copy[word] |= 1UL << (index & 63);
        _high = copy;
    }
}
