using System.Collections.Frozen;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Telemetry;
using Roadbalancer.Tests.Proxy;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Telemetry;

public sealed class RecordingTests : IDisposable
{
    private static readonly AttemptOutcome Streamed =
        new(OutcomeKind.Succeeded) { DurationMs = 900, FirstTokenMs = 100, InputTokens = 7, OutputTokens = 5 };

    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly BalancerMetrics _metrics;
    private readonly Pool _pool = new(new BalancerOptions
    {
        Backends = [Pools.Backend("a") with { Models = new Dictionary<string, string> { ["m"] = "m" }.ToFrozenDictionary() }, Pools.Backend("b")],
    }, 1);

    public RecordingTests() => _metrics = new BalancerMetrics(_services.GetRequiredService<IMeterFactory>());

    [Fact]
    public void Record_AfterTheFirst_AllocatesNothing()
    {
        using var exchange = Exchange();
        var lease = new Lease(_pool, 0, 1, 0, isTrial: false);
        Record(exchange, lease);

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var request = 0; request < 1_000; request++)
        {
            Record(exchange, lease);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public async Task Record_ByManyThreads_LosesNothing()
    {
        using var exchange = Exchange();
        var lease = new Lease(_pool, 0, 1, 0, isTrial: false);

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
        {
            for (var request = 0; request < 5_000; request++)
            {
                Record(exchange, lease);
            }
        })));

        var scrape = Scrape();
        Assert.Equal(40_000, scrape["roadbalancer_attempts_total{backend=\"a\",outcome=\"succeeded\"}"]);
        Assert.Equal(40_000, scrape["roadbalancer_attempt_duration_seconds_count{backend=\"a\",result=\"succeeded\"}"]);
        Assert.Equal(36_000, scrape["roadbalancer_attempt_duration_seconds_sum{backend=\"a\",result=\"succeeded\"}"]!.Value, 0.001);
        Assert.Equal(5 * 40_000, scrape["roadbalancer_tokens_total{backend=\"a\",gen_ai_token_type=\"output\"}"]);
        Assert.Equal(40_000, scrape["gen_ai_client_token_usage_bucket{gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",gen_ai_request_model=\"m\",gen_ai_token_type=\"output\",le=\"16.0\"}"]);
    }

    [Fact]
    public void Record_Stream_MeasuresTheTimeBetweenTokens()
    {
        _metrics.AttemptEnded(new Lease(_pool, 0, 1, 0, isTrial: false), Streamed);

        // 800 ms after the first of five tokens: four gaps of 200 ms.
        Assert.Equal(0.2, Scrape()["roadbalancer_attempt_time_per_output_token_seconds_sum{backend=\"a\"}"]);
        Assert.Equal(0.1, Scrape()["roadbalancer_attempt_time_to_first_token_seconds_sum{backend=\"a\"}"]);
    }

    [Fact]
    public void Bucket_ValueAtItsBound_BelongsToIt()
    {
        _metrics.AttemptEnded(new Lease(_pool, 0, 1, 0, isTrial: false), new AttemptOutcome(OutcomeKind.Succeeded) { DurationMs = 320 });

        var scrape = Scrape();
        Assert.Equal(0, scrape["roadbalancer_attempt_duration_seconds_bucket{backend=\"a\",result=\"succeeded\",le=\"0.16\"}"]);
        Assert.Equal(1, scrape["roadbalancer_attempt_duration_seconds_bucket{backend=\"a\",result=\"succeeded\",le=\"0.32\"}"]);
        Assert.Equal(1, scrape["roadbalancer_attempt_duration_seconds_bucket{backend=\"a\",result=\"succeeded\",le=\"+Inf\"}"]);
    }

    [Fact]
    public void AttemptEnded_OfAnOlderPool_CountsWhatIsStillThereAndNothingElse()
    {
        var later = new Pool(_pool.Options with { Backends = [_pool.Backends[1]] }, 2);
        _metrics.Follow(later);

        _metrics.AttemptEnded(new Lease(_pool, 0, 1, 0, isTrial: false), Streamed);
        _metrics.AttemptEnded(new Lease(_pool, 1, 2, 0, isTrial: false), Streamed);

        Assert.Equal(["b"], Scrape().ValuesOf("backend"));
        Assert.Equal(1, Scrape()["roadbalancer_attempts_total{backend=\"b\",outcome=\"succeeded\"}"]);
    }

    [Fact]
    public void Listener_OfTheMeter_HearsSumsAndDistributions()
    {
        using var exchange = Exchange();
        var heard = new Dictionary<string, double>(StringComparer.Ordinal);
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Scope == _services.GetRequiredService<IMeterFactory>())
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => heard[$"{instrument.Name} {tags.Length}"] = value);
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => heard[$"{instrument.Name} {tags.Length}"] = value);
        listener.Start();

        Record(exchange, new Lease(_pool, 0, 1, 0, isTrial: false));
        listener.RecordObservableInstruments();

        Assert.Equal(1, heard["roadbalancer.attempts 2"]);
        Assert.Equal(0.9, heard["roadbalancer.attempt.duration 2"]);
        Assert.Equal(5, heard["gen_ai.client.token.usage 4"]);
    }

    public void Dispose()
    {
        _metrics.Dispose();
        _services.Dispose();
    }

    private Exchange Exchange()
    {
        var exchange = Exchanges.Of(_pool, TimeProvider.System, facts: new RequestFacts { Model = "m" });
        exchange.Attempts.Add(new AttemptRecord("a"));
        return exchange;
    }

    private void Record(Exchange exchange, Lease lease)
    {
        _metrics.AttemptEnded(lease, Streamed);
        _metrics.RequestEnded(exchange, Streamed, exchange.Attempts[^1]);
    }

    private Scrape Scrape()
    {
        using var exposition = Exposition.Of(_metrics.All.All, isOpenMetrics: false);
        return new(System.Text.Encoding.UTF8.GetString(exposition.Written.Span));
    }
}
