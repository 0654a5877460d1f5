using System.Text;

namespace Roadbalancer.Proxy;

/// <summary>The few places at which a body changes, applied in one copy.</summary>
internal ref struct SpliceList(RequestFacts facts)
{
    private readonly RequestFacts _facts = facts;
    private List<(ByteRange Range, byte[] Bytes)>? _splices;
    private List<byte>? _members;

    /// <summary>Puts <paramref name="bytes"/> in the place of <paramref name="range"/>, which may be empty but overlaps no other.</summary>
    public void Replace(ByteRange range, byte[] bytes) => (_splices ??= new(4)).Add((range, bytes));

    /// <summary>Adds members (<c>"name":value</c>, separated by commas) at the start of the object.</summary>
    public void Insert(scoped ReadOnlySpan<byte> members)
    {
        _members ??= new(128);
        if (_members.Count > 0)
        {
            _members.Add((byte)',');
        }

        _members.AddRange(members);
    }

    /// <summary>Gives a member a value: in the place of <paramref name="present"/>, or as a new member.</summary>
    public void Set(string name, ByteRange present, string value)
    {
        if (present.IsPresent)
        {
            Replace(present, Encoding.UTF8.GetBytes(value));
        }
        else
        {
            Insert(Encoding.UTF8.GetBytes($"\"{name}\":{value}"));
        }
    }

    /// <summary>Adds a field before the first part of a multipart body.</summary>
    public void InsertPart(scoped ReadOnlySpan<byte> body, string name, string value)
    {
        var part = Encoding.UTF8.GetBytes($"\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        Replace(new ByteRange(_facts.InsertAt, 0), [.. _facts.Delimiter.In(body), .. part]);
    }

    /// <summary>The changed copy; the same memory when there is nothing to change.</summary>
    public readonly ReadOnlyMemory<byte> Apply(ReadOnlyMemory<byte> body)
    {
        var splices = _splices ?? [];
        if (_members is not null)
        {
            if (!_facts.IsEmptyObject)
            {
                _members.Add((byte)',');
            }

            splices.Add((new ByteRange(_facts.InsertAt, 0), [.. _members]));
        }

        if (splices.Count == 0)
        {
            return body;
        }

        splices.Sort(static (a, b) => a.Range.Start.CompareTo(b.Range.Start));
        var length = body.Length;
        foreach (var (range, bytes) in splices)
        {
            length += bytes.Length - range.Length;
        }

        var result = GC.AllocateUninitializedArray<byte>(length);
        Copy(body.Span, splices, result);
        return result;
    }

    private static void Copy(ReadOnlySpan<byte> body, List<(ByteRange Range, byte[] Bytes)> splices, Span<byte> result)
    {
        var from = 0;
        foreach (var (range, bytes) in splices)
        {
            body[from..range.Start].CopyTo(result);
            result = result[(range.Start - from)..];
            bytes.CopyTo(result);
            result = result[bytes.Length..];
            from = range.End;
        }

        body[from..].CopyTo(result);
    }
}
