using System.Text.Json;
using System.Text.Unicode;

namespace Roadbalancer.Proxy;

/// <summary>One pass over a JSON request. <see cref="RequestReader"/> says what is accepted.</summary>
internal ref struct JsonRequestScan
{
    private const int MaxDepth = 256;
    private const int PromptBytes = 1024;

    private static readonly JsonReaderOptions _options = new() { MaxDepth = MaxDepth };

    private readonly ReadOnlySpan<byte> _body;
    private readonly RequestFacts _facts;
    private readonly bool _isChat;
    private readonly int _origin;
    private Utf8JsonReader _reader;
    private ByteRange _cacheKey;
    private ByteRange _user;
    private ByteRange _messages;
    private ByteRange _prompt;
    private ByteRange _input;
    private bool _seenStream;
    private bool _seenMaxTokens;
    private bool _seenTemperature;

    public JsonRequestScan(ReadOnlySpan<byte> body, RequestFacts facts, bool isChat)
    {
        _body = body;
        _facts = facts;
        _isChat = isChat;
        _origin = body.StartsWith("\uFEFF"u8) ? 3 : 0;
        _reader = new Utf8JsonReader(body[_origin..], _options);
    }

    /// <summary>Fills the facts; returns what is wrong, or null.</summary>
    public string? Run()
    {
        if (!Utf8.IsValid(_body))
        {
            return $"The request body is not valid UTF-8: see byte {JsonFault.FirstInvalidByte(_body)}.";
        }

        try
        {
            return ReadObject();
        }
        catch (JsonException exception)
        {
            return JsonFault.Describe(exception, _body, _origin);
        }
    }

    private string? ReadObject()
    {
        _reader.Read();
        if (_reader.TokenType != JsonTokenType.StartObject)
        {
            return $"The request body must be a JSON object, but has {JsonFault.NameOf(_reader.TokenType)} at byte {Offset}.";
        }

        _facts.InsertAt = Offset + 1;
        _facts.IsEmptyObject = true;
        while (_reader.Read() && _reader.TokenType == JsonTokenType.PropertyName)
        {
            _facts.IsEmptyObject = false;
            var field = RequestFields.Find(ref _reader);
            _reader.Read();
            if (ReadField(field) is { } error)
            {
                return error;
            }

            _reader.Skip();
        }

        // Past the closing brace: anything but white space throws here.
        _reader.Read();
        SetAffinity();
        return null;
    }

    private string? ReadField(RequestField field)
    {
        switch (field)
        {
            case RequestField.Model:
                return ReadModel();
            case RequestField.Stream:
                return ReadStream();
            case RequestField.MaxTokens:
                return ReadMaxTokens();
            case RequestField.Temperature:
                return ReadTemperature();
            case RequestField.OtherMaxTokens:
                _facts.HasMaxTokens |= !IsNull;
                return null;
            case RequestField.StreamOptions:
                ReadStreamOptions();
                return null;
            case RequestField.PromptCacheKey:
                _cacheKey = StringContent();
                return null;
            case RequestField.User:
                _user = StringContent();
                return null;
            case RequestField.Messages:
                ReadMessages();
                return null;
            case RequestField.Prompt:
                ReadPrompt();
                return null;
            case RequestField.Input:
                _input = ReadRange();
                return null;
            default:
                ReadTrait(field);
                return null;
        }
    }

    private readonly void ReadTrait(RequestField field)
    {
        switch (field)
        {
            case RequestField.Seed:
                _facts.IsDeterministic |= !IsNull;
                break;
            case RequestField.N when _reader.TokenType == JsonTokenType.Number && _reader.TryGetDouble(out var n):
                _facts.Choices = (int)Math.Clamp(n, 1, int.MaxValue);
                break;
            case RequestField.Logprobs:
                _facts.HasLogprobs = _reader.TokenType is JsonTokenType.True or JsonTokenType.Number;
                break;
            case RequestField.Tools:
                _facts.HasTools |= StartsArrayWithElement();
                break;
            case RequestField.Continuation:
                _facts.SteersContinuation = true;
                break;
        }
    }

    private readonly string? ReadModel()
    {
        if (_facts.HasModel)
        {
            return Repeated("model");
        }

        if (_reader.TokenType is not (JsonTokenType.String or JsonTokenType.Null))
        {
            return $"'model' must be a string, but has {JsonFault.NameOf(_reader.TokenType)} at byte {Offset}.";
        }

        _facts.HasModel = true;
        _facts.ModelValue = new ByteRange(Offset, End - Offset);
        try
        {
            _facts.Model = _reader.GetString();
            return null;
        }
        catch (InvalidOperationException)
        {
            return $"'model' has half a surrogate pair in the string at byte {Offset}.";
        }
    }

    private string? ReadStream()
    {
        if (_seenStream)
        {
            return Repeated("stream");
        }

        _seenStream = true;
        if (_reader.TokenType is not (JsonTokenType.True or JsonTokenType.False or JsonTokenType.Null))
        {
            return $"'stream' must be true or false, but has {JsonFault.NameOf(_reader.TokenType)} at byte {Offset}.";
        }

        _facts.Stream = _reader.TokenType == JsonTokenType.True;
        return null;
    }

    private string? ReadMaxTokens()
    {
        if (_seenMaxTokens)
        {
            return Repeated("max_tokens");
        }

        _seenMaxTokens = true;
        _facts.HasMaxTokens |= !IsNull;
        _facts.NullMaxTokens = IsNull ? new ByteRange(Offset, End - Offset) : default;
        return null;
    }

    private string? ReadTemperature()
    {
        if (_seenTemperature)
        {
            return Repeated("temperature");
        }

        _seenTemperature = true;
        _facts.HasTemperature = !IsNull;
        _facts.NullTemperature = IsNull ? new ByteRange(Offset, End - Offset) : default;
        _facts.IsDeterministic |= _reader.TokenType == JsonTokenType.Number && _reader.TryGetDouble(out var value) && value == 0;
        return null;
    }

    private void ReadStreamOptions()
    {
        _facts.IncludeUsage = false;
        if (_reader.TokenType != JsonTokenType.StartObject)
        {
            return;
        }

        while (_reader.Read() && _reader.TokenType == JsonTokenType.PropertyName)
        {
            var field = RequestFields.Find(ref _reader);
            _reader.Read();
            if (field == RequestField.IncludeUsage)
            {
                _facts.IncludeUsage = _reader.TokenType == JsonTokenType.True;
            }

            _reader.Skip();
        }
    }

    private void ReadMessages()
    {
        var start = Offset;
        var isArray = _reader.TokenType == JsonTokenType.StartArray;
        var last = default(ByteRange);
        while (isArray && _reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            var element = Offset;
            _reader.Skip();
            last = new ByteRange(element, End - element);
        }

        _reader.Skip();
        var isOnly = !_messages.IsPresent;
        _messages = new ByteRange(start, End - start);

        // Of two arrays a backend may read either: then there is none to add to.
        _facts.Messages = _isChat && isArray && isOnly ? _messages : default;
        _facts.LastMessage = _facts.Messages.IsPresent ? last : default;
    }

    private void ReadPrompt()
    {
        var start = Offset;
        var isArray = _reader.TokenType == JsonTokenType.StartArray;
        var count = 0;
        while (isArray && _reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            // Bare numbers are the tokens of one prompt.
            count += _reader.TokenType is JsonTokenType.String or JsonTokenType.StartArray ? 1 : 0;
            _reader.Skip();
        }

        _reader.Skip();
        _prompt = new ByteRange(start, End - start);
        _facts.Prompts = Math.Max(1, count);
    }

    private ByteRange ReadRange()
    {
        var start = Offset;
        _reader.Skip();
        return new ByteRange(start, End - start);
    }

    private readonly void SetAffinity()
    {
        var prompt = _messages.IsPresent ? _messages : _prompt.IsPresent ? _prompt : _input;
        (_facts.Affinity, _facts.AffinitySource) = _cacheKey.IsPresent ? (_cacheKey, AffinitySource.PromptCacheKey)
            : _user.IsPresent ? (_user, AffinitySource.User)
            : prompt.IsPresent ? (prompt with { Length = Math.Min(prompt.Length, PromptBytes) }, AffinitySource.Prompt)
            : (default, AffinitySource.None);
    }

    private readonly bool IsNull => _reader.TokenType == JsonTokenType.Null;

    private readonly int Offset => _origin + (int)_reader.TokenStartIndex;

    private readonly int End => _origin + (int)_reader.BytesConsumed;

    private readonly ByteRange StringContent() =>
        _reader.TokenType == JsonTokenType.String ? new ByteRange(Offset + 1, End - Offset - 2) : default;

    private readonly bool StartsArrayWithElement()
    {
        var ahead = _reader;
        return ahead.TokenType == JsonTokenType.StartArray && ahead.Read() && ahead.TokenType != JsonTokenType.EndArray;
    }

    private readonly string Repeated(string name) => $"'{name}' is given twice; the second value is at byte {Offset}.";
}
