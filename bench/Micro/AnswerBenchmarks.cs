using System.Buffers;
using BenchmarkDotNet.Attributes;
using Roadbalancer.Proxy;

namespace Roadbalancer.Micro;

/// <summary>What looking into answers costs: each chunk of a stream, and an answer that comes whole.</summary>
public class AnswerBenchmarks
{
    private static readonly byte[] Chunk =
        "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" hello\"},\"finish_reason\":null}]}\n\n"u8.ToArray();

    private static readonly byte[] Whole =
        "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello, world. What can I do for you today?\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":21,\"completion_tokens\":12,\"total_tokens\":33}}"u8.ToArray();

    private readonly ArrayBufferWriter<byte> _output = new(64 * 1024);
    private readonly AnswerReader _reader = new();

    /// <summary>One stream after the other, since what a stream has said is kept and grows.</summary>
    [Benchmark(OperationsPerInvoke = 20_000)]
    public int PassChunk()
    {
        using var client = new ClientStream(ApiShape.Chat, 1);
        using var filter = new StreamFilter(client, JoinMode.None);
        filter.Commit();
        var used = 0;
        for (var chunk = 0; chunk < 20_000; chunk++)
        {
            _output.ResetWrittenCount();
            used += filter.Pass(Chunk, _output);
        }

        return used;
    }

    [Benchmark(OperationsPerInvoke = 20_000)]
    public bool ReadWhole()
    {
        var isGood = true;
        for (var answer = 0; answer < 20_000; answer++)
        {
            _reader.Reset();
            _reader.Feed(Whole);
            isGood &= _reader.Complete();
        }

        return isGood;
    }
}
