using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Wire;

namespace Roadbalancer.Proxy;

/// <summary>
/// <c>GET /v1/models</c> and <c>/v1/models/{id}</c>: the union of what the backends serve. A backend with configured models counts with those names,
/// any other is asked; the answer is kept for <c>models_cache</c>, and a backend that does not answer keeps what it said last.
/// </summary>
internal sealed class ModelsEndpoint(Forwarder forwarder, TimeProvider time) : IDisposable
{
    private const int AnswerLimit = 4 * 1024 * 1024;

    private static readonly TimeSpan AskLimit = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _refresh = new(1, 1);
    private volatile Union? _union;

    /// <summary>Whether this request is answered here rather than by a backend.</summary>
    public static bool Serves(string method, string path) =>
        HttpMethods.IsGet(method) && (path.TrimEnd('/') == "models" || path.StartsWith("models/", StringComparison.Ordinal));

    /// <summary>Answers; what it returns instead is for the caller to send.</summary>
    public async Task<ErrorAnswer?> WriteAsync(HttpContext http, Pool pool, string path, ClientKey? key, string requestId)
    {
        var union = await UnionAsync(pool, http.RequestAborted);
        var id = path.Length > "models/".Length ? Uri.UnescapeDataString(path["models/".Length..]) : null;
        if (union.Models.Count == 0 && !union.AnyAnswered)
        {
            return new ErrorAnswer(StatusCodes.Status503ServiceUnavailable, "server_error", "no_healthy_backend", "No backend tells which models it serves.")
            {
                RetryAfter = pool.Options.Cooldown,
            };
        }

        var models = key is { Limits.AreSelective: true } ? PermittedTo(key, pool, union) : union.Models;
        if (id is not null && !models.ContainsKey(id))
        {
            return ErrorAnswer.ModelNotFound(id);
        }

        http.Response.ContentType = "application/json";
        http.Response.Headers["X-Request-Id"] = requestId;
        await http.Response.Body.WriteAsync(id is not null ? models[id] : models == union.Models ? union.ListJson : ListOf(models.Values), http.RequestAborted);
        return null;
    }

    public void Dispose() => _refresh.Dispose();

    /// <summary>The models that <paramref name="key"/> may ask for, of backends that it may use.</summary>
    private static Dictionary<string, byte[]> PermittedTo(ClientKey key, Pool pool, Union union)
    {
        var permitted = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        foreach (var backend in pool.Backends)
        {
            if (key.Limits.Permits(backend) && union.ByBackend.TryGetValue(backend.Name, out var models))
            {
                foreach (var (id, json) in models)
                {
                    if (key.Limits.Permits(id))
                    {
                        permitted.TryAdd(id, json);
                    }
                }
            }
        }

        return permitted;
    }

    private async Task<Union> UnionAsync(Pool pool, CancellationToken cancellationToken)
    {
        if (Fresh(pool) is { } fresh)
        {
            return fresh;
        }

        await _refresh.WaitAsync(cancellationToken);
        try
        {
            return Fresh(pool) ?? (_union = await BuildAsync(pool, _union, cancellationToken));
        }
        finally
        {
            _refresh.Release();
        }
    }

    private Union? Fresh(Pool pool) =>
        _union is { } union && ReferenceEquals(union.Pool, pool) && time.GetElapsedTime(union.BuiltAt) < pool.Options.ModelsCache ? union : null;

    private async Task<Union> BuildAsync(Pool pool, Union? before, CancellationToken cancellationToken)
    {
        var asked = await Task.WhenAll(pool.Backends.Select(backend => AskAsync(backend, cancellationToken)));
        var union = new Union(pool, time.GetTimestamp()) { AnyAnswered = pool.Backends.Where((backend, index) => backend.Enabled && asked[index] is not null).Any() };
        for (var index = 0; index < asked.Length; index++)
        {
            var backend = pool.Backends[index];
            var models = asked[index] ?? before?.ByBackend.GetValueOrDefault(backend.Name);
            if (models is null)
            {
                continue;
            }

            union.ByBackend[backend.Name] = models;
            foreach (var (id, json) in models)
            {
                union.Models.TryAdd(id, json);
            }
        }

        union.ListJson = ListOf(union.Models.Values);
        return union;
    }

    /// <summary>What one backend serves, by id: nothing when it is disabled; null when it does not say.</summary>
    private async Task<Dictionary<string, byte[]>?> AskAsync(Backend backend, CancellationToken cancellationToken)
    {
        if (!backend.Enabled)
        {
            return [];
        }

        if (backend.Models.Count > 0)
        {
            return backend.Models.Keys.ToDictionary(id => id, OwnModel, StringComparer.Ordinal);
        }

        if (backend.ModelName is { } only)
        {
            return new(StringComparer.Ordinal) { [only] = OwnModel(only) };
        }

        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(AskLimit);
            using var response = await forwarder.GetAsync(backend, Forwarder.Resolve(backend, "models"), limit.Token);
            return response.Head.IsSuccess ? await ReadAsync(response, limit.Token) : null;
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException or JsonException
            or InvalidDataException or InvalidOperationException)
        {
            // The last: a name with half a surrogate pair.
            cancellationToken.ThrowIfCancellationRequested();
            return null;
        }
    }

    private static async Task<Dictionary<string, byte[]>> ReadAsync(WireResponse response, CancellationToken cancellationToken)
    {
        await using var source = ContentCoding.Plain(response);
        using var body = new PooledBytes();
        int read;
        while ((read = await source.ReadAsync(body.GetMemory(4096), cancellationToken)) > 0)
        {
            body.Advance(read);
            if (body.Length > AnswerLimit)
            {
                throw new InvalidDataException("The list of models is too long.");
            }
        }

        using var document = JsonDocument.Parse(body.Memory);
        var models = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        if (document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("data", out var data)
            && data.ValueKind == JsonValueKind.Array)
        {
            foreach (var model in data.EnumerateArray())
            {
                if (model.ValueKind == JsonValueKind.Object && model.TryGetProperty("id", out var id) && id.ValueKind == JsonValueKind.String)
                {
                    models.TryAdd(id.GetString()!, JsonSerializerBytes(model));
                }
            }
        }

        return models;
    }

    private static byte[] JsonSerializerBytes(JsonElement model)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer))
        {
            model.WriteTo(json);
        }

        return buffer.WrittenSpan.ToArray();
    }

    private static byte[] OwnModel(string id)
    {
        var buffer = new ArrayBufferWriter<byte>(128);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("id", id);
            json.WriteString("object", "model");
            json.WriteNumber("created", 0);
            json.WriteString("owned_by", "roadbalancer");
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    private static byte[] ListOf(IEnumerable<byte[]> models)
    {
        var list = new ArrayBufferWriter<byte>(1024);
        list.Write("""{"object":"list","data":["""u8);
        var isFirst = true;
        foreach (var model in models)
        {
            list.Write(isFirst ? ""u8 : ","u8);
            list.Write(model);
            isFirst = false;
        }

        list.Write("]}"u8);
        return list.WrittenSpan.ToArray();
    }

    private sealed class Union(Pool pool, long builtAt)
    {
        public Pool Pool { get; } = pool;

        public long BuiltAt { get; } = builtAt;

        /// <summary>At least one backend said what it serves.</summary>
        public bool AnyAnswered { get; init; }

        /// <summary>Each model's JSON by id; a name that several backends have counts as the first one describes it.</summary>
        public Dictionary<string, byte[]> Models { get; } = new(StringComparer.Ordinal);

        public Dictionary<string, Dictionary<string, byte[]>> ByBackend { get; } = new(StringComparer.Ordinal);

        public byte[] ListJson { get; set; } = [];
    }
}
