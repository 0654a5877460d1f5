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

    /// <summary>Adds <paramref name="index"/>. Copies of this set taken before keep what they held only below 64: add before copying.</summary>
    public void Add(int index)
    {
        if (index < 64)
        {
            _low |= 1UL << index;
            return;
        }

        var word = (index >> 6) - 1;
        if (_high is null || word >= _high.Length)
        {
            Array.Resize(ref _high, word + 1);
        }

        _high[word] |= 1UL << (index & 63);
    }

    public void Remove(int index)
    {
        if (index < 64)
        {
            _low &= ~(1UL << index);
            return;
        }

        var word = (index >> 6) - 1;
        if (_high is not null && word < _high.Length)
        {
            _high[word] &= ~(1UL << (index & 63));
        }
    }
}
