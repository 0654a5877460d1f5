using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Roadbalancer.Tests.Telemetry;

/// <summary>A protobuf message read by field numbers alone: as much as the tests need of OTLP.</summary>
internal sealed class ProtobufFields
{
    private readonly List<(int Number, ulong Value, byte[] Bytes)> _fields = [];

    public ProtobufFields(ReadOnlySpan<byte> message)
    {
        while (!message.IsEmpty)
        {
            var tag = Varint(ref message);
            var (number, type) = ((int)(tag >> 3), (int)(tag & 7));
            switch (type)
            {
                case 0:
                    _fields.Add((number, Varint(ref message), []));
                    break;
                case 1:
                    _fields.Add((number, BinaryPrimitives.ReadUInt64LittleEndian(message), []));
                    message = message[8..];
                    break;
                case 2:
                    var length = (int)Varint(ref message);
                    _fields.Add((number, 0, message[..length].ToArray()));
                    message = message[length..];
                    break;
                case 5:
                    _fields.Add((number, BinaryPrimitives.ReadUInt32LittleEndian(message), []));
                    message = message[4..];
                    break;
                default:
                    throw new InvalidDataException($"Wire type {type} in field {number}.");
            }
        }
    }

    /// <summary>Every message in field <paramref name="number"/>.</summary>
    public IEnumerable<ProtobufFields> All(int number) => _fields.Where(field => field.Number == number).Select(field => new ProtobufFields(field.Bytes));

    public bool Has(int number) => _fields.Exists(field => field.Number == number);

    public string Text(int number) => Encoding.UTF8.GetString(_fields.First(field => field.Number == number).Bytes);

    public string Hex(int number) => Convert.ToHexStringLower(_fields.FirstOrDefault(field => field.Number == number).Bytes ?? []);

    public ulong Number(int number) => _fields.FirstOrDefault(field => field.Number == number).Value;

    /// <summary>KeyValue messages in field <paramref name="number"/>: strings as they are, integers in digits.</summary>
    public Dictionary<string, string> Attributes(int number) => All(number).ToDictionary(pair => pair.Text(1), pair =>
        pair.All(2).Single() is var value && value.Has(1) ? value.Text(1) : value.Number(3).ToString(CultureInfo.InvariantCulture));

    private static ulong Varint(ref ReadOnlySpan<byte> message)
    {
        ulong value = 0;
        for (var shift = 0; ; shift += 7)
        {
            var next = message[0];
            message = message[1..];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }
    }
}
