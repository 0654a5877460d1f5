using Roadbalancer.Backends;
using Roadbalancer.Proxy;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Faults;

/// <summary>
/// Every row of the class table over real sockets, as a stream and not: what the client got, what each backend saw, and who is blamed. One class for
/// each surrounding, so that they run side by side.
/// </summary>
public abstract class ClassTableContract
{
    protected const string Good = "All is well that ends well";

    public static TheoryData<string, bool> Rows
    {
        get
        {
            var data = new TheoryData<string, bool>();
            foreach (var (name, fault) in FaultRows.All)
            {
                data.Add(name, true);
                if (!fault.StreamOnly)
                {
                    data.Add(name, false);
                }
            }

            return data;
        }
    }

    internal static Backend ShapeOf(Fault fault, int index, Backend backend) => index == 0 ? fault.Shape(backend) : backend;

    internal static void AssertSaved(Heard heard, Fault fault, int attemptsAtA, bool stream)
    {
        Assert.Equal(("b", attemptsAtA + 1 + ""), (heard.Backend, heard.Attempts));
        Assert.Equal(string.Concat(Enumerable.Repeat($"a;{Trail.NameOf(fault.Kind)}, ", attemptsAtA)) + "b;answering", heard.Trail);
        if (stream)
        {
            heard.IsWholeStream(Good);
        }
        else
        {
            Assert.Equal(ScriptedChat.Body(Good), heard.Text);
        }

        Assert.Equal(200, heard.Status);
        Assert.False(heard.BrokeOff);
    }

    internal static void AssertLost(Heard heard, Fault fault, int attempts)
    {
        Assert.Equal((fault.Status, fault.Code), (heard.Status, heard.ErrorCode));
        Assert.False(string.IsNullOrEmpty(heard.Error.GetProperty("message").GetString()));
        Assert.Equal(attempts + "", heard.Attempts);
        Assert.Equal(string.Join(", ", Enumerable.Repeat($"a;{Trail.NameOf(fault.Kind)}", attempts)), heard.Trail);
        Assert.Equal("application/json", heard.ContentType);
        Assert.False(heard.BrokeOff);
        if (fault.RetryAfter is { } wait)
        {
            Assert.Equal(wait, heard.Header("Retry-After"));
        }
    }

    internal static async Task AssertSeenAsync(Stage stage, Fault fault, int atA, int atB)
    {
        Assert.Equal(fault.NeverArrives ? 0 : atA, stage.A.Requests.Count);
        Assert.Equal(atB, stage.Upstreams.Count > 1 ? stage.B.Requests.Count : 0);
        if (stage.A.Requests is [var first, var second])
        {
            Assert.True(stage.A.Gap(first, second) >= fault.LeastWait, $"asked again after {stage.A.Gap(first, second).TotalMilliseconds} ms");
            Assert.Equal(first.Text, second.Text);
        }

        var (vitals, nowMs) = await stage.SettledAsync("a");
        Assert.Equal(fault.Blame == Blame.Failure ? atA : 0, vitals.ConsecutiveFailures);
        Assert.Equal(fault.Blame == Blame.Misconfigured, vitals.Misconfigured);
        Assert.Equal(fault.Blame == Blame.ModelAbsent, vitals.AbsentModels?.ContainsKey("m") == true);
        Assert.Equal(fault.Blame is Blame.Park or Blame.ParkLong or Blame.Misconfigured || fault.Parks, vitals.ParkedUntilMs > 0);
        Assert.True(fault.LeastPark == default || vitals.ParkedUntilMs - nowMs >= fault.LeastPark.TotalMilliseconds, "not parked for long");
        var (good, _) = await stage.SettledAsync("b");
        Assert.Equal((0, 0L), (good.ConsecutiveFailures, good.ParkedUntilMs));
        Assert.All(stage.Upstreams, upstream => Assert.Empty(upstream.ScriptErrors));
    }
}

/// <summary>The class table where a backend of the same priority can help.</summary>
public sealed class ClassTablePeerFaultsTests : ClassTableContract
{
    [Theory]
    [MemberData(nameof(Rows))]
    public async Task Chat_FaultWithAPeer_PeerAnswersAtOnceOrFaultIsToldAsItIs(string row, bool stream)
    {
        var fault = FaultRows.All[row];
        await using var stage = await Stage.PeersAsync(fault.Script, Scripts.Chat(Good), shape: (index, backend) => ShapeOf(fault, index, backend));

        var heard = await stage.AskAsync(stream);

        if (fault.Course is Course.AsItIs or Course.WorseGroup)
        {
            AssertLost(heard, fault, attempts: 1);
            await AssertSeenAsync(stage, fault, atA: 1, atB: 0);
        }
        else
        {
            AssertSaved(heard, fault, attemptsAtA: 1, stream);
            await AssertSeenAsync(stage, fault, atA: 1, atB: 1);
        }
    }
}

/// <summary>The class table where there is no other backend.</summary>
public sealed class ClassTableAloneFaultsTests : ClassTableContract
{
    [Theory]
    [MemberData(nameof(Rows))]
    public async Task Chat_FaultWithoutAnother_AskedOnceMoreWhereThatMayHelpThenToldClearly(string row, bool stream)
    {
        var fault = FaultRows.All[row];
        await using var stage = await Stage.AloneAsync(fault.Script, shape: (index, backend) => ShapeOf(fault, index, backend));

        var heard = await stage.AskAsync(stream);

        var attempts = fault.Course == Course.AgainAfterWait ? 2 : 1;
        AssertLost(heard, fault, attempts);
        await AssertSeenAsync(stage, fault, attempts, atB: 0);
    }
}

/// <summary>The class table where only a backend of a worse priority can help.</summary>
public sealed class ClassTableWorseGroupFaultsTests : ClassTableContract
{
    [Theory]
    [MemberData(nameof(Rows))]
    public async Task Chat_FaultBeforeAWorseGroup_SameBackendOnceMoreWhereThatMayHelpThenTheWorseGroup(string row, bool stream)
    {
        var fault = FaultRows.All[row];
        await using var stage = await Stage.GroupsAsync(fault.Script, Scripts.Chat(Good), shape: (index, backend) => ShapeOf(fault, index, backend));

        var heard = await stage.AskAsync(stream);

        if (fault.Course == Course.AsItIs)
        {
            AssertLost(heard, fault, attempts: 1);
            await AssertSeenAsync(stage, fault, atA: 1, atB: 0);
        }
        else
        {
            var attempts = fault.Course == Course.AgainAfterWait ? 2 : 1;
            AssertSaved(heard, fault, attempts, stream);
            await AssertSeenAsync(stage, fault, attempts, atB: 1);
        }
    }
}
