namespace Roadbalancer.Proxy;

/// <content>What is read on the way: the few names that matter, where they stand, and the numbers behind them.</content>
internal sealed partial class AnswerReader
{
    /// <summary>The longest name that matters, <c>completion_tokens</c>.</summary>
    private const int LongestName = 17;

    /// <summary>The deepest level whose names matter: response, usage, tokens.</summary>
    private const int DeepestPlace = 3;

    /// <summary>A name that its piece ended in the middle of.</summary>
    private readonly byte[] _carried = new byte[LongestName];

    /// <summary>What the object at each level is.</summary>
    private readonly Place[] _places = new Place[DeepestPlace + 1];

    private int _nameLength;
    private Name _name;
    private Count _count;
    private long _number;
    private bool _isWholeNumber;

    private enum Place : byte
    {
        Elsewhere,
        Top,
        Response,
        Usage,
    }

    private enum Name : byte
    {
        Other,
        Usage,
        Response,
        Error,
        InputTokens,
        OutputTokens,
    }

    /// <summary>Which figure the present number is.</summary>
    private enum Count : byte
    {
        None,
        Input,
        Output,
    }

    private void ResetFacts()
    {
        _name = Name.Other;
        _count = Count.None;
        _nameLength = 0;
    }

    /// <summary>The object or array just entered, at <see cref="_depth"/>.</summary>
    private void EnterPlace(bool isObject)
    {
        var name = _name;
        _name = Name.Other;
        if (_depth > DeepestPlace)
        {
            return;
        }

        _places[_depth] = !isObject ? Place.Elsewhere
            : _depth == 1 ? Place.Top
            : (_places[_depth - 1], name) switch
            {
                (Place.Top, Name.Response) => Place.Response,
                (Place.Top or Place.Response, Name.Usage) => Place.Usage,
                _ => Place.Elsewhere,
            };
    }

    private bool NamesMatter => _depth <= DeepestPlace && _places[_depth] != Place.Elsewhere;

    private void BeginName()
    {
        _nameLength = 0;
        _name = Name.Other;
    }

    private void NoteName(ReadOnlySpan<byte> piece)
    {
        if (!NamesMatter)
        {
            return;
        }

        if (piece.Length > LongestName - _nameLength)
        {
            SpoilName();
            return;
        }

        piece.CopyTo(_carried.AsSpan(_nameLength));
        _nameLength += piece.Length;
    }

    /// <summary>This name cannot be one that matters.</summary>
    private void SpoilName() => _nameLength = LongestName + 1;

    private void EndName()
    {
        if (!NamesMatter || _nameLength > LongestName)
        {
            return;
        }

        ReadOnlySpan<byte> name = _carried.AsSpan(0, _nameLength);
        _name = (_places[_depth], _nameLength) switch
        {
            (Place.Top, 5) when name.SequenceEqual("error"u8) => Name.Error,
            (Place.Top, 8) when name.SequenceEqual("response"u8) => Name.Response,
            (Place.Top or Place.Response, 5) when name.SequenceEqual("usage"u8) => Name.Usage,
            (Place.Usage, 13) when name.SequenceEqual("prompt_tokens"u8) => Name.InputTokens,
            (Place.Usage, 12) when name.SequenceEqual("input_tokens"u8) => Name.InputTokens,
            (Place.Usage, 17) when name.SequenceEqual("completion_tokens"u8) => Name.OutputTokens,
            (Place.Usage, 13) when name.SequenceEqual("output_tokens"u8) => Name.OutputTokens,
            _ => Name.Other,
        };
    }

    /// <summary>A value begins with <paramref name="b"/>.</summary>
    private void NoteValue(byte b)
    {
        // In an array no name stands before a value: the one of the array was cleared when it was entered.
        HasError |= _name == Name.Error && b != 'n';
        _count = _name == Name.InputTokens ? Count.Input : _name == Name.OutputTokens ? Count.Output : Count.None;
    }

    private void BeginNumber(byte b)
    {
        _isWholeNumber = b != '-';
        _number = b - '0';
    }

    private void NoteDigit(Scan next, byte b)
    {
        if (next != Scan.Integer || _number > (long.MaxValue - 9) / 10)
        {
            _isWholeNumber = false;
        }
        else
        {
            _number = (_number * 10) + (b - '0');
        }
    }

    private void EndNumber()
    {
        if (_isWholeNumber && _count == Count.Input)
        {
            InputTokens = _number;
        }
        else if (_isWholeNumber && _count == Count.Output)
        {
            OutputTokens = _number;
        }

        _count = Count.None;
        EndValue();
    }
}
