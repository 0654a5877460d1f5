using System.Text;
using BenchmarkDotNet.Attributes;
using Roadbalancer.Backends;
using Roadbalancer.Proxy;

namespace Roadbalancer.Micro;

/// <summary>Reading a chat request, and rewriting its model for a backend.</summary>
public class RequestBenchmarks
{
    private static readonly Backend Renaming = new() { Name = "a", BaseUrl = new Uri("http://a/v1"), ModelName = "another" };

    private byte[] _body = [];
    private RequestFacts _facts = RequestFacts.None;

    /// <summary>About so many bytes of conversation.</summary>
    [Params(1, 16, 256, 1024)]
    public int Kilobytes { get; set; }

    [GlobalSetup]
    public void Prepare()
    {
        var turn = "{\"role\":\"user\",\"content\":\"" + string.Concat(Enumerable.Repeat("What the weather is like today, and why. ", 10)) + "\"}";
        _body = Encoding.UTF8.GetBytes("{\"model\":\"m\",\"stream\":true,\"messages\":[" + string.Join(',', Enumerable.Repeat(turn, Math.Max(1, Kilobytes * 1024 / turn.Length))) + "]}");
        Read();
    }

    [Benchmark]
    public bool Read() => RequestReader.TryRead(_body, RequestReader.ChatPath, "application/json", out _facts, out _);

    [Benchmark]
    public long Rewrite() => BodyEdit.ForBackend(_body, _facts, Renaming, RequestReader.ChatPath).Length;
}
