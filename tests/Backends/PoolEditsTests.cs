using System.Text.Json;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Backends;

public class PoolEditsTests
{
    private static readonly BalancerOptions Configured = new() { Backends = [Pools.Backend("a", 2), Pools.Backend("b")] };

    [Fact]
    public void Parse_WhatToJsonWrote_IsTheSame()
    {
        var edits = PoolEdits.None.With(Edit("c", true, """{"url":"http://c.test","tags":["x"],"temperature":0.1}""")).With(Edit("a", false, """{"weight":7}""")).WithDraining("b", true)
            with
        { Strategy = "random", Settings = new(HealthCheckInterval: 1.5, HealthChecks: false), Last = new("ops", "backend_added", "c") };

        var read = PoolEdits.Parse(edits.ToJson());

        Assert.Equal(edits.ToJson(), read.ToJson());
        var applied = read.ApplyTo(Configured);
        Assert.Equal(("random", 1.5, false), (applied.Strategy, applied.HealthCheckInterval.TotalSeconds, applied.HealthCheckEnabled));
        Assert.Equal([("a", 7, false), ("b", 1, true), ("c", 1, false)], applied.Backends.Select(backend => (backend.Name, backend.Weight, backend.Draining)));
    }

    [Fact]
    public void Parse_ADocumentOfAnotherVersion_TakesWhatItKnows()
    {
        var edits = PoolEdits.Parse("""{"Version":3,"Strategy":"of_tomorrow","Removed":["b"],"Edited":[{"Name":"a","IsWhole":false,"Fields":{"of_tomorrow":1}}],"OfTomorrow":{"x":1}}""");

        var applied = edits.ApplyTo(Configured);

        Assert.Equal((3, "round_robin"), (edits.Version, applied.Strategy));
        Assert.Equal([("a", 2)], applied.Backends.Select(backend => (backend.Name, backend.Weight)));
    }

    [Fact]
    public void Parse_ADocumentOfYesterday_HasNoneOfTheNewEdits()
    {
        var edits = PoolEdits.Parse("""{"Version":1,"Put":[],"Removed":["b"]}""");

        Assert.Equal(["a"], edits.ApplyTo(Configured).Backends.Select(backend => backend.Name));
        Assert.True(edits is { Edited.IsEmpty: true, Drained.IsEmpty: true, Settings: null, Last: null });
    }

    [Fact]
    public void ApplyTo_FieldsOverABackendThatLeftTheConfiguration_MakeNoBackend()
    {
        var edits = PoolEdits.None.With(Edit("gone", false, """{"weight":7}"""));

        Assert.Equal(["a", "b"], edits.ApplyTo(Configured).Backends.Select(backend => backend.Name));
    }

    private static BackendEdit Edit(string name, bool isWhole, string fields) => new(name, isWhole, JsonDocument.Parse(fields).RootElement);
}
