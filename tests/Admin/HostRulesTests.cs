using System.Net;
using Roadbalancer.Admin;
using Roadbalancer.Options;

namespace Roadbalancer.Tests.Admin;

public class HostRulesTests
{
    [Theory]
    [InlineData("http://169.254.169.254/v1")]
    [InlineData("http://169.254.1.1/v1")]
    [InlineData("http://2852039166/v1")]
    [InlineData("http://0xa9fea9fe/v1")]
    [InlineData("http://0.0.0.0/v1")]
    [InlineData("http://100.100.100.200/v1")]
    [InlineData("http://168.63.129.16/v1")]
    [InlineData("http://[fe80::1]/v1")]
    [InlineData("http://[fd00:ec2::254]/v1")]
    [InlineData("http://[::ffff:169.254.169.254]/v1")]
    [InlineData("http://[64:ff9b::a9fe:a9fe]/v1")]
    [InlineData("http://[2002:a9fe:a9fe::1]/v1")]
    [InlineData("http://metadata.google.internal/v1")]
    [InlineData("http://METADATA.google.internal./v1")]
    public async Task Check_LinkLocalAndMetadata_AreRefusedUnlessNamed(string url)
    {
        Assert.Equal("host_not_allowed", (await CheckAsync(url))?.Code);
        Assert.Equal("host_not_allowed", (await CheckAsync(url, "*"))?.Code);
        Assert.Null(await CheckAsync(url, new Uri(url).IdnHost.TrimEnd('.')));
    }

    [Theory]
    [InlineData("http://127.0.0.1:8000/v1")]
    [InlineData("http://10.1.2.3/v1")]
    [InlineData("http://localhost/v1")]
    [InlineData("http://no-such-name.invalid/v1")]
    public async Task Check_AnyOther_IsAllowed(string url) => Assert.Null(await CheckAsync(url));

    [Theory]
    [InlineData("http://gpu7.internal:8000/v1", true)]
    [InlineData("http://GPU7.internal/v1", true)]
    [InlineData("https://me.openai.azure.com/openai/v1", true)]
    [InlineData("https://openai.azure.com/v1", false)]
    [InlineData("https://me.openai.azure.com.evil.example/v1", false)]
    [InlineData("http://10.0.0.7:8000/v1", true)]
    [InlineData("http://10.0.0.7:8001/v1", false)]
    [InlineData("http://other.example/v1", false)]
    public async Task Check_WithAList_AllowsWhatIsInIt(string url, bool isAllowed) =>
        Assert.Equal(isAllowed ? null : "host_not_allowed", (await CheckAsync(url, "gpu*.internal", "*.openai.azure.com", "10.0.0.7:8000"))?.Code);

    [Theory]
    [InlineData("fe80::1%1")]
    [InlineData("::")]
    public void IsForbidden_LinkLocalWithAZoneAndUnspecified_AreForbidden(string address) => Assert.True(HostRules.IsForbidden(IPAddress.Parse(address)));

    private static async Task<AdminReply?> CheckAsync(string url, params string[] allowed) =>
        await new HostRules(TimeProvider.System).CheckAsync(new Uri(url), new BalancerOptions { AllowedBackendHosts = [.. allowed] }, TestContext.Current.CancellationToken);
}
