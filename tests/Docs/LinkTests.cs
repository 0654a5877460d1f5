using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Docs;

/// <summary>Every link in every page leads somewhere: to a file of the repository, to a heading that is there, or to a well-formed address.</summary>
public sealed partial class LinkTests
{
    public static TheoryData<string> Pages => [.. Files()];

    [Fact]
    public void Pages_Found_AreThoseOfTheRepository() => Assert.Empty(
        new[] { "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/deploy.md", "src/Core/README.md" }.Except(Files()));

    [Theory]
    [MemberData(nameof(Pages))]
    public void Links_OfAPage_LeadSomewhere(string page)
    {
        var text = WithoutCode(File.ReadAllText(Repository.PathOf(page)));
        var dead = Links().Matches(text).Select(match => match.Groups[1].Value).Where(link => !Leads(page, link));

        Assert.Empty(dead);
    }

    [Theory]
    [InlineData("What happens when *something* fails", "what-happens-when-something-fails")]
    [InlineData("`--demo`", "--demo")]
    [InlineData("Many instances, one Redis", "many-instances-one-redis")]
    [InlineData("10,000 requests a second, 3 backends, one region", "10000-requests-a-second-3-backends-one-region")]
    public void Anchor_OfAHeading_IsAsGitHubMakesIt(string heading, string anchor) => Assert.Equal(anchor, Anchor(heading));

    [Theory]
    [InlineData("docs/nothing.md")]
    [InlineData("../outside.md")]
    [InlineData("docs/deploy.md#no-such-heading")]
    [InlineData("#no-such-heading")]
    [InlineData("http://")]
    [InlineData("https://no space/")]
    public void Leads_DeadLink_IsFalse(string link) => Assert.False(Leads("README.md", link));

    private static bool Leads(string page, string link)
    {
        if (link.Contains("://", StringComparison.Ordinal) || link.StartsWith("mailto:", StringComparison.Ordinal))
        {
            return Uri.IsWellFormedUriString(link, UriKind.Absolute) && new Uri(link).Scheme is "https" or "http" or "mailto";
        }

        var parts = link.Split('#', 2);
        var target = parts[0].Length == 0 ? page : Path.GetRelativePath(Repository.Root, Path.GetFullPath(Path.Combine(Repository.Root, Path.GetDirectoryName(page)!, parts[0])));
        var path = Repository.PathOf(target);
        return !target.StartsWith("..", StringComparison.Ordinal) && (File.Exists(path) || Directory.Exists(path))
            && (parts.Length == 1 || (File.Exists(path) && Headings().Matches(Fences().Replace(File.ReadAllText(path), "")).Any(heading => Anchor(heading.Groups[1].Value) == parts[1])));
    }

    /// <summary>GitHub's: lower case, words joined by hyphens, other signs dropped.</summary>
    private static string Anchor(string heading)
    {
        var anchor = new StringBuilder();
        foreach (var letter in heading.Trim().ToLowerInvariant())
        {
            anchor.Append(letter == ' ' ? "-" : char.IsLetterOrDigit(letter) || letter is '-' or '_' ? letter : "");
        }

        return anchor.ToString();
    }

    private static string WithoutCode(string text) => Inline().Replace(Fences().Replace(text, ""), "code");

    /// <summary>Pages that are in git, or would be.</summary>
    private static IEnumerable<string> Files()
    {
        var start = new ProcessStartInfo("git", ["ls-files", "--cached", "--others", "--exclude-standard", "--", "*.md"]) { WorkingDirectory = Repository.Root, RedirectStandardOutput = true };
        using var git = Process.Start(start)!;
        var names = git.StandardOutput.ReadToEnd();
        git.WaitForExit();
        return names.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(name => File.Exists(Repository.PathOf(name)));
    }

    [GeneratedRegex(@"\]\(([^()\s]+(?:\([^()\s]*\))?)\)")]
    private static partial Regex Links();

    [GeneratedRegex("^#{1,6} (.+)$", RegexOptions.Multiline)]
    private static partial Regex Headings();

    [GeneratedRegex("```.*?```", RegexOptions.Singleline)]
    private static partial Regex Fences();

    [GeneratedRegex("`[^`\n]*`")]
    private static partial Regex Inline();
}
