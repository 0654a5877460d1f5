using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;
using Roadbalancer.Backends;

namespace Roadbalancer.Proxy;

/// <summary>
/// Changes a request for one backend by splicing bytes: what is not meant to change stays exactly as the client sent it,
/// spacing, key order and number formats included.
/// </summary>
internal static class BodyEdit
{
    /// <summary>
    /// The body for <paramref name="backend"/>: its own name for the model, and for chat and text completions its defaults for
    /// <c>max_tokens</c> and <c>temperature</c> where the request has none. What does not change is the same memory.
    /// </summary>
    /// <param name="facts">What <see cref="RequestReader"/> found in this very body.</param>
    /// <param name="path">What follows <c>/v1/</c>, without a query.</param>
    public static ReadOnlySequence<byte> ForBackend(ReadOnlyMemory<byte> body, RequestFacts facts, Backend backend, ReadOnlySpan<char> path)
    {
        if (facts.Format == BodyFormat.None)
        {
            return new(body);
        }

        var splices = new SpliceList(facts);
        AddForBackend(ref splices, body.Span, facts, backend, path);
        return splices.Apply(body);
    }

    /// <summary>
    /// The body that asks <paramref name="backend"/> to go on with an answer that broke off: as <see cref="ForBackend"/> makes it,
    /// with the partial answer as last, assistant, message in the form that the backend declares (<see cref="Backend.Continuation"/>).
    /// </summary>
    /// <returns>
    /// Empty when it cannot be asked: the backend declares no form, the request is no chat completion with messages, the client steers the
    /// continuation itself, or its own last message is the assistant's (two in a row are read differently by every chat template).
    /// </returns>
    /// <param name="partialAnswer">What the client already has, in UTF-8.</param>
    public static ReadOnlySequence<byte> ForContinuation(
        ReadOnlyMemory<byte> body,
        RequestFacts facts,
        Backend backend,
        ReadOnlySpan<char> path,
        ReadOnlySpan<byte> partialAnswer)
    {
        if (backend.Continuation == ContinuationForm.None
            || !facts.Messages.IsPresent
            || facts.SteersContinuation
            || !Utf8.IsValid(partialAnswer)
            || IsFromAssistant(facts.LastMessage.In(body.Span)))
        {
            return default;
        }

        var splices = new SpliceList(facts);
        AddForBackend(ref splices, body.Span, facts, backend, path);
        if (backend.Continuation == ContinuationForm.ContinueFinalMessage)
        {
            splices.Insert("\"continue_final_message\":true,\"add_generation_prompt\":false"u8);
        }

        var hasMessages = facts.LastMessage.IsPresent;
        var at = hasMessages ? facts.LastMessage.End : facts.Messages.Start + 1;
        splices.Replace(new ByteRange(at, 0), AssistantMessage(partialAnswer, backend.Continuation, hasMessages));
        return splices.Apply(body);
    }

    private static void AddForBackend(ref SpliceList splices, ReadOnlySpan<byte> body, RequestFacts facts, Backend backend, ReadOnlySpan<char> path)
    {
        var name = facts.Model is null ? backend.ModelName : backend.NameOf(facts.Model);
        if (name is not null && !string.Equals(name, facts.Model, StringComparison.Ordinal))
        {
            AddModel(ref splices, body, facts, name, path);
        }

        if (facts.Format != BodyFormat.Json || path is not (RequestReader.ChatPath or "completions"))
        {
            return;
        }

        if (backend.MaxTokens is { } maxTokens && !facts.HasMaxTokens)
        {
            splices.Set("max_tokens", facts.NullMaxTokens, maxTokens.ToString(CultureInfo.InvariantCulture));
        }

        if (backend.Temperature is { } temperature && !facts.HasTemperature)
        {
            splices.Set("temperature", facts.NullTemperature, temperature.ToString("R", CultureInfo.InvariantCulture));
        }
    }

    private static void AddModel(ref SpliceList splices, ReadOnlySpan<byte> body, RequestFacts facts, string name, ReadOnlySpan<char> path)
    {
        var isMultipart = facts.Format == BodyFormat.Multipart;
        if (facts.HasModel)
        {
            splices.Replace(facts.ModelValue, isMultipart ? Encoding.UTF8.GetBytes(name) : Quote(name));
        }
        else if (!TakesModel(path))
        {
            return;
        }
        else if (isMultipart)
        {
            splices.InsertPart(body, "model", name);
        }
        else
        {
            splices.Insert([.. "\"model\":"u8, .. Quote(name)]);
        }
    }

    /// <summary>Whether requests to this path name a model. Others (files, batches, vector stores) refuse fields that they do not know.</summary>
    private static bool TakesModel(ReadOnlySpan<char> path) =>
        path is RequestReader.ChatPath or "completions" or "embeddings" or "responses" or "rerank" or "moderations"
        || path.StartsWith("images/", StringComparison.Ordinal)
        || path.StartsWith("audio/", StringComparison.Ordinal);

    private static byte[] Quote(string value) =>
        [(byte)'"', .. JsonEncodedText.Encode(value, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes, (byte)'"'];

    private static byte[] AssistantMessage(ReadOnlySpan<byte> content, ContinuationForm form, bool followsAnother)
    {
        var sink = new ArrayBufferWriter<byte>(content.Length + (content.Length / 8) + 64);
        if (followsAnother)
        {
            sink.Write(","u8);
        }

        // Relaxed: what is escaped beyond need would be read the same, but a token counter that works on bytes would not.
        using var json = new Utf8JsonWriter(sink, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        json.WriteStartObject();
        json.WriteString("role"u8, "assistant"u8);
        json.WriteString("content"u8, content);
        if (form == ContinuationForm.Prefix)
        {
            json.WriteBoolean("prefix"u8, true);
        }

        json.WriteEndObject();
        json.Flush();
        return sink.WrittenSpan.ToArray();
    }

    private static bool IsFromAssistant(ReadOnlySpan<byte> message)
    {
        if (message.IsEmpty || message[0] != '{')
        {
            return false;
        }

        var reader = new Utf8JsonReader(message, new JsonReaderOptions { MaxDepth = 256 });
        try
        {
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isRole = reader.ValueTextEquals("role"u8);
                reader.Read();
                if (isRole && reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("assistant"u8))
                {
                    return true;
                }

                reader.Skip();
            }

            return false;
        }
        catch (InvalidOperationException)
        {
            // Half a surrogate pair in a name: whatever that message is, nothing is appended to it.
            return true;
        }
    }
}
