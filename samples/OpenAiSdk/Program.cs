// The official OpenAI client, unchanged, over three endpoints. Start the simulated backends in another terminal first:
//   dotnet run --project src/Functions -- --simulate 9001 9002 9003
//   dotnet run --project samples/OpenAiSdk
// Other endpoints: give their URLs as arguments.
using System.ClientModel;
using System.ClientModel.Primitives;
using OpenAI;
using OpenAI.Chat;
using Roadbalancer;

string[] urls = args.Length > 0 ? args : ["http://localhost:9001", "http://localhost:9002", "http://localhost:9003"];
await using var balancer = new LoadBalancer(urls.Select(url => new Endpoint(url)));
using var http = new HttpClient(balancer.CreateHandler());
var client = new OpenAIClient(new ApiKeyCredential("unused"), new OpenAIClientOptions { Transport = new HttpClientPipelineTransport(http) });

ChatCompletion completion = await client.GetChatClient("demo-model").CompleteChatAsync(new UserChatMessage("Hello!"));
Console.WriteLine(completion.Content[0].Text);

await foreach (var update in client.GetChatClient("demo-model").CompleteChatStreamingAsync(new UserChatMessage("And again, in pieces.")))
{
    Console.Write(string.Concat(update.ContentUpdate.Select(part => part.Text)));
}

Console.WriteLine();
var vectors = await client.GetEmbeddingClient("demo-model").GenerateEmbeddingsAsync(["one", "two"]);
Console.WriteLine($"{vectors.Value.Count} vectors of {vectors.Value[0].ToFloats().Length}");
