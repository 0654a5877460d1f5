// Asks six questions over three endpoints and tells who answered. Start the simulated backends in another terminal first:
//   dotnet run --project src/Functions -- --simulate 9001 9002 9003
//   dotnet run --project samples/Chat
// Stop one of them meanwhile: nothing is lost. Other endpoints: LLM_ENDPOINTS=http://host1:8000,http://host2:8000
using Roadbalancer;

if (Environment.GetEnvironmentVariable("LLM_ENDPOINTS") is null)
{
    Environment.SetEnvironmentVariable("LLM_ENDPOINTS", "http://localhost:9001,http://localhost:9002,http://localhost:9003");
}

// <example: from-env>
using var balancer = LoadBalancer.FromEnv();
// </example>
var model = args is [var name] ? name : "demo-model";
var failed = 0;
for (var question = 1; question <= 6; question++)
{
    var response = await balancer.ChatAsync([new("user", $"Question {question}")], model: model);
    Console.WriteLine(response.Success
        ? $"{response.Endpoint} after {response.Attempts} attempt(s): {response.Content}"
        : $"failed: {response.Error}");
    failed += response.Success ? 0 : 1;
}

foreach (var endpoint in balancer.GetStats().Endpoints)
{
    Console.WriteLine($"{endpoint.Name}: {endpoint.TotalRequests} requests, {endpoint.SuccessRate}");
}

return failed;
