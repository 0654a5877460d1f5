using System.Text;
using System.Text.Json;
using Roadbalancer.Backends;
using Roadbalancer.Ledger;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Ledger;

public class RegistryEntityTests
{
    [Fact]
    public void Put_NewerThenOlder_KeepsTheNewerToTheLetter()
    {
        const string document = """{"Version":7,"n":1e3,"t":"2026-11-22T00:00:00","x":1.50,"s":"\"ö\\"}""";
        var state = RegistryEntity.Apply(null, "put", Input(7, document)).State;
        var reply = RegistryEntity.Apply(state, "put", Input(6, "{}"));
        Assert.Equal((state, """{"version":7}""", (string?)null), (reply.State, reply.Result, reply.Error));
        Assert.Equal(document, RegistryRecord.Parse(reply.State!).Document());
        Assert.Equal(state, RegistryEntity.Apply(state, "get", null).Result);
    }

    [Fact]
    public void Put_ChangesOf300Backends_StaysUnder48000Bytes()
    {
        var edits = Enumerable.Range(0, 300).Aggregate(new PoolEdits { Version = 9 }, (edits, i) => edits.With(Pools.Backend($"backend-{i:000}") with { ApiKey = $"{Guid.NewGuid():N}" }));
        var put = RegistryRecord.Of(9, edits.ToJson());
        var reply = RegistryEntity.Apply(null, "put", put.ToJson());
        Assert.Null(reply.Error);
        Assert.InRange(Encoding.UTF8.GetByteCount(reply.State!), 1, RegistryRecord.Most);
        Assert.Equal(edits.ToJson(), RegistryRecord.Parse(reply.State!).Document());
    }

    [Theory]
    [InlineData("put", null)]
    [InlineData("put", """{"version":1}""")]
    [InlineData("put", """{"version":1,"document":{}}""")]
    [InlineData("configure", "{}")]
    public void Apply_BadInput_TellsWhyAndLeavesTheState(string operation, string? input)
    {
        var state = RegistryEntity.Apply(null, "put", Input(7, "{}")).State;
        var reply = RegistryEntity.Apply(state, operation, input);
        Assert.Equal(state, reply.State);
        Assert.NotNull(reply.Error);
    }

    [Fact]
    public void Put_DocumentTooLong_IsRefused()
    {
        var reply = RegistryEntity.Apply(null, "put", Input(1, new string('x', RegistryRecord.Most)));
        Assert.Null(reply.State);
        Assert.Contains("48,000", reply.Error!, StringComparison.Ordinal);
    }

    [Fact]
    public void Document_DamagedDeflation_IsAFormatException() =>
        Assert.Throws<FormatException>(() => RegistryRecord.Parse("""{"schema":1,"version":1,"document":"z____"}""").Document());

    private static string Input(long version, string document) => JsonSerializer.Serialize(new { version, document });
}
