using System.Text;
using Google.Protobuf;
using Roadbalancer.Functions.Hosted;
using Roadbalancer.Functions.Hosted.Wire;
using Roadbalancer.Ledger;

namespace Roadbalancer.Tests.Functions;

/// <summary>Batches of entity operations: whatever comes, the answer is a whole result that keeps the state or moves it by the rules.</summary>
public sealed class EntityBatchTests
{
    private const string Foreign = """{"n":1,"cooldownUntil":"2026-11-22T04:20:00Z"}""";

    [Theory]
    [MemberData(nameof(Entities))]
    public void Answer_AnyBatch_HasOneResultAnOperationAndTheirOwnState(string name)
    {
        for (var seed = 1; seed <= 500; seed++)
        {
            var random = new Random(seed);
            var batch = Generate(random);
            var result = Answer(name, batch.ToByteArray());

            Assert.True(result.Results.Count == batch.Operations.Count && result.FailureDetails is null, $"seed {seed}");
            var state = batch.EntityState;
            for (var i = 0; i < batch.Operations.Count; i++)
            {
                var reply = Apply(name, state, batch.Operations[i]);
                Assert.True(reply.Error == result.Results[i].Failure?.FailureDetails.ErrorMessage && reply.Result == result.Results[i].Success?.Result, $"seed {seed}, operation {i}");
                state = reply.State;
            }

            Assert.True(state == result.EntityState, $"seed {seed}");
        }
    }

    [Theory]
    [MemberData(nameof(Entities))]
    public void Answer_UnknownFields_AreSkipped(string name)
    {
        for (var seed = 1; seed <= 500; seed++)
        {
            var random = new Random(seed);
            var batch = Generate(random);
            var known = Answer(name, batch.ToByteArray());
            var with = batch.Clone();
            with.MergeFrom(UnknownFields(random));
            foreach (var operation in with.Operations)
            {
                operation.MergeFrom(UnknownFields(random));
            }

            Assert.True(known.Equals(Answer(name, with.ToByteArray())), $"seed {seed}");
        }
    }

    [Theory]
    [MemberData(nameof(Entities))]
    public void Answer_CutOrDamagedBatch_IsStillAWholeResult(string name)
    {
        for (var seed = 1; seed <= 2_000; seed++)
        {
            var random = new Random(seed);
            var bytes = Generate(random).ToByteArray();
            if (random.Next(2) == 0)
            {
                bytes = bytes[..random.Next(bytes.Length)];
            }
            else
            {
                for (var i = random.Next(1, 6); i > 0; i--)
                {
                    bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                }
            }

            // What can be read is done, what cannot is refused as a whole; either way the host can read the answer.
            var result = Answer(name, bytes);
            Assert.True(result.FailureDetails is null || (result.Results.Count == 0 && result.FailureDetails.ErrorMessage.Length > 0), $"seed {seed}");
        }
    }

    [Fact]
    public void Answer_CutBatch_KeepsTheStateThatCame()
    {
        var bytes = EntityCall.Batch(Foreign, ("get", null), ("get", null)).ToByteArray();
        var result = Answer(BackendEntity.Name, bytes[..^1]);
        Assert.Equal((Foreign, "MalformedBatch"), (result.EntityState, result.FailureDetails.ErrorType));
        Assert.Empty(result.Results);
    }

    [Theory]
    [InlineData("")]
    [InlineData("nonsense")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"Data":null}""")]
    [InlineData("""{"Data":{}}""")]
    [InlineData("""{"Data":{"context":null}}""")]
    [InlineData("""{"Data":{"context":7}}""")]
    [InlineData("""{"Data":{"context":{}}}""")]
    [InlineData("""{"Data":{"context":"\"unclosed"}}""")]
    [InlineData("""{"Data":{"context":"\"%%%not base64%%%\""}}""")]
    [InlineData("""{"Data":{"context":"\"\\ud800\""}}""")]
    [InlineData("""{"Data":{"context":"\"////\""}}""")]
    public void Answer_CallThatIsNone_FailsAsAWhole(string body)
    {
        var reply = EntityBatch.Answer(Encoding.UTF8.GetBytes(body), state => new BackendRun(state), TimeProvider.System);
        Assert.True(reply.Refused);
        Assert.Contains("nothing of it was done", reply.Report, StringComparison.Ordinal);
        var result = EntityBatchResult.Parser.ParseFrom(reply.Result);
        Assert.Empty(result.Results);
        Assert.NotEmpty(result.FailureDetails.ErrorMessage);
    }

    [Fact]
    public void Answer_InputWithoutTheInnerQuotes_IsRead()
    {
        var body = EntityCall.BodyOf(Convert.ToBase64String(EntityCall.Batch(null, ("get", null)).ToByteArray()));
        Assert.False(EntityBatch.Answer(Encoding.UTF8.GetBytes(body), state => new BackendRun(state), TimeProvider.System).Refused);
    }

    [Fact]
    public void Answer_StateWeDidNotWrite_FailsEachOperationAndLeavesIt()
    {
        var result = Answer(BackendEntity.Name, EntityCall.Batch(Foreign, ("get", null), ("put", "{}"), ("inc", """{"tokens":100}""")).ToByteArray());
        Assert.Equal(3, result.Results.Count);
        Assert.All(result.Results, one => Assert.NotEmpty(one.Failure.FailureDetails.ErrorMessage));
        Assert.Equal(Foreign, result.EntityState);
    }

    [Fact]
    public void Answer_Delete_AnswersWithNoState()
    {
        var result = Answer(BackendEntity.Name, EntityCall.Batch(Foreign, ("delete", "\"\"")).ToByteArray());
        Assert.Null(result.EntityState);
        Assert.Null(Assert.Single(result.Results).Success.Result);
    }

    [Fact]
    public void Answer_AnOperationThatThrows_IsAFailureOfThatOne()
    {
        var batch = EntityCall.Batch("1", ("good", null), ("bad", null), ("good", "2"));
        var reply = EntityBatch.Answer(
            Encoding.UTF8.GetBytes(EntityCall.Body(batch.ToByteArray())),
            state => new Faulty(state), TimeProvider.System);
        var result = EntityBatchResult.Parser.ParseFrom(reply.Result);
        Assert.Equal([null, "fault of the program: InvalidOperationException", null], result.Results.Select(one => one.Failure?.FailureDetails.ErrorMessage));
        Assert.Equal("111", result.EntityState);
    }

    /// <summary>What one reply does not get to comes back with the state of then, so that in the end all is done once and in order.</summary>
    [Theory]
    [InlineData("get")]
    [InlineData("trip")]
    [InlineData("unknown")]
    public void Answer_TenThousandOperations_AreAllDoneOverOneOrMoreReplies(string operation)
    {
        var all = Enumerable.Range(1, 10_000).Select(at => (operation, operation == "trip" ? (string?)$$"""{"at":{{at}}}""" : null)).ToArray();
        string? state = null;
        var done = 0;
        while (done < all.Length)
        {
            var result = Answer(BackendEntity.Name, EntityCall.Batch(state, all[done..]).ToByteArray());
            Assert.InRange(result.Results.Count, 1, all.Length - done);
            Assert.All(result.Results, one => Assert.Equal(operation == "unknown", one.Failure is not null));
            (state, done) = (result.EntityState, done + result.Results.Count);
        }

        Assert.Equal(all.Aggregate((string?)null, (before, one) => BackendEntity.Apply(before, one.operation, one.Item2).State), state);
    }

    public static TheoryData<string> Entities => [BackendEntity.Name, RegistryEntity.Name];

    private static EntityReply Apply(string name, string? state, OperationRequest one) => name == BackendEntity.Name
        ? BackendEntity.Apply(state, one.Operation, one.Input)
        : RegistryEntity.Apply(state, one.Operation, one.Input);

    private static IEntityRun Begin(string name, string? state) => name == BackendEntity.Name ? new BackendRun(state) : new RegistryRun(state);

    private static EntityBatchResult Answer(string name, byte[] batch)
    {
        // A clock that stands still never runs out of patience.
        var reply = EntityBatch.Answer(Encoding.UTF8.GetBytes(EntityCall.Body(batch)), state => Begin(name, state), new Support.ManualTime());
        return EntityBatchResult.Parser.ParseFrom(reply.Result);
    }

    private static EntityBatchRequest Generate(Random random)
    {
        string?[] states = [null, Foreign, "", "nonsense", """{"schema":99}""", RegistryEntity.Apply(null, "put", """{"version":3,"document":"{}"}""").State, BackendEntity.Apply(null, "trip", """{"at":5}""").State];
        var batch = new EntityBatchRequest { InstanceId = Text(random), EntityState = states[random.Next(states.Length)] };
        for (var i = random.Next(12); i > 0; i--)
        {
            string[] names = ["get", "put", "trip", "reset", "configure", "delete", "GET", "", Text(random)];
            string?[] inputs = [null, "", "\"\"", "null", "{}", """{"at":7}""", $$"""{"version":{{random.Next(9)}},"document":"{}"}""", $$"""{"version":{{random.Next(9)}},"threshold":3,"cooldown":5}""", Text(random)];
            batch.Operations.Add(new OperationRequest { Operation = names[random.Next(names.Length)], RequestId = Text(random), Input = inputs[random.Next(inputs.Length)] });
        }

        return batch;
    }

    private static string Text(Random random) => string.Concat(Enumerable.Range(0, random.Next(20)).Select(_ => (char)random.Next(0x20, 0xD7FF)));

    /// <summary>Fields of every wire type under numbers that the schema does not have.</summary>
    private static byte[] UnknownFields(Random random)
    {
        using var stream = new MemoryStream();
        using (var output = new CodedOutputStream(stream))
        {
            for (var i = random.Next(1, 5); i > 0; i--)
            {
                var number = random.Next(10, 2_000);
                switch (random.Next(4))
                {
                    case 0:
                        output.WriteTag(number, WireFormat.WireType.Varint);
                        output.WriteUInt64((ulong)random.NextInt64());
                        break;
                    case 1:
                        output.WriteTag(number, WireFormat.WireType.Fixed64);
                        output.WriteFixed64((ulong)random.NextInt64());
                        break;
                    case 2:
                        output.WriteTag(number, WireFormat.WireType.LengthDelimited);
                        output.WriteString(Text(random));
                        break;
                    default:
                        output.WriteTag(number, WireFormat.WireType.Fixed32);
                        output.WriteFixed32((uint)random.Next());
                        break;
                }
            }
        }

        return stream.ToArray();
    }

    private sealed class Faulty(string? state) : IEntityRun
    {
        public string? State { get; private set; } = state;

        public (string? Result, string? Error) Apply(string operation, string? input)
        {
            State += operation == "bad" ? throw new InvalidOperationException("secret") : "1";
            return default;
        }
    }
}
