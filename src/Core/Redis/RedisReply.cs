using StackExchange.Redis;

namespace Roadbalancer.Redis;

/// <summary>What came of one call: a result, or why there is none in a few words free of secrets.</summary>
internal readonly record struct RedisReply(RedisResult? Result, string? Fault)
{
    /// <summary>The result of a script that returns one string of bytes; empty for nil.</summary>
    public byte[] Bytes => (byte[]?)Result ?? [];

    /// <summary>The results of a script that returns several.</summary>
    public RedisResult[] Parts => (RedisResult[]?)Result ?? [];
}
