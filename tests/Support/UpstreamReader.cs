using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;

namespace Roadbalancer.Tests.Support;

/// <summary>Reads HTTP/1.1 requests from a connection: head, then a body by Content-Length or in chunks (RFC 9112).</summary>
internal sealed class UpstreamReader(PipeReader reader)
{
    internal sealed record Message(string Method, string Target, IReadOnlyList<KeyValuePair<string, string>> Headers, byte[] Body);

    /// <summary>The next request; null when the peer has closed the connection instead of beginning one.</summary>
    /// <exception cref="IOException">The connection ended within a request, or what came is not HTTP.</exception>
    public async Task<Message?> ReadAsync(Func<Task> sendContinue, CancellationToken cancellationToken)
    {
        var line = await ReadLineAsync(cancellationToken);
        if (line is null)
        {
            return null;
        }

        if (line.Split(' ') is not [var method, var target, "HTTP/1.1"])
        {
            throw new IOException($"Not a request line: «{line}».");
        }

        var headers = new List<KeyValuePair<string, string>>();
        while (await RequireLineAsync(cancellationToken) is { Length: > 0 } header)
        {
            var colon = header.IndexOf(':', StringComparison.Ordinal);
            headers.Add(new(header[..colon], header[(colon + 1)..].Trim()));
        }

        if (Find(headers, "Expect") is not null)
        {
            await sendContinue();
        }

        return new(method, target, headers, await ReadBodyAsync(headers, cancellationToken));
    }

    private static string? Find(List<KeyValuePair<string, string>> headers, string name) =>
        headers.FirstOrDefault(header => header.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;

    private async Task<byte[]> ReadBodyAsync(List<KeyValuePair<string, string>> headers, CancellationToken cancellationToken)
    {
        if (Find(headers, "Content-Length") is { } length)
        {
            return await ReadExactlyAsync(int.Parse(length, CultureInfo.InvariantCulture), cancellationToken);
        }

        if (!string.Equals(Find(headers, "Transfer-Encoding"), "chunked", StringComparison.OrdinalIgnoreCase))
        {
            return [];
        }

        using var body = new MemoryStream();
        while (true)
        {
            var sizeLine = await RequireLineAsync(cancellationToken);
            var size = int.Parse(sizeLine.Split(';')[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            body.Write(await ReadExactlyAsync(size, cancellationToken));
            await RequireLineAsync(cancellationToken);
            if (size == 0)
            {
                return body.ToArray();
            }
        }
    }

    private async Task<string> RequireLineAsync(CancellationToken cancellationToken) =>
        await ReadLineAsync(cancellationToken) ?? throw new IOException("The connection ended within a request.");

    private async Task<string?> ReadLineAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var result = await reader.ReadAsync(cancellationToken);
            if (result.Buffer.PositionOf((byte)'\n') is { } end)
            {
                var line = Encoding.Latin1.GetString(result.Buffer.Slice(0, end)).TrimEnd('\r');
                reader.AdvanceTo(result.Buffer.GetPosition(1, end));
                return line;
            }

            reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
            if (result.IsCompleted)
            {
                return result.Buffer.IsEmpty ? null : throw new IOException("The connection ended within a line.");
            }
        }
    }

    private async Task<byte[]> ReadExactlyAsync(int count, CancellationToken cancellationToken)
    {
        if (count == 0)
        {
            // The pipe would wait for the next request's first byte.
            return [];
        }

        var result = await reader.ReadAtLeastAsync(count, cancellationToken);
        if (result.Buffer.Length < count)
        {
            throw new IOException("The connection ended within a body.");
        }

        var bytes = result.Buffer.Slice(0, count).ToArray();
        reader.AdvanceTo(result.Buffer.GetPosition(count));
        return bytes;
    }
}
