using System.Text.Json;

namespace Roadbalancer.Proxy;

/// <summary>
/// What an error body says, whichever of the usual shapes it has: OpenAI and Azure (<c>{"error":{"code","type","innererror":{"code"}}}</c>), vLLM
/// (<c>{"object":"error","type","code":404}</c>), llama.cpp (<c>{"error":{"code":503,"type"}}</c>), Anthropic (<c>{"type":"error","error":{"type"}}</c>),
/// Ollama (<c>{"error":"…"}</c>), FastAPI (<c>{"detail":"…"}</c>), Google (the same in an array), the Responses API's events (<c>{"response":{"error":{…}}}</c>).
/// What is nearest to the fault wins over what surrounds it.
/// </summary>
internal ref struct ErrorBody
{
    private const int MaxNesting = 4;

    /// <summary><c>innererror.code</c>, the most precise.</summary>
    public string? InnerCode { get; private set; }

    /// <summary><c>code</c> where it is a word.</summary>
    public string? Code { get; private set; }

    /// <summary><c>code</c> where it is a number, in digits or as a string; 0 otherwise.</summary>
    public int Number { get; private set; }

    /// <summary><c>type</c>, or <c>error_type</c> as TGI has it.</summary>
    public string? Type { get; private set; }

    /// <summary><c>status</c> where it is a word, as Google has it.</summary>
    public string? Status { get; private set; }

    /// <summary><c>param</c>: the request's field at fault.</summary>
    public string? Param { get; private set; }

    /// <summary>The text. It may repeat the prompt or a key: only for looking at, never for logs.</summary>
    public string? Message { get; private set; }

    /// <summary>Reads what there is; a body that is cut off or no JSON gives what was readable until there.</summary>
    public static ErrorBody Read(ReadOnlySpan<byte> json)
    {
        var body = default(ErrorBody);
        var reader = new Utf8JsonReader(json);
        try
        {
            if (reader.Read() && reader.TokenType == JsonTokenType.StartArray)
            {
                reader.Read();
            }

            if (reader.TokenType == JsonTokenType.StartObject)
            {
                body.ReadObject(ref reader, 0, isInner: false);
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Cut off, no JSON, or half a surrogate pair: the status alone has to do.
        }

        return body;
    }

    private void ReadObject(ref Utf8JsonReader reader, int nesting, bool isInner)
    {
        var nested = default(ErrorBody);
        try
        {
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = reader.GetString()!;
                reader.Read();
                var isObject = reader.TokenType == JsonTokenType.StartObject;
                if (isObject && nesting < MaxNesting && name is ("error" or "response" or "detail" or "innererror"))
                {
                    nested.ReadObject(ref reader, nesting + 1, name == "innererror");
                }
                else
                {
                    ReadValue(ref reader, name, isInner);
                }
            }
        }
        finally
        {
            // Also when the body ends in the middle: what was read counts.
            Adopt(nested);
        }
    }

    private void ReadValue(ref Utf8JsonReader reader, string name, bool isInner)
    {
        switch (name)
        {
            case "code" when reader.TokenType == JsonTokenType.Number:
                Number = reader.TryGetInt32(out var number) ? number : 0;
                break;
            case "code" when reader.TokenType == JsonTokenType.String:
                ReadCode(reader.GetString()!, isInner);
                break;
            case "type" or "error_type" when reader.TokenType == JsonTokenType.String:
                Type = reader.GetString();
                break;
            case "status" when reader.TokenType == JsonTokenType.String:
                Status = reader.GetString();
                break;
            case "param" when reader.TokenType == JsonTokenType.String:
                Param = reader.GetString();
                break;
            case "message" or "error" or "detail" when reader.TokenType == JsonTokenType.String:
                Message = reader.GetString();
                break;
            default:
                reader.Skip();
                break;
        }
    }

    private void ReadCode(string code, bool isInner)
    {
        if (int.TryParse(code, out var number))
        {
            Number = number;
        }
        else if (isInner)
        {
            InnerCode = code;
        }
        else
        {
            Code = code;
        }
    }

    private void Adopt(in ErrorBody nested)
    {
        InnerCode = nested.InnerCode ?? InnerCode;
        Code = nested.Code ?? Code;
        Number = nested.Number != 0 ? nested.Number : Number;
        Type = nested.Type ?? Type;
        Status = nested.Status ?? Status;
        Param = nested.Param ?? Param;
        Message = nested.Message ?? Message;
    }
}
