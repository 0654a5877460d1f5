using System.Globalization;
using System.IO.Compression;
using System.Reflection;
using System.Security.Cryptography;

namespace Roadbalancer.Admin.Dashboard;

/// <summary>One file of the dashboard, as it is and compressed.</summary>
internal sealed class DashboardFile
{
    private const string Folder = "Dashboard/";

    private readonly DashboardForm _plain;
    private readonly DashboardForm _brotli;

    private DashboardFile(string contentType, byte[] bytes)
    {
        ContentType = contentType;
        _plain = DashboardForm.Of(bytes, null);
        _brotli = DashboardForm.Of(Compressed(bytes), "br");
    }

    public string ContentType { get; }

    /// <summary>All files by name, from the assembly.</summary>
    public static IReadOnlyDictionary<string, DashboardFile> ReadAll()
    {
        var assembly = Assembly.GetExecutingAssembly();
        return assembly.GetManifestResourceNames().Where(name => name.StartsWith(Folder, StringComparison.Ordinal)).ToDictionary(name => name[Folder.Length..], name =>
        {
            using var stream = assembly.GetManifestResourceStream(name)!;
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return new DashboardFile(TypeOf(name), bytes);
        }, StringComparer.Ordinal);
    }

    /// <summary>Compressed for whoever accepts it (RFC 9110, section 12.5.3).</summary>
    public DashboardForm FormFor(string acceptEncoding)
    {
        var accepts = Array.Exists(acceptEncoding.Split(','), part => part.Split(';') is var pieces && pieces[0].Trim() == "br" && !pieces.Skip(1).Any(IsRefusal));
        return accepts ? _brotli : _plain;
    }

    private static bool IsRefusal(string parameter) =>
        parameter.Split('=') is [var name, var weight] && name.Trim() == "q" && double.TryParse(weight, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var q) && q == 0;

    private static byte[] Compressed(byte[] bytes)
    {
        using var into = new MemoryStream();
        using (var brotli = new BrotliStream(into, CompressionLevel.Optimal, leaveOpen: true))
        {
            brotli.Write(bytes);
        }

        return into.ToArray();
    }

    private static string TypeOf(string name) => Path.GetExtension(name) switch
    {
        ".html" => "text/html; charset=utf-8",
        ".css" => "text/css; charset=utf-8",
        ".js" => "text/javascript; charset=utf-8",
        ".svg" => "image/svg+xml",
        var other => throw new NotSupportedException($"A file of the dashboard ends in '{other}', of which no content type is known."),
    };
}

/// <summary>A file's bytes as they are sent.</summary>
/// <param name="Bytes">The bytes.</param>
/// <param name="Encoding">Their content coding; null for none.</param>
/// <param name="Tag">Their entity tag.</param>
internal sealed record DashboardForm(byte[] Bytes, string? Encoding, string Tag)
{
    public static DashboardForm Of(byte[] bytes, string? encoding) => new(bytes, encoding, $"\"{Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 12))}\"");
}
