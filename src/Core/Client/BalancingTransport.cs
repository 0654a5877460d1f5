namespace Roadbalancer.Client;

/// <summary>The end of an <see cref="HttpClient"/>'s pipeline that balances instead of connecting. Disposing it leaves the balancer alone.</summary>
internal sealed class BalancingTransport(Engine engine) : HttpMessageHandler
{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        engine.SendAsync(request, cancellationToken);

    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken) =>
        Blocking.Wait(() => engine.SendAsync(request, cancellationToken));
}
