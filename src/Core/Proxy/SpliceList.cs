using System.Buffers;
using System.Text;

namespace Roadbalancer.Proxy;

/// <summary>The few places at which a body changes, applied without copying what does not.</summary>
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

    /// <summary>What is sent: the pieces of <paramref name="body"/> that stay, over the same memory, and what comes between them.</summary>
    public readonly ReadOnlySequence<byte> Apply(ReadOnlyMemory<byte> body)
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
            return new(body);
        }

        splices.Sort(static (a, b) => a.Range.Start.CompareTo(b.Range.Start));
        var first = new Piece(body[..splices[0].Range.Start]);
        var last = first;
        for (var splice = 0; splice < splices.Count; splice++)
        {
            var (range, bytes) = splices[splice];
            var until = splice + 1 < splices.Count ? splices[splice + 1].Range.Start : body.Length;
            last = last.Then(bytes).Then(body[range.End..until]);
        }

        return new(first, 0, last, last.Memory.Length);
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(ReadOnlyMemory<byte> memory) => Memory = memory;

        public Piece Then(ReadOnlyMemory<byte> memory)
        {
            var next = new Piece(memory) { RunningIndex = RunningIndex + Memory.Length };
            Next = next;
            return next;
        }
    }
}
