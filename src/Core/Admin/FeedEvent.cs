using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Roadbalancer.Admin;

/// <summary>One event, as it goes to every listener.</summary>
/// <param name="Number">Its place among those that can be asked for again; 0 for one that cannot.</param>
/// <param name="Type"><c>transition</c>, <c>change</c> or <c>status</c>.</param>
/// <param name="Frame">The bytes of the stream.</param>
internal sealed record FeedEvent(long Number, string Type, byte[] Frame)
{
    /// <summary>Tells nothing: whoever listens is to look whether it still may, since the pool is a new one.</summary>
    public static readonly FeedEvent Wake = new(0, "", []);

    public static FeedEvent Of(string boot, long number, string type, JsonObject data)
    {
        var frame = new ArrayBufferWriter<byte>();
        var id = number == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"id: {boot}-{number}\n");
        frame.Write(Encoding.UTF8.GetBytes($"{id}event: {type}\ndata: "));
        frame.Write(JsonSerializer.SerializeToUtf8Bytes(data, AdminJson.Written));
        frame.Write("\n\n"u8);
        return new(number, type, frame.WrittenSpan.ToArray());
    }
}
