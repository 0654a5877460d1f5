using System.Buffers;
using System.Buffers.Text;
using System.IO.Compression;
using System.Text;
using System.Text.Json;

namespace Roadbalancer.Ledger;

/// <summary>
/// The run-time changes as they are kept: <c>{"schema":1,"version":n,"document":"…"}</c>, the document as a text, so that no re-serialisation
/// touches it. It holds what the changes hold, the backends' keys included.
/// </summary>
/// <param name="Version">The changes' own version; 0 for none.</param>
/// <param name="Stored">The document as it is stored: as it is, or <c>z</c> and its deflated bytes in base64url when it is long.</param>
internal sealed record RegistryRecord(long Version, string Stored)
{
    /// <summary>The most that a state may have, in bytes of UTF-8. Deflated, the changes of some 300 backends fit.</summary>
    public const int Most = 48_000;

    public static readonly RegistryRecord None = new(0, "");

    private const int Schema = 1;

    /// <summary>Longer documents are deflated.</summary>
    private const int Long = 8 * 1024;

    /// <summary>What a document may come to: a bound against a state that is none of ours.</summary>
    private const int MostDocument = 8 * 1024 * 1024;

    /// <summary>The record of <paramref name="document"/>, which begins with a brace.</summary>
    public static RegistryRecord Of(long version, string document) => new(version, document.Length <= Long ? document : Deflate(document));

    /// <exception cref="FormatException">It is no such state.</exception>
    /// <exception cref="NotSupportedException">It was written by a newer program.</exception>
    public static RegistryRecord Parse(string json)
    {
        using var document = EntityJson.Parse(json);
        EntityJson.RequireSchema(document.RootElement, Schema);
        return Of(document.RootElement);
    }

    /// <summary>The input of <c>put</c>: the same without a schema; <c>after</c> is the version that alone is to be replaced.</summary>
    /// <exception cref="FormatException">It is no such input, or too long to be kept.</exception>
    public static RegistryRecord ParseInput(string json, out long? after)
    {
        using var document = EntityJson.Parse(json);
        var record = Of(document.RootElement);
        after = EntityJson.OptionalNumber(document.RootElement, "after");
        return Encoding.UTF8.GetByteCount(record.ToJson()) <= Most ? record : throw new FormatException($"the document is longer than {Most:N0} bytes");
    }

    /// <summary>The document itself.</summary>
    /// <exception cref="FormatException">It is none of ours.</exception>
    public string Document()
    {
        if (!Stored.StartsWith('z'))
        {
            return Stored;
        }

        try
        {
            using var deflated = new DeflateStream(new MemoryStream(Base64Url.DecodeFromChars(Stored.AsSpan(1))), CompressionMode.Decompress);
            using var text = new MemoryStream();
            var buffer = new byte[16 * 1024];
            for (int read; (read = deflated.Read(buffer)) > 0;)
            {
                text.Write(buffer, 0, read);
                if (text.Length > MostDocument)
                {
                    throw new FormatException("the document is too long");
                }
            }

            return Encoding.UTF8.GetString(text.GetBuffer(), 0, (int)text.Length);
        }
        catch (InvalidDataException)
        {
            throw new FormatException("the document is damaged");
        }
    }

    /// <param name="after">As an input of <c>put</c>: the version that it goes on from; null for any, and for a state.</param>
    public string ToJson(long? after = null)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteNumber("schema", Schema);
            json.WriteNumber("version", Version);
            json.WriteString("document", Stored);
            if (after is { } version)
            {
                json.WriteNumber("after", version);
            }

            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static RegistryRecord Of(JsonElement root) => new(EntityJson.Number(root, "version"), EntityJson.Text(root, "document"));

    private static string Deflate(string document)
    {
        using var bytes = new MemoryStream();
        using (var deflate = new DeflateStream(bytes, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            deflate.Write(Encoding.UTF8.GetBytes(document));
        }

        return "z" + Base64Url.EncodeToString(bytes.GetBuffer().AsSpan(0, (int)bytes.Length));
    }
}
