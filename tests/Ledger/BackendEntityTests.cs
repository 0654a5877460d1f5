using System.Text;
using System.Text.Json;
using Roadbalancer.Ledger;
using Roadbalancer.Strategies;

namespace Roadbalancer.Tests.Ledger;

public class BackendEntityTests
{
    /// <summary>2026-11-22 00:00 UTC in hours since 1970.</summary>
    private const long Midnight = 498_744;

    [Fact]
    public void Put_NewerVersion_TakesThePlaceOfTheOlder()
    {
        var first = Apply(null, Counted.Put(5, Counted.Of(3, 1), (Midnight, Bucket.Of(Counted.Of(3, 1)))));
        var second = Apply(first.State, Counted.Put(6, Counted.Of(4, 1), (Midnight, Bucket.Of(Counted.Of(4, 1)))));
        var record = BackendRecord.Parse(second.State!);
        Assert.Equal((6, 5, 4, 1), (record.Version, record.Totals.Requests, record.Totals.Successes, record.Totals.Failures));
        Assert.Equal(5, record.History.At(Midnight).Requests);
        Assert.Equal("""{"version":6}""", second.Result);
    }

    [Theory]
    [InlineData(5)]
    [InlineData(4)]
    [InlineData(0)]
    public void Put_VersionPassed_ChangesNothingAndSucceeds(long version)
    {
        var state = Apply(null, Counted.Put(5, Counted.Of(3))).State;
        var reply = Apply(state, Counted.Put(version, Counted.Of(9)));
        Assert.Equal((state, """{"version":5}""", (string?)null), (reply.State, reply.Result, reply.Error));
    }

    [Fact]
    public void Configure_VersionsOfItsOwn_KeepTheStatistics()
    {
        var state = Apply(null, Counted.Put(5, Counted.Of(3))).State;
        state = BackendEntity.Apply(state, "configure", """{"version":2,"threshold":4,"cooldown":5000}""").State;
        var late = BackendEntity.Apply(state, "configure", """{"version":1,"threshold":9,"cooldown":9}""");
        var record = BackendRecord.Parse(late.State!);
        Assert.Equal((2, 4, 5000, 3), (record.ConfiguredVersion, record.Threshold, record.CooldownMs, record.Totals.Requests));
    }

    [Fact]
    public void Trip_TwiceAndAfterAReset_IsKeptOnceAndNotTakenUpAgain()
    {
        var state = BackendEntity.Apply(null, "trip", """{"at":100}""").State;
        state = BackendEntity.Apply(state, "trip", """{"at":100}""").State;
        state = BackendEntity.Apply(state, "trip", """{"at":90,"count":2}""").State;
        Assert.Equal([new Trip(90, 2), new Trip(100, 1)], BackendRecord.Parse(state!).Trips);
        state = BackendEntity.Apply(state, "reset", """{"at":95}""").State;
        state = BackendEntity.Apply(state, "trip", """{"at":90,"count":2}""").State;
        Assert.Equal([new Trip(100, 1)], BackendRecord.Parse(state!).Trips);
        Assert.Empty(BackendRecord.Parse(BackendEntity.Apply(state, "reset", null).State!).Trips);
    }

    [Fact]
    public void Run_ManyOperations_ComeToTheSameAsOneByOne()
    {
        var chance = new Chance(11);
        for (var round = 0; round < 40; round++)
        {
            string? state = null;
            var run = new BackendRun(null);
            for (var step = 0; step < 60; step++)
            {
                var (operation, input) = AnyOperation(chance, step);
                var reply = BackendEntity.Apply(state, operation, input);
                var (result, error) = run.Apply(operation, input);
                state = reply.State;
                Assert.Equal((reply.Result, reply.Error), (result, error));
            }

            Assert.Equal(state, run.State);
        }
    }

    [Theory]
    [InlineData("no state of ours")]
    [InlineData("{\"schema\":2}")]
    public void Run_StateThatCannotBeRead_StaysAsItIsUntilItIsDeleted(string state)
    {
        var run = new BackendRun(state);
        Assert.NotNull(run.Apply("put", Counted.Put(1, Counted.Of(1)).ToJson()).Error);
        Assert.NotNull(run.Apply("get", null).Error);
        Assert.Equal(state, run.State);
        Assert.Equal(default, run.Apply("delete", null));
        Assert.Null(run.Apply("put", Counted.Put(1, Counted.Of(1)).ToJson()).Error);
        Assert.Equal(1, BackendRecord.Parse(run.State!).Totals.Requests);
    }

    [Theory]
    [InlineData("get")]
    [InlineData("put")]
    [InlineData("trip")]
    [InlineData("configure")]
    [InlineData("unknown")]
    public void Run_TenThousandOperationsOnALargeState_AreAllAnswered(string operation)
    {
        var large = new BackendRun(null);
        for (var hour = 0; hour < 400 * 24; hour++)
        {
            large.Apply("put", Counted.Put(hour + 1, Counted.Of(3), (Midnight + hour, Bucket.Of(Counted.Of(3)))).ToJson());
        }

        string[] inputs = [.. Enumerable.Range(0, 10_000).Select(n => operation switch
        {
            "put" => Counted.Put(20_000 + n, Counted.Of(9), (Midnight + (400 * 24), Bucket.Of(Counted.Of(9)))).ToJson(),
            "trip" => $$"""{"at":{{n + 1}}}""",
            _ => $$"""{"version":{{n + 1}},"threshold":3,"cooldown":1000}""",
        })];
        var state = large.State;
        var began = TimeProvider.System.GetTimestamp();
        var run = new BackendRun(state);
        var answered = inputs.Count(input => run.Apply(operation, input) is { Result: not null } or { Error: not null });
        Assert.NotNull(run.State);
        TestContext.Current.TestOutputHelper?.WriteLine($"{operation}: {TimeProvider.System.GetElapsedTime(began).TotalMilliseconds:0} ms for a state of {state!.Length:N0} bytes");
        Assert.Equal(inputs.Length, answered);
    }

    [Fact]
    public void Delete_AnyState_LeavesNone()
    {
        Assert.Equal(default, BackendEntity.Apply("damaged", "delete", null));
        Assert.Equal(default, RegistryEntity.Apply(Apply(null, Counted.Put(1, Counted.Of(1))).State, "delete", null));
    }

    [Theory]
    [InlineData("put", "")]
    [InlineData("put", null)]
    [InlineData("put", "[]")]
    [InlineData("put", """{"version":1e300}""")]
    [InlineData("put", """{"version":-1}""")]
    [InlineData("put", """{"version":9,"totals":"p!!"}""")]
    [InlineData("put", """{"version":9,"totals":7}""")]
    [InlineData("put", """{"version":9,"totals":"p","hours":[[1,2]]}""")]
    [InlineData("put", """{"version":9,"totals":"\ud800"}""")]
    [InlineData("configure", """{"version":9}""")]
    [InlineData("trip", "{}")]
    [InlineData("explode", "{}")]
    [InlineData("", null)]
    public void Apply_BadInput_TellsWhyAndLeavesTheState(string operation, string? input)
    {
        var state = Apply(null, Counted.Put(5, Counted.Of(3))).State;
        foreach (var before in new[] { null, state })
        {
            var reply = BackendEntity.Apply(before, operation, input);
            Assert.Equal(before, reply.State);
            Assert.NotNull(reply.Error);
            Assert.Null(reply.Result);
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("""{"n":1}""")]
    [InlineData("""{"schema":2}""")]
    public void Apply_StateThatWeDidNotWrite_TellsWhyAndLeavesIt(string state)
    {
        foreach (var operation in new[] { "put", "configure", "trip", "reset", "get" })
        {
            var reply = BackendEntity.Apply(state, operation, Counted.Put(9, Counted.Of(1)).ToJson());
            Assert.Equal(state, reply.State);
            Assert.NotNull(reply.Error);
        }

        var registry = RegistryEntity.Apply(state, "put", """{"version":1,"document":"{}"}""");
        Assert.Equal(state, registry.State);
        Assert.NotNull(registry.Error);
    }

    [Fact]
    public void Apply_BytesChangedAnywhere_NeverThrowsAndKeepsTheStateWithAnError()
    {
        var chance = new Chance(7);
        var good = Apply(null, Counted.Put(5, Counted.Of(30, 4), [.. Enumerable.Range(0, 60).Select(h => (Midnight + h, Counted.Bucket(chance, 1 << 20)))])).State!;
        var put = Counted.Put(6, Counted.Of(31, 4)).ToJson();
        for (var round = 0; round < 5_000; round++)
        {
            var (state, input) = (chance.Next(2) == 0 ? Damaged(good, chance) : good, chance.Next(2) == 0 ? Damaged(put, chance) : put);
            var reply = BackendEntity.Apply(state, "put", input);
            Assert.True(reply.Error is null || reply.State == state, $"round {round}");
            Assert.True(reply.Error is not null || BackendEntity.Apply(reply.State, "get", null).Error is null, $"round {round}: a state that cannot be read back");
        }
    }

    [Fact]
    public void Put_LargestNumbersFor500Days_StaysUnder48000BytesWithEveryHourOf35DaysAndDayOf400()
    {
        string? state = null;
        var chance = new Chance(3);
        var most = 0;
        const int days = 450;
        for (var day = 0; day < days; day += 2)
        {
            var hours = Enumerable.Range(0, 48).Select(hour => (Midnight + (24 * day) + hour, Bucket.From(() => PackedWriter.Most - chance.Next(1 << 30)))).ToArray();
            var put = Counted.Put(day + 1, Counted.Largest(), hours) with { Trips = [new Trip(PackedWriter.Most - days + day, PackedWriter.Most)] };
            var reply = BackendEntity.Apply(state, "put", put.ToJson());
            Assert.Null(reply.Error);
            state = reply.State!;
            most = Math.Max(most, Encoding.UTF8.GetByteCount(state));
        }

        state = BackendEntity.Apply(state, "configure", $$"""{"version":{{PackedWriter.Most}},"threshold":{{PackedWriter.Most}},"cooldown":{{PackedWriter.Most}}}""").State!;
        Assert.InRange(Math.Max(most, Encoding.UTF8.GetByteCount(state)), 44_000, 48_000);
        var history = BackendRecord.Parse(state).History;
        Assert.Equal((24 * 36, 365), (history.Hours.Count, history.Days.Count));
    }

    [Fact]
    public void Put_HoursOf36Days_RollUpToDaysThatAddUp()
    {
        string? state = null;
        for (var hour = 0; hour < 24 * 38; hour++)
        {
            state = Apply(state, Counted.Put(hour + 1, Counted.Of(1), (Midnight + hour, new Bucket { Requests = 10 + (hour % 24), Successes = 9 }))).State;
        }

        var history = BackendRecord.Parse(state!).History;
        Assert.Equal(2, history.Days.Count);
        Assert.Equal((24 * 10) + (23 * 12), history.Days[Midnight / 24].Requests);
        Assert.Equal(24 * 9, history.Days[Midnight / 24].Successes);
        Assert.Equal(Midnight + 48, history.Hours.Keys.First());
    }

    [Fact]
    public void State_AnyRecord_HoldsIntegersAndTextsOnly()
    {
        var state = Apply(null, Counted.Put(5, Counted.Of(3, 1, 2), (Midnight, Bucket.Of(Counted.Of(3)))) with { Trips = [new Trip(5, 1)] }).State!;
        using var document = JsonDocument.Parse(state);
        AssertPlain(document.RootElement);
    }

    private static void AssertPlain(JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var member in value.EnumerateObject())
                {
                    AssertPlain(member.Value);
                }

                break;
            case JsonValueKind.Array:
                foreach (var item in value.EnumerateArray())
                {
                    AssertPlain(item);
                }

                break;
            case JsonValueKind.Number:
                Assert.True(value.TryGetInt64(out _), value.GetRawText());
                Assert.DoesNotContain('e', value.GetRawText());
                break;
            default:
                Assert.Equal(JsonValueKind.String, value.ValueKind);
                break;
        }
    }

    private static EntityReply Apply(string? state, BackendPut put) => BackendEntity.Apply(state, "put", put.ToJson());

    private static string Damaged(string text, Chance chance)
    {
        var letters = text.ToCharArray();
        for (var changes = 1 + chance.Next(3); changes > 0; changes--)
        {
            letters[chance.Next(letters.Length)] = (char)chance.Next(chance.Next(4) == 0 ? 0x10000 : 128);
        }

        return new string(letters, 0, chance.Next(3) == 0 ? chance.Next(letters.Length) : letters.Length);
    }

    private static (string Operation, string? Input) AnyOperation(Chance chance, int step) => chance.Next(9) switch
    {
        0 => ("get", null),
        1 => ("configure", $$"""{"version":{{chance.Next(60)}},"threshold":{{chance.Next(9)}},"cooldown":5}"""),
        2 => ("trip", $$"""{"at":{{chance.Next(99)}}}"""),
        3 => ("reset", chance.Next(2) == 0 ? null : $$"""{"at":{{chance.Next(99)}}}"""),
        4 => ("put", "{}"),
        5 => (chance.Next(5) == 0 ? "delete" : "nonsense", "[]"),
        _ => ("put", Counted.Put(1 + chance.Next(step + 2), Counted.Of(chance.Next(9)), (Midnight + chance.Next(2_000), Bucket.Of(Counted.Of(chance.Next(9))))).ToJson()),
    };
}
