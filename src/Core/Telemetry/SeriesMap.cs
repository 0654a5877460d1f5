using System.Collections.Frozen;
using Roadbalancer.Backends;
using Roadbalancer.Proxy;

namespace Roadbalancer.Telemetry;

/// <summary>What kind of request a metric or a span is about: <c>gen_ai.operation.name</c>.</summary>
internal static class Operation
{
    /// <summary>The conventions' own words where they have one, else <c>other</c>: clients choose paths.</summary>
    public static readonly string[] Names = ["chat", "text_completion", "embeddings", "other"];

    /// <summary>The index in <see cref="Names"/>.</summary>
    public static int Of(ApiShape shape, string path) => shape switch
    {
        ApiShape.Chat or ApiShape.Responses => 0,
        ApiShape.Completion => 1,
        _ => path == "embeddings" ? 2 : 3,
    };
}

/// <summary>
/// The series of a pool's backends and models, found once. Clients choose models, so that only those of the configuration have series of their own, and
/// only <see cref="MostModels"/> of them; the rest share <see cref="OtherModel"/>.
/// </summary>
internal sealed class SeriesMap
{
    /// <summary>The most models told apart in the life of a process.</summary>
    public const int MostModels = 100;

    public const string OtherModel = "other";

    private readonly TrafficFamilies _families;
    private readonly BackendSeries[] _backends;
    private readonly FrozenDictionary<string, ModelSeries?[]> _models;
    private readonly ModelSeries?[] _none = new ModelSeries?[Operation.Names.Length];
    private readonly ModelSeries?[] _other = new ModelSeries?[Operation.Names.Length];

    /// <param name="families">Whose series.</param>
    /// <param name="pool">Whose backends and models.</param>
    /// <param name="told">Models told apart so far; grows to <see cref="MostModels"/>.</param>
    public SeriesMap(TrafficFamilies families, Pool pool, HashSet<string> told)
    {
        _families = families;
        Pool = pool;
        _backends = [.. pool.Backends.Select(backend => new BackendSeries(families, backend.Name))];
        foreach (var model in ModelsOf(pool))
        {
            _ = told.Count < MostModels && told.Add(model);
        }

        _models = ModelsOf(pool).Where(told.Contains).ToFrozenDictionary(
            model => model, _ => new ModelSeries?[Operation.Names.Length], StringComparer.Ordinal);
    }

    public Pool Pool { get; }

    public BackendSeries this[int backend] => _backends[backend];

    public ModelSeries For(Exchange exchange)
    {
        var operation = Operation.Of(exchange.Shape, exchange.Path);
        var (series, name) = exchange.Facts.Model is not { } model ? (_none, "") : _models.TryGetValue(model, out var known) ? (known, model) : (_other, OtherModel);
        return series[operation] ??= new ModelSeries(_families, Operation.Names[operation], name);
    }

    private static IEnumerable<string> ModelsOf(Pool pool) =>
        pool.Backends.SelectMany(backend => backend.Models.Keys.Concat(backend.ModelName is { } own ? [own] : [])).Distinct(StringComparer.Ordinal);
}
