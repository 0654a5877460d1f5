using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;
using Roadbalancer.Strategies;

namespace Roadbalancer.Simulation;

/// <summary>The answers that are lists rather than text: models, embeddings, rankings, moderations. All follow from the request alone.</summary>
internal static class SimulatedLists
{
    private const int DefaultDimensions = 16;
    private const int MostDimensions = 1536;

    public static void PutModels(IBufferWriter<byte> to, IEnumerable<string> models)
    {
        using var json = new Utf8JsonWriter(to);
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        foreach (var model in models)
        {
            PutModel(json, model);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    public static void PutModel(IBufferWriter<byte> to, string model)
    {
        using var json = new Utf8JsonWriter(to);
        PutModel(json, model);
    }

    /// <summary>Whether the request's <c>dimensions</c> are in range: 16 to 1536.</summary>
    public static bool CanEmbed(SimulatedRequest request) => request.Dimensions is null or (>= DefaultDimensions and <= MostDimensions);

    public static void PutEmbeddings(IBufferWriter<byte> to, SimulatedRequest request)
    {
        using var json = new Utf8JsonWriter(to);
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        for (var i = 0; i < request.Inputs.Count; i++)
        {
            json.WriteStartObject();
            json.WriteString("object", "embedding");
            json.WriteNumber("index", i);
            PutVector(json, Vector(request.Inputs[i], request.Dimensions ?? DefaultDimensions), request.Base64);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        PutModelAndUsage(json, request);
        json.WriteEndObject();
    }

    /// <summary>Jina's and Cohere's form, which vLLM speaks too: best first, at most <c>top_n</c>.</summary>
    public static void PutRanking(IBufferWriter<byte> to, SimulatedRequest request)
    {
        using var json = new Utf8JsonWriter(to);
        json.WriteStartObject();
        json.WriteString("id", "rerank-simulated");
        json.WriteStartArray("results");
        var ranked = request.Inputs.Select((document, index) => (Index: index, Score: new Chance(Hash(document)).NextDouble(), Document: document))
            .OrderByDescending(item => item.Score).Take(request.TopN ?? int.MaxValue);
        foreach (var (index, score, document) in ranked)
        {
            json.WriteStartObject();
            json.WriteNumber("index", index);
            json.WriteNumber("relevance_score", score);
            json.WritePropertyName("document");
            PutDocument(json, document);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        PutModelAndUsage(json, request);
        json.WriteEndObject();
    }

    public static void PutModerations(IBufferWriter<byte> to, SimulatedRequest request)
    {
        using var json = new Utf8JsonWriter(to);
        json.WriteStartObject();
        json.WriteString("id", "modr-simulated");
        json.WritePropertyName("model");
        PutRequestModel(json, request);
        json.WriteStartArray("results");
        foreach (var input in request.Inputs)
        {
            var isFlagged = input.AsSpan().IndexOf("violence"u8) >= 0;
            json.WriteStartObject();
            json.WriteBoolean("flagged", isFlagged);
            json.WriteStartObject("categories");
            json.WriteBoolean("violence", isFlagged);
            json.WriteEndObject();
            json.WriteStartObject("category_scores");
            json.WriteNumber("violence", isFlagged ? 0.9 : 0.001);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void PutModel(Utf8JsonWriter json, string model)
    {
        json.WriteStartObject();
        json.WriteString("id", model);
        json.WriteString("object", "model");
        json.WriteNumber("created", 1_700_000_000);
        json.WriteString("owned_by", "simulated");
        json.WriteEndObject();
    }

    private static void PutVector(Utf8JsonWriter json, float[] vector, bool base64)
    {
        if (base64)
        {
            var bytes = new byte[vector.Length * sizeof(float)];
            for (var i = 0; i < vector.Length; i++)
            {
                BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), vector[i]);
            }

            json.WriteBase64String("embedding", bytes);
            return;
        }

        json.WriteStartArray("embedding");
        foreach (var value in vector)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    private static void PutDocument(Utf8JsonWriter json, byte[] document)
    {
        if (document[0] == '{')
        {
            json.WriteRawValue(document);
            return;
        }

        json.WriteStartObject();
        json.WritePropertyName("text");
        json.WriteRawValue(document);
        json.WriteEndObject();
    }

    private static void PutModelAndUsage(Utf8JsonWriter json, SimulatedRequest request)
    {
        json.WritePropertyName("model");
        PutRequestModel(json, request);
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", request.PromptTokens);
        json.WriteNumber("total_tokens", request.PromptTokens);
        json.WriteEndObject();
    }

    private static void PutRequestModel(Utf8JsonWriter json, SimulatedRequest request) =>
        json.WriteRawValue([(byte)'"', .. request.Model, (byte)'"']);

    /// <summary>A vector of length 1 that depends on the input's bytes alone.</summary>
    private static float[] Vector(byte[] input, int dimensions)
    {
        var chance = new Chance(Hash(input));
        var vector = new float[dimensions];
        var squares = 0.0;
        for (var i = 0; i < dimensions; i++)
        {
            vector[i] = (float)(2 * chance.NextDouble() - 1);
            squares += vector[i] * vector[i];
        }

        var length = (float)Math.Sqrt(squares);
        return Array.ConvertAll(vector, value => value / length);
    }

    /// <summary>FNV-1a, 64 bits.</summary>
    private static ulong Hash(ReadOnlySpan<byte> bytes)
    {
        var hash = 14695981039346656037UL;
        foreach (var value in bytes)
        {
            hash = (hash ^ value) * 1099511628211UL;
        }

        return hash;
    }
}
