using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Roadbalancer.Functions.Hosted.Wire;

namespace Roadbalancer.Tests.Functions;

/// <summary>The host's side of an entity's call: what it sends, and what it reads in the reply.</summary>
internal static class EntityCall
{
    /// <summary>A call's body with this batch, quoted as the host quotes it.</summary>
    public static string Body(byte[] batch) => BodyOf(JsonSerializer.Serialize(Convert.ToBase64String(batch)));

    /// <summary>A call's body with this text as the input.</summary>
    public static string BodyOf(string context) =>
        new JsonObject { ["Data"] = new JsonObject { ["context"] = context }, ["Metadata"] = new JsonObject { ["sys"] = new JsonObject { ["MethodName"] = "BackendEntity" } } }.ToJsonString();

    /// <summary>The batch in a body that the host sent.</summary>
    public static EntityBatchRequest BatchIn(string body)
    {
        var quoted = JsonNode.Parse(body)!["Data"]!["context"]!.GetValue<string>();
        return EntityBatchRequest.Parser.ParseFrom(Convert.FromBase64String(JsonNode.Parse(quoted)!.GetValue<string>()));
    }

    /// <summary>The result in a reply, read as strictly as the host does.</summary>
    public static EntityBatchResult ResultIn(string reply, out string[] logs)
    {
        var json = JsonNode.Parse(reply)!.AsObject();
        Assert.Equal(["Outputs", "Logs", "ReturnValue"], json.Select(property => property.Key));
        Assert.Empty(json["Outputs"]!.AsObject());
        logs = [.. json["Logs"]!.AsArray().Select(line => line!.GetValue<string>())];
        return EntityBatchResult.Parser.ParseFrom(ByteString.FromBase64(json["ReturnValue"]!.GetValue<string>()));
    }

    public static EntityBatchRequest Batch(string? state, params (string Operation, string? Input)[] operations)
    {
        var batch = new EntityBatchRequest { InstanceId = "@backendentity@6770753", EntityState = state };
        batch.Operations.Add(operations.Select(operation => new OperationRequest { Operation = operation.Operation, RequestId = "1", Input = operation.Input }));
        return batch;
    }
}
