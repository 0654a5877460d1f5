namespace Roadbalancer.Tests.Infra;

internal enum BicepKind
{
    /// <summary>A name or keyword.</summary>
    Name,

    /// <summary>A string without interpolations, or the text of one between them; <see cref="BicepToken.Text"/> is its value.</summary>
    Text,

    Number,

    /// <summary>One sign, or several that belong together like <c>=></c>.</summary>
    Sign,

    NewLine,
}

/// <summary>One piece of a Bicep file.</summary>
internal readonly record struct BicepToken(BicepKind Kind, string Text, int Line)
{
    public bool Is(string text) => Kind is BicepKind.Name or BicepKind.Sign && Text == text;
}

/// <summary>Cuts Bicep into pieces. An interpolation's expression is cut like everything else, between <c>${</c> and <c>}</c>.</summary>
internal sealed class BicepTokenizer(string file, string text)
{
    private static readonly string[] Signs = ["=>", "==", "!=", ">=", "<=", "&&", "||", "??", ".?", "::", "..."];

    private readonly List<BicepToken> _tokens = [];
    private int _at;
    private int _line = 1;

    public static List<BicepToken> Cut(string file, string text)
    {
        var tokenizer = new BicepTokenizer(file, text);
        tokenizer.Run(isInterpolation: false);
        return tokenizer._tokens;
    }

    private void Run(bool isInterpolation)
    {
        var depth = 0;
        while (_at < text.Length)
        {
            var letter = text[_at];
            if (isInterpolation && letter == '}' && depth == 0)
            {
                return;
            }

            depth += letter == '{' ? 1 : letter == '}' ? -1 : 0;
            Next(letter);
        }

        Assert.False(isInterpolation, $"{file}:{_line}: an interpolation without its end");
    }

    private void Next(char letter)
    {
        if (letter == '\n')
        {
            Add(BicepKind.NewLine, "\n", 1);
            _line++;
        }
        else if (char.IsWhiteSpace(letter))
        {
            _at++;
        }
        else if (Starts("//"))
        {
            _at = End('\n');
        }
        else if (Starts("/*"))
        {
            SkipBlock();
        }
        else if (letter == '\'')
        {
            String();
        }
        else if (char.IsAsciiLetter(letter) || letter == '_')
        {
            Add(BicepKind.Name, Run(static next => char.IsAsciiLetterOrDigit(next) || next == '_'));
        }
        else if (char.IsAsciiDigit(letter))
        {
            Add(BicepKind.Number, Run(char.IsAsciiDigit));
        }
        else
        {
            var sign = Array.Find(Signs, Starts) ?? letter.ToString();
            Assert.True(sign.Length > 1 || "{}[]().,:=?@!<>+-*/%|#".Contains(letter, StringComparison.Ordinal), $"{file}:{_line}: '{letter}' is no sign of Bicep");
            Add(BicepKind.Sign, sign);
        }
    }

    private void SkipBlock()
    {
        var end = text.IndexOf("*/", _at, StringComparison.Ordinal);
        Assert.True(end >= 0, $"{file}:{_line}: a comment without its end");
        _line += text.AsSpan(_at, end - _at).Count('\n');
        _at = end + 2;
    }

    private void String()
    {
        Assert.False(Starts("'''"), $"{file}:{_line}: strings over several lines are not used here");
        var value = new System.Text.StringBuilder();
        _at++;
        while (true)
        {
            Assert.True(_at < text.Length && text[_at] != '\n', $"{file}:{_line}: a string without its end");
            if (text[_at] == '\'')
            {
                _at++;
                break;
            }

            if (Starts("${"))
            {
                _tokens.Add(new(BicepKind.Text, value.ToString(), _line));
                value.Clear();
                Add(BicepKind.Sign, "${");
                Run(isInterpolation: true);
                Add(BicepKind.Sign, "}");
            }
            else if (text[_at] == '\\')
            {
                Assert.True("\\'nrt$".Contains(text[_at + 1], StringComparison.Ordinal), $"{file}:{_line}: \\{text[_at + 1]} is no escape of Bicep");
                value.Append(text[_at + 1]);
                _at += 2;
            }
            else
            {
                value.Append(text[_at++]);
            }
        }

        _tokens.Add(new(BicepKind.Text, value.ToString(), _line));
    }

    private bool Starts(string what) => string.CompareOrdinal(text, _at, what, 0, what.Length) == 0;

    private int End(char letter) => text.IndexOf(letter, _at) is >= 0 and var end ? end : text.Length;

    private string Run(Func<char, bool> belongs)
    {
        var end = _at;
        while (end < text.Length && belongs(text[end]))
        {
            end++;
        }

        return text[_at..end];
    }

    private void Add(BicepKind kind, string piece, int length = 0)
    {
        _tokens.Add(new(kind, piece, _line));
        _at += length == 0 ? piece.Length : length;
    }
}
