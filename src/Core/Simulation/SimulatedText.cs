namespace Roadbalancer.Simulation;

/// <summary>
/// The words of an answer, each a token with the space before it, already escaped for JSON. They follow from the request alone, so that
/// the same request gets the same text from every simulated backend.
/// </summary>
internal sealed class SimulatedText
{
    private const int EchoedWords = 8;
    private const int LongestWord = 64;

    private static readonly byte[][] Essay = Words(
        " ... A load balancer spreads requests over several servers so that none is overwhelmed while another idles."
        + " It watches which of them answer, sends new work to those that can take it, and tries another when one fails."
        + " Done well, nobody notices that anything was wrong.");

    private static readonly byte[][] Opening = Words("You said:");

    private byte[] _echo = [];
    private readonly int[] _echoEnds = new int[EchoedWords];
    private int _echoCount;

    /// <summary>All the words there are.</summary>
    public int Count => Opening.Length + _echoCount + Essay.Length;

    public ReadOnlySpan<byte> this[int index]
    {
        get
        {
            if (index < Opening.Length)
            {
                return Opening[index];
            }

            index -= Opening.Length;
            return index < _echoCount ? _echo.AsSpan(index == 0 ? 0 : _echoEnds[index - 1], LengthOfEcho(index)) : Essay[index - _echoCount];
        }
    }

    /// <summary>Takes over the first words of what the user said. Longer words than 64 bytes are left out.</summary>
    /// <param name="escaped">The inside of a JSON string as it was sent, escapes and all: parted only at spaces, its pieces are still escaped.</param>
    public void Echo(ReadOnlySpan<byte> escaped)
    {
        _echoCount = 0;
        var end = 0;
        while (!escaped.IsEmpty && _echoCount < EchoedWords)
        {
            var space = escaped.IndexOf((byte)' ');
            var word = space < 0 ? escaped : escaped[..space];
            escaped = space < 0 ? [] : escaped[(space + 1)..];
            if (word.Length is 0 or > LongestWord)
            {
                continue;
            }

            if (_echo.Length < end + word.Length + 1)
            {
                Array.Resize(ref _echo, Math.Max(64, 2 * (end + word.Length + 1)));
            }

            _echo[end] = (byte)' ';
            word.CopyTo(_echo.AsSpan(end + 1));
            end += word.Length + 1;
            _echoEnds[_echoCount++] = end;
        }
    }

    private int LengthOfEcho(int index) => _echoEnds[index] - (index == 0 ? 0 : _echoEnds[index - 1]);

    private static byte[][] Words(string text) =>
        [.. text.TrimStart().Split(' ').Select((word, index) => System.Text.Encoding.UTF8.GetBytes(index == 0 && text[0] != ' ' ? word : " " + word))];
}
