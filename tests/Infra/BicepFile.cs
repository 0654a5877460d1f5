using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Infra;

/// <summary>One declaration at the top of a file.</summary>
/// <param name="Keyword"><c>param</c>, <c>var</c>, <c>resource</c>, <c>module</c>, <c>output</c>.</param>
/// <param name="Name">Its symbol.</param>
/// <param name="Type">A resource's type and version, a module's path, a parameter's type.</param>
/// <param name="Decorators">The tokens of each <c>@…</c> before it.</param>
/// <param name="Body">Everything behind the name, without the declaration's type.</param>
internal sealed record BicepDeclaration(string Keyword, string Name, string Type, List<List<BicepToken>> Decorators, List<BicepToken> Body)
{
    /// <summary>A parameter with a value of its own need not be given.</summary>
    public bool HasDefault => Body.Count > 0 && Body[0].Is("=");

    /// <summary>What <c>@description</c> says; null without it.</summary>
    public string? Description => Decorator("description") is [{ Kind: BicepKind.Text } text, ..] ? text.Text : null;

    /// <summary>The argument of a decorator; empty without it.</summary>
    public List<BicepToken> Decorator(string name) => Decorators.Find(tokens => tokens[1].Is(name)) is { } found ? found[3..^1] : [];
}

/// <summary>
/// A Bicep file as far as it can be understood without the compiler: its declarations, and which names its expressions use. Whatever does not
/// fit ends the test that reads the file.
/// </summary>
internal sealed class BicepFile
{
    private static readonly string[] Keywords = ["param", "var", "resource", "module", "output", "targetScope", "using"];

    /// <summary>What the language brings; everything else must be declared.</summary>
    private static readonly HashSet<string> BuiltIn = new(StringComparer.Ordinal)
    {
        "true", "false", "null", "if", "for", "in", "existing", "string", "int", "bool", "array", "object",
        "concat", "cidrSubnet", "empty", "environment", "guid", "items", "join", "json", "readEnvironmentVariable", "subscription", "subscriptionResourceId",
        "take", "tenant", "toLower", "toObject", "union", "uniqueString", "utcNow",
    };

    private readonly List<BicepToken> _tokens;

    private BicepFile(string path)
    {
        Path = path;
        Name = System.IO.Path.GetRelativePath(Folder, path);
        Text = File.ReadAllText(path);
        _tokens = BicepTokenizer.Cut(Name, Text);
        CheckBrackets();
        Declarations = [.. Declare()];
    }

    public static string Folder { get; } = Repository.PathOf("infra", "bicep");

    public string Path { get; }

    /// <summary>Relative to <see cref="Folder"/>.</summary>
    public string Name { get; }

    public string Text { get; }

    public IReadOnlyList<BicepDeclaration> Declarations { get; }

    public static BicepFile Read(string name) => new(System.IO.Path.Combine(Folder, name));

    /// <summary>The templates, without the files of parameters.</summary>
    public static BicepFile[] Templates() => [.. Directory.GetFiles(Folder, "*.bicep", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Select(path => new BicepFile(path))];

    public IEnumerable<BicepDeclaration> Of(string keyword) => Declarations.Where(declaration => declaration.Keyword == keyword);

    /// <summary>Names that an expression uses and nobody declares, each with its line.</summary>
    public IEnumerable<string> Undeclared()
    {
        var declared = Declarations.Where(declaration => declaration.Keyword != "output").Select(declaration => declaration.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var declaration in Declarations)
        {
            var known = new HashSet<string>(declared, StringComparer.Ordinal);
            known.UnionWith(Locals(declaration.Body));
            foreach (var use in Uses(declaration.Body).Where(use => !known.Contains(use.Text) && !BuiltIn.Contains(use.Text)))
            {
                yield return $"{Name}:{use.Line}: {use.Text}";
            }
        }
    }

    /// <summary>Whether any expression of the file uses that name.</summary>
    public bool IsUsed(string name) => Declarations.Any(declaration => Uses(declaration.Body).Any(use => use.Text == name));

    /// <summary>The names that an expression refers to: not the keys of objects, not what follows a dot.</summary>
    public static IEnumerable<BicepToken> Uses(List<BicepToken> body)
    {
        for (var i = 0; i < body.Count; i++)
        {
            if (body[i].Kind == BicepKind.Name && !IsMember(body, i) && !IsKey(body, i))
            {
                yield return body[i];
            }
        }
    }

    /// <summary>The keys of the object that follows <paramref name="key"/>, at its first level, each with its value.</summary>
    public static Dictionary<string, List<BicepToken>> Entries(List<BicepToken> body, string? key = null)
    {
        var start = key is null ? body.FindIndex(token => token.Is("{")) : body.FindIndex(token => token.Is(key));
        while (key is not null && (start < 0 || !IsKey(body, start)))
        {
            start = start < 0 ? throw new InvalidOperationException($"No {key}.") : body.FindIndex(start + 1, token => token.Is(key));
        }

        start = body.FindIndex(start, token => token.Is("{"));
        var entries = new Dictionary<string, List<BicepToken>>(StringComparer.Ordinal);
        List<BicepToken>? value = null;
        for (int i = start + 1, depth = 0; depth >= 0; i++)
        {
            if (depth == 0 && IsKey(body, i))
            {
                entries.Add(body[i++].Text, value = []);
                continue;
            }

            depth += Depth(body[i]);
            value?.Add(body[i]);
        }

        return entries;
    }

    private static int Depth(BicepToken token) => token.Kind != BicepKind.Sign ? 0 : token.Text switch
    {
        "{" or "[" or "(" or "${" => 1,
        "}" or "]" or ")" => -1,
        _ => 0,
    };

    private static bool IsMember(List<BicepToken> body, int i) => i > 0 && (body[i - 1].Is(".") || body[i - 1].Is(".?"));

    /// <summary>A key begins a line or follows a brace or comma; a value after a question mark does not.</summary>
    private static bool IsKey(List<BicepToken> body, int i) =>
        i + 1 < body.Count && i > 0 && body[i + 1].Is(":") && body[i].Kind is BicepKind.Name or BicepKind.Text
        && (body[i - 1].Kind == BicepKind.NewLine || body[i - 1].Is("{") || body[i - 1].Is(","));

    /// <summary>Names that loops and lambdas bring.</summary>
    private static IEnumerable<string> Locals(List<BicepToken> body)
    {
        for (var i = 0; i < body.Count; i++)
        {
            if (body[i].Is("for"))
            {
                var end = body.FindIndex(i, token => token.Is("in"));
                foreach (var name in body[(i + 1)..end].Where(token => token.Kind == BicepKind.Name))
                {
                    yield return name.Text;
                }
            }
            else if (body[i].Is("=>") && body[i - 1].Kind == BicepKind.Name)
            {
                yield return body[i - 1].Text;
            }
        }
    }

    private void CheckBrackets()
    {
        var open = new Stack<BicepToken>();
        foreach (var token in _tokens.Where(token => Depth(token) != 0))
        {
            if (Depth(token) > 0)
            {
                open.Push(token);
                continue;
            }

            Assert.True(open.TryPop(out var partner), $"{Name}:{token.Line}: '{token.Text}' closes nothing");
            Assert.True((partner.Text[^1], token.Text[0]) is ('{', '}') or ('[', ']') or ('(', ')'), $"{Name}:{token.Line}: '{token.Text}' closes '{partner.Text}' of line {partner.Line}");
        }

        Assert.True(open.Count == 0, open.Count == 0 ? "" : $"{Name}:{open.Peek().Line}: '{open.Peek().Text}' is not closed");
    }

    private IEnumerable<BicepDeclaration> Declare()
    {
        var decorators = new List<List<BicepToken>>();
        foreach (var statement in Statements())
        {
            if (statement[0].Is("@"))
            {
                decorators.Add(statement);
                continue;
            }

            var keyword = statement[0].Text;
            Assert.True(statement[0].Kind == BicepKind.Name && Keywords.Contains(keyword), $"{Name}:{statement[0].Line}: '{keyword}' begins no statement");
            if (keyword is not ("targetScope" or "using"))
            {
                var hasType = keyword is not "var" && !statement[2].Is("=");
                yield return new(keyword, statement[1].Text, hasType ? statement[2].Text : "", decorators, statement[(hasType ? 3 : 2)..]);
            }

            decorators = [];
        }
    }

    /// <summary>A statement ends with its line, unless a bracket is open or the next line goes on with an operator.</summary>
    private IEnumerable<List<BicepToken>> Statements()
    {
        var statement = new List<BicepToken>();
        var depth = 0;
        foreach (var token in _tokens)
        {
            depth += Depth(token);
            if (token.Kind != BicepKind.NewLine || depth > 0)
            {
                statement.Add(token);
            }
            else if (statement.Count > 0)
            {
                yield return statement;
                statement = [];
            }
        }

        if (statement.Count > 0)
        {
            yield return statement;
        }
    }
}
