using System.Text;
using System.Text.Unicode;

namespace Roadbalancer.Options;

/// <summary>The configuration file: which one, what is in it. Reading it fails with a value, never with an exception.</summary>
/// <param name="Path">Its full path.</param>
/// <param name="Content">What it held; empty when it could not be read.</param>
/// <param name="Root">What it says; null when it cannot be read as YAML or JSON.</param>
/// <param name="Problem">Why there is no <paramref name="Root"/>.</param>
internal sealed record SettingsFile(string Path, byte[] Content, SettingNode? Root, SyntaxProblem? Problem)
{
    /// <summary>Picked up from the working folder when no file is named.</summary>
    public const string DefaultName = "config.yaml";

    /// <summary>Whether it can hold settings: a map, or empty. Otherwise what is missing is not to be blamed on the user as well.</summary>
    public bool IsMap => Root is { Kind: SettingKind.Map or SettingKind.Null };

    /// <summary>The file named by the command line, else by <c>ROADBALANCER_CONFIG</c>, else <c>config.yaml</c> where there is one.</summary>
    public static string? Find(string? named, string currentDirectory)
    {
        if (named is { Length: > 0 })
        {
            return System.IO.Path.GetFullPath(named.Replace('\0', '?'), currentDirectory);
        }

        var usual = System.IO.Path.Combine(currentDirectory, DefaultName);
        return File.Exists(usual) ? usual : null;
    }

    public static SettingsFile Read(string path)
    {
        var content = ReadBounded(path, out var problem);
        if (content is null)
        {
            return new(path, [], null, problem);
        }

        var text = content.AsSpan();
        if (text.StartsWith(Encoding.UTF8.Preamble))
        {
            text = text[Encoding.UTF8.Preamble.Length..];
        }

        if (!Utf8.IsValid(text))
        {
            return new(path, content, null, new("not UTF-8", 0));
        }

        var root = IsJson(path, text)
            ? JsonSettings.Parse(text.ToArray(), out problem)
            : YamlSettings.Parse(Encoding.UTF8.GetString(text), out problem);
        return new(path, content, root, problem);
    }

    /// <summary>By its extension; another extension, or none, by its first character.</summary>
    private static bool IsJson(string path, ReadOnlySpan<byte> text)
    {
        var extension = System.IO.Path.GetExtension(path.AsSpan());
        if (extension.Equals(".yaml", StringComparison.OrdinalIgnoreCase) || extension.Equals(".yml", StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }

        var start = text.TrimStart(" \t\r\n"u8);
        return extension.Equals(".json", StringComparison.OrdinalIgnoreCase) || (!start.IsEmpty && start[0] is (byte)'{' or (byte)'/');
    }

    private static byte[]? ReadBounded(string path, out SyntaxProblem? problem)
    {
        try
        {
            if (!File.Exists(path))
            {
                problem = new(Directory.Exists(path) ? "is a folder, not a file" : "there is no such file", 0);
                return null;
            }

            using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var buffer = GC.AllocateUninitializedArray<byte>(SettingLimits.Bytes + 1);
            int length = 0, read;
            while (length < buffer.Length && (read = RandomAccess.Read(handle, buffer.AsSpan(length), length)) > 0)
            {
                length += read;
            }

            problem = length > SettingLimits.Bytes ? new("is larger than 1 MiB", 0) : null;
            return problem is null ? buffer[..length] : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            problem = new($"cannot be read ({e.GetType().Name})", 0);
            return null;
        }
    }
}
