using System.Text;
using System.Text.Unicode;

namespace Roadbalancer.Proxy;

/// <summary>Finds the fields that matter in <c>multipart/form-data</c> (RFC 7578) and passes over files without looking into them.</summary>
internal static class MultipartScan
{
    /// <summary>The longest boundary, RFC 2046 §5.1.1.</summary>
    private const int LongestBoundary = 70;

    /// <summary>Fills the facts; returns what is wrong, or null.</summary>
    public static string? Run(ReadOnlySpan<byte> body, ReadOnlySpan<char> boundary, RequestFacts facts)
    {
        if (boundary.IsEmpty || boundary.Length > LongestBoundary || !Ascii.IsValid(boundary))
        {
            return "The Content-Type multipart/form-data needs a boundary of 1 to 70 ASCII characters.";
        }

        Span<byte> line = stackalloc byte[4 + LongestBoundary];
        "\r\n--"u8.CopyTo(line);
        Encoding.ASCII.GetBytes(boundary, line[4..]);
        line = line[..(4 + boundary.Length)];

        var at = body.StartsWith(line[2..]) ? -2 : FindDelimiter(body, 0, line);
        if (at == body.Length)
        {
            return "The multipart body does not contain the boundary that its Content-Type names.";
        }

        facts.Delimiter = new ByteRange(at + 2, line.Length - 2);
        facts.InsertAt = at + 2;
        while (at + line.Length < body.Length && !body[(at + line.Length)..].StartsWith("--"u8))
        {
            var start = at + line.Length;
            at = FindDelimiter(body, start, line);
            if (ReadPart(body[..at], start, facts) is { } error)
            {
                return error;
            }
        }

        return null;
    }

    /// <summary>The offset of the next delimiter's line break; the body's length when there is none.</summary>
    private static int FindDelimiter(ReadOnlySpan<byte> body, int from, ReadOnlySpan<byte> line)
    {
        while (true)
        {
            var found = body[from..].IndexOf(line);
            if (found < 0)
            {
                return body.Length;
            }

            // A longer word that begins with the boundary is content.
            var end = from + found + line.Length;
            if (end == body.Length || body[end] is (byte)'\r' or (byte)' ' or (byte)'\t' || body[end..].StartsWith("--"u8))
            {
                return from + found;
            }

            from = end;
        }
    }

    /// <summary>Reads one part: from just after its delimiter to the end of <paramref name="body"/>, which is the part's end.</summary>
    private static string? ReadPart(ReadOnlySpan<byte> body, int start, RequestFacts facts)
    {
        var headersLength = body[start..].IndexOf("\r\n\r\n"u8);
        if (headersLength < 0 || !TryReadName(body.Slice(start, headersLength), out var name))
        {
            return null;
        }

        var value = new ByteRange(start + headersLength + 4, body.Length - start - headersLength - 4);
        if (name.SequenceEqual("model"u8))
        {
            return ReadModel(body, value, facts);
        }

        if (name.SequenceEqual("stream"u8))
        {
            facts.Stream = Ascii.EqualsIgnoreCase(value.In(body), "true"u8) || value.In(body).SequenceEqual("1"u8);
        }
        else if (name.SequenceEqual("user"u8) && value.IsPresent)
        {
            facts.Affinity = value;
            facts.AffinitySource = AffinitySource.User;
        }

        return null;
    }

    private static string? ReadModel(ReadOnlySpan<byte> body, ByteRange value, RequestFacts facts)
    {
        if (facts.HasModel)
        {
            return $"'model' is given twice; the second value is at byte {value.Start}.";
        }

        if (!Utf8.IsValid(value.In(body)))
        {
            return $"'model' is not valid UTF-8 at byte {value.Start}.";
        }

        facts.HasModel = true;
        facts.ModelValue = value;
        facts.Model = value.IsPresent ? Encoding.UTF8.GetString(value.In(body)) : null;
        return null;
    }

    /// <summary>The field's name from <c>Content-Disposition: form-data; name="model"</c>; false for a file.</summary>
    private static bool TryReadName(ReadOnlySpan<byte> headers, out ReadOnlySpan<byte> name)
    {
        name = default;
        foreach (var range in headers.Split("\r\n"u8))
        {
            var header = headers[range];
            var colon = header.IndexOf((byte)':');
            if (colon < 0 || !Ascii.EqualsIgnoreCase(header[..colon], "content-disposition"u8))
            {
                continue;
            }

            foreach (var parameterRange in header.Split((byte)';'))
            {
                var parameter = header[parameterRange].Trim(" \t"u8);
                var equals = parameter.IndexOf((byte)'=');
                if (equals < 0)
                {
                    continue;
                }

                if (Ascii.EqualsIgnoreCase(parameter[..equals], "name"u8))
                {
                    name = parameter[(equals + 1)..].Trim((byte)'"');
                }
                else if (Ascii.EqualsIgnoreCase(parameter[..equals], "filename"u8))
                {
                    return false;
                }
            }
        }

        return !name.IsEmpty;
    }
}
