using System.Buffers;

namespace Roadbalancer.Proxy;

/// <summary>
/// Checks an answer that is not a stream while it passes through, in pieces split anywhere: whether it is one well-formed JSON value
/// (RFC 8259, at most 256 levels deep), what <c>usage</c> it reports, and whether it is an error in a success's clothes.
/// </summary>
/// <remarks>
/// A scanner of its own, because <see cref="System.Text.Json.Utf8JsonReader"/> must have a whole string at hand, and an image is one of
/// ten megabytes. It accepts what <see cref="System.Text.Json.JsonDocument"/> accepts, which looks neither into UTF-8 sequences nor at lone surrogates,
/// and beyond that one leading byte order mark, as clients do. Names are recognised unescaped only: no server escapes these.
/// Not safe for concurrent use; <see cref="Reset"/> makes it ready for another answer.
/// </remarks>
internal sealed partial class AnswerReader
{
    private const int MaxDepth = 256;

    private static readonly SearchValues<byte> _stringStops = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Select(b => (byte)b), (byte)'"', (byte)'\\']);

    /// <summary>One bit a level: set for an object, clear for an array.</summary>
    private readonly ulong[] _isObject = new ulong[MaxDepth / 64];

    private Scan _scan;
    private int _depth;
    private bool _inName;
    private int _hexLeft;
    private byte _markPosition;
    private ReadOnlyMemory<byte> _literal;
    private int _literalPosition;

    /// <summary>Where in the grammar the next byte stands.</summary>
    private enum Scan : byte
    {
        Start,
        Mark,
        Value,
        ValueOrEnd,
        Name,
        NameOrEnd,
        Colon,
        CommaOrEnd,
        String,
        Escape,
        Hex,
        Literal,
        Minus,
        Zero,
        Integer,
        Point,
        Fraction,
        Exponent,
        ExponentSign,
        ExponentDigits,
        End,
        Failed,
    }

    /// <summary>Whether the answer was well-formed; meaningful after <see cref="Complete"/>.</summary>
    public bool IsWellFormed { get; private set; }

    /// <summary><c>usage.prompt_tokens</c> or <c>usage.input_tokens</c>, at the top level or in a top-level <c>response</c>; null when there is none that is a whole number from 0.</summary>
    public long? InputTokens { get; private set; }

    /// <summary><c>usage.completion_tokens</c> or <c>usage.output_tokens</c>, likewise.</summary>
    public long? OutputTokens { get; private set; }

    /// <summary>Whether there is a top-level <c>error</c> other than null.</summary>
    public bool HasError { get; private set; }

    /// <summary>Looks at the next piece. Nothing of it is kept but what the fields above hold.</summary>
    public void Feed(ReadOnlySpan<byte> chunk)
    {
        var i = 0;
        while (i < chunk.Length)
        {
            switch (_scan)
            {
                case Scan.String:
                    ReadString(chunk, ref i);
                    break;
                case Scan.Escape or Scan.Hex:
                    ReadEscape(chunk[i++]);
                    break;
                case Scan.Literal:
                    ReadLiteral(chunk, ref i);
                    break;
                case >= Scan.Minus and <= Scan.ExponentDigits:
                    ReadNumber(chunk, ref i);
                    break;
                case Scan.Failed:
                    return;
                case Scan.Start or Scan.Mark:
                    ReadMark(chunk[i], ref i);
                    break;
                default:
                    ReadStructure(chunk, ref i);
                    break;
            }
        }
    }

    /// <summary>Says that the answer is over.</summary>
    /// <returns><see cref="IsWellFormed"/>.</returns>
    public bool Complete()
    {
        if (_depth == 0 && _scan is Scan.Zero or Scan.Integer or Scan.Fraction or Scan.ExponentDigits)
        {
            // Only a number at the top has no sign of its end.
            EndNumber();
        }

        IsWellFormed = _scan == Scan.End;
        return IsWellFormed;
    }

    /// <summary>Ready for another answer.</summary>
    public void Reset()
    {
        _scan = Scan.Start;
        _depth = 0;
        _markPosition = 0;
        ResetFacts();
        IsWellFormed = false;
        InputTokens = OutputTokens = null;
        HasError = false;
    }

    private void ReadStructure(ReadOnlySpan<byte> chunk, ref int i)
    {
        var b = chunk[i++];
        if (b is (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t')
        {
            return;
        }

        switch (_scan)
        {
            case Scan.ValueOrEnd when b == ']':
            case Scan.NameOrEnd when b == '}':
                Leave();
                break;
            case Scan.Value or Scan.ValueOrEnd:
                BeginValue(b);
                break;
            case Scan.Name or Scan.NameOrEnd when b == '"':
                _inName = true;
                _scan = Scan.String;
                BeginName();
                break;
            case Scan.Colon when b == ':':
                _scan = Scan.Value;
                break;
            case Scan.CommaOrEnd when b == ',':
                _scan = IsInObject ? Scan.Name : Scan.Value;
                break;
            case Scan.CommaOrEnd when b == (IsInObject ? '}' : ']'):
                Leave();
                break;
            default:
                _scan = Scan.Failed;
                break;
        }
    }

    private void BeginValue(byte b)
    {
        NoteValue(b);
        switch (b)
        {
            case (byte)'"':
                _inName = false;
                _scan = Scan.String;
                break;
            case (byte)'{' or (byte)'[':
                Enter(b == '{');
                break;
            case (byte)'t':
                BeginLiteral(_true);
                break;
            case (byte)'f':
                BeginLiteral(_false);
                break;
            case (byte)'n':
                BeginLiteral(_null);
                break;
            case (byte)'-':
                BeginNumber(b);
                _scan = Scan.Minus;
                break;
            case (byte)'0':
                BeginNumber(b);
                _scan = Scan.Zero;
                break;
            case >= (byte)'1' and <= (byte)'9':
                BeginNumber(b);
                _scan = Scan.Integer;
                break;
            default:
                _scan = Scan.Failed;
                break;
        }
    }

    private bool IsInObject => ((_isObject[(_depth - 1) >> 6] >> ((_depth - 1) & 63)) & 1) != 0;

    private void Enter(bool isObject)
    {
        if (_depth == MaxDepth)
        {
            _scan = Scan.Failed;
            return;
        }

        var bit = 1UL << (_depth & 63);
        ref var word = ref _isObject[_depth >> 6];
        word = isObject ? word | bit : word & ~bit;
        _depth++;
        EnterPlace(isObject);
        _scan = isObject ? Scan.NameOrEnd : Scan.ValueOrEnd;
    }

    private void Leave()
    {
        _depth--;
        EndValue();
    }

    private void EndValue() => _scan = _depth == 0 ? Scan.End : Scan.CommaOrEnd;
}
