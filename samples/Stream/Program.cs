// Streams one answer as it comes, and what it cost. Start the simulated backends in another terminal first:
//   dotnet run --project src/Functions -- --simulate 9001 9002 9003
//   dotnet run --project samples/Stream
// Other endpoints: give their URLs as arguments.
using Roadbalancer;

string[] urls = args.Length > 0 ? args : ["http://localhost:9001", "http://localhost:9002", "http://localhost:9003"];
await using var balancer = new LoadBalancer(urls.Select(url => new Endpoint(url)), BalancingStrategy.LeastConnections);

ChatResult? result = null;
await foreach (var delta in balancer.StreamAsync([new("user", "Tell me about load balancing.")], model: "demo-model"))
{
    Console.Write(delta.Content);
    result = delta.Result;
}

Console.WriteLine();
Console.WriteLine(result!.Success
    ? $"{result.Endpoint}: {result.Usage?.CompletionTokens} tokens in {result.ResponseTime.TotalSeconds:0.00} s"
    : $"failed: {result.Error}");
return result.Success ? 0 : 1;
