using System.Text.Json;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Processes;

/// <summary>The program with a data folder: what it counted is there after it ended.</summary>
public class LedgerTests
{
    [Fact]
    public async Task Start_AfterAnEnd_TellsTheTotalsOfBefore()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        var data = Directory.CreateTempSubdirectory("roadbalancer-data-").FullName;
        try
        {
            for (var round = 1; round <= 2; round++)
            {
                await using var program = await StartAsync(upstream, data);
                using (await program.ChatAsync())
                {
                    Assert.Equal(round, (await StatsAsync(program)).GetProperty("total_success").GetInt64());
                }

                program.Terminate();
                Assert.Equal(0, await program.ExitCodeAsync());
            }
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }

    [Fact]
    public async Task Start_AfterAnEnd_TellsWhatKeysWereUsedForBefore()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        var data = Directory.CreateTempSubdirectory("roadbalancer-data-").FullName;
        try
        {
            for (var round = 1; round <= 2; round++)
            {
                await using var program = await StartAsync(upstream, data, ("ROADBALANCER_API_KEYS", "team=k-team,app=k-app"));
                program.Http.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", "Bearer k-team");
                using (await program.ChatAsync())
                {
                    await Await.Until(async () => (await StatsAsync(program)).GetProperty("keys")[0].GetProperty("requests").GetInt64() == round, $"{round} requests are counted");
                }

                var history = await program.Http.GetStringAsync("/api/v1/load_balancer/history?key=*", TestContext.Current.CancellationToken);
                var keys = JsonDocument.Parse(history).RootElement.GetProperty("data").GetProperty("keys");
                Assert.Equal(["app", "team"], keys.EnumerateArray().Select(key => key.GetProperty("name").GetString()));
                Assert.Equal(round, keys[1].GetProperty("points").EnumerateArray().Sum(point => point.GetProperty("requests").GetInt64()));
                program.Terminate();
                Assert.Equal(0, await program.ExitCodeAsync());
                Assert.DoesNotContain("k-team", string.Concat(Directory.GetFiles(data).Select(File.ReadAllText)), StringComparison.Ordinal);
            }
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }

    [Fact]
    public async Task Start_AfterAKill_TellsWhatWasSettled()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        var data = Directory.CreateTempSubdirectory("roadbalancer-data-").FullName;
        try
        {
            await using (var program = await StartAsync(upstream, data, ("ROADBALANCER_SETTLE_INTERVAL", "0.05")))
            {
                using var answer = await program.ChatAsync();
                await Await.Until(() => Directory.GetFiles(data, "BackendEntity-*.json").Any(file => File.ReadAllText(file).Contains("\"configured\":[1", StringComparison.Ordinal)), "it is settled");
                await Await.Until(() => Settled(data) == 1, "the request is settled");
            }

            await using var again = await StartAsync(upstream, data);
            Assert.Equal(1, (await StatsAsync(again)).GetProperty("total_success").GetInt64());
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }

    [Fact]
    public async Task Start_FolderOfAnotherProcess_SaysSoAndServes()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        var data = Directory.CreateTempSubdirectory("roadbalancer-data-").FullName;
        try
        {
            await using var first = await StartAsync(upstream, data);
            await using var second = await StartAsync(upstream, data);
            await second.SaysAsync("is in use by another process");
            using var answer = await second.ChatAsync();
            Assert.True(answer.IsSuccessStatusCode);
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }

    [Theory]
    [InlineData("--demo", null)]
    [InlineData("", "off")]
    public async Task Start_DemoOrOff_WritesNothing(string arguments, string? data)
    {
        await using var program = await ProgramProcess.Start(arguments, null, ("LLM_ENDPOINTS", "http://127.0.0.1:9"), ("ROADBALANCER_DATA", data ?? "")).ListenAsync();
        Assert.Empty(Directory.GetFileSystemEntries(program.Folder));
    }

    private static Task<ProgramProcess> StartAsync(ScriptedUpstream upstream, string data, params (string Name, string Value)[] environment) =>
        ProgramProcess.Start("", null, [("LLM_ENDPOINTS", upstream.BaseUrl.AbsoluteUri), ("ROADBALANCER_DATA", data), ("LLM_HEALTH_CHECK", "false"), .. environment]).ListenAsync();

    private static long Settled(string data)
    {
        using var file = JsonDocument.Parse(File.ReadAllText(Directory.GetFiles(data, "BackendEntity-*.json").Single()));
        return Roadbalancer.Ledger.BackendRecord.Parse(file.RootElement.GetProperty("state").GetRawText()).Totals.Requests;
    }

    private static async Task<JsonElement> StatsAsync(ProgramProcess program) =>
        JsonDocument.Parse(await program.Http.GetStringAsync("/stats", TestContext.Current.CancellationToken)).RootElement;
}
