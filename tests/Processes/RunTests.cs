using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Processes;

/// <summary>The program while it runs: its file changes, and it is told to end.</summary>
public sealed class RunTests
{
    private const string Secret = "sk-planted-in-the-file";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ConfigFile_ChangedUnderLoad_SwapsThePoolWithoutLosingARequest()
    {
        await using var before = ScriptedUpstream.Start(Scripts.Chat("before"));
        await using var after = ScriptedUpstream.Start(Scripts.Chat("after"));
        await using var program = await ProgramProcess.Start("", ConfigFor(before)).ListenAsync();
        await program.SaysAsync("config.yaml (watched)");
        using var load = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var statuses = new ConcurrentQueue<HttpStatusCode>();
        var clients = Enumerable.Range(0, 4).Select(_ => LoadAsync(program, statuses, load.Token)).ToArray();
        await Await.Until(() => before.Requests.Count > 10, "the first pool serves");

        await File.WriteAllTextAsync(Path.Combine(program.Folder, "config.yaml"), ConfigFor(after), Token);
        await program.SaysAsync("in force as version 2");
        var beforeAtSwap = before.Requests.Count;
        await Await.Until(() => after.Requests.Count > 10, "the second pool serves");

        await File.WriteAllTextAsync(Path.Combine(program.Folder, "config.yaml"), $"strategy: nonsense\nendpoints: [{{url: '{before.BaseUrl}', api_key: {Secret}}}]\n", Token);
        await program.SaysAsync("has changed but is ignored");
        var afterAtRefusal = after.Requests.Count;
        await Await.Until(() => after.Requests.Count > afterAtRefusal + 10, "the second pool goes on serving");
        await load.CancelAsync();
        await Task.WhenAll(clients);

        Assert.All(statuses, status => Assert.Equal(HttpStatusCode.OK, status));
        Assert.InRange(before.Requests.Count, 11, beforeAtSwap + clients.Length);
        Assert.Contains("nonsense", program.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, program.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sigterm_StreamRunning_LetsItFinishAndEndsWithZero()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var upstream = ScriptedUpstream.Start(async (_, connection, gone) =>
        {
            await connection.BeginStreamAsync();
            await connection.EventAsync(ScriptedChat.Content("first "));
            await gate.Task.WaitAsync(gone);
            await connection.EventAsync(ScriptedChat.Content("second"));
            await connection.EventAsync(ScriptedChat.Finish());
            await connection.DoneAsync();
            await connection.EndAsync();
        });
        await using var program = await ProgramProcess.Start("", ConfigFor(upstream)).ListenAsync();
        using var response = await program.ChatAsync(stream: true);
        await using var stream = await response.Content.ReadAsStreamAsync(Token);
        var buffer = new byte[4096];
        var read = await stream.ReadAsync(buffer, Token);

        program.Terminate();
        await Await.Until(() => IsRefused(program.Http.BaseAddress!.Port), "it takes no new connections");
        Assert.False(program.HasExited);
        gate.SetResult();
        using var rest = new StreamReader(stream);
        var text = System.Text.Encoding.UTF8.GetString(buffer, 0, read) + await rest.ReadToEndAsync(Token);

        Assert.Equal(("first second", true), Sse.Text(text));
        Assert.Equal(0, await program.ExitCodeAsync());
    }

    private static string ConfigFor(ScriptedUpstream upstream) => $"""
        endpoints:
          - url: {upstream.BaseUrl}
            api_key: {Secret}
            name: only
        load_balance_enabled: true
        """;

    private static async Task LoadAsync(ProgramProcess program, ConcurrentQueue<HttpStatusCode> statuses, CancellationToken end)
    {
        while (!end.IsCancellationRequested)
        {
            using var response = await program.ChatAsync();
            await response.Content.ReadAsByteArrayAsync(Token);
            statuses.Enqueue(response.StatusCode);
        }
    }

    private static bool IsRefused(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Connect(IPAddress.Loopback, port);
            return false;
        }
        catch (SocketException)
        {
            return true;
        }
    }
}
