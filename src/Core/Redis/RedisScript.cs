using System.Reflection;
using System.Security.Cryptography;
using System.Text;

namespace Roadbalancer.Redis;

/// <summary>A script as it is sent: by hash, and by text to a server that does not have it.</summary>
internal sealed class RedisScript
{
    private RedisScript(string name, string text)
    {
        Name = name;
        Text = text;
        Hash = HashOf(text);
    }

    /// <summary>For log lines.</summary>
    public string Name { get; }

    public string Text { get; }

    /// <summary>SHA-1 of <see cref="Text"/>, by which the server knows it.</summary>
    public byte[] Hash { get; }

    /// <summary>Joins embedded files (names below <c>Lua/</c>, without the ending) into one script: later files see the locals of earlier ones.</summary>
    /// <exception cref="ArgumentException">One of the files is not there.</exception>
    public static RedisScript Compose(params ReadOnlySpan<string> files)
    {
        var text = new StringBuilder();
        foreach (var file in files)
        {
            text.Append(Read($"Lua/{file}.lua")).Append('\n');
        }

        return new RedisScript(files[^1], text.ToString());
    }

    /// <summary>As <see cref="Compose"/>, with <paramref name="ending"/> behind the files.</summary>
    public static RedisScript ComposeWith(string ending, params ReadOnlySpan<string> files) => new("test", Compose(files).Text + ending);

    private static string Read(string resource)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(resource)
            ?? throw new ArgumentException($"There is no script '{resource}'.", nameof(resource));
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }

#pragma warning disable CA5350 // The hash is Redis's name for a script, not a safeguard.
    private static byte[] HashOf(string text) => SHA1.HashData(Encoding.UTF8.GetBytes(text));
#pragma warning restore CA5350
}
