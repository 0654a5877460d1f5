namespace Roadbalancer.Proxy;

/// <summary>What a client has of a streamed answer so far. One for each request; outlives the attempts that feed it.</summary>
internal sealed class ClientStream(ApiShape shape, int choices) : IDisposable
{
    public ApiShape Shape { get; } = shape;

    /// <summary>How many choices the request asked for, over all of its prompts; each needs its <c>finish_reason</c>.</summary>
    public int Choices { get; } = choices;

    /// <summary>The text that has gone out.</summary>
    public DeltaLog Log { get; } = new();

    /// <summary>Something has gone out: a later attempt must join on, not begin.</summary>
    public bool Started { get; set; }

    /// <summary>Something has gone out that <see cref="Log"/> could not hold, so nothing can be joined to it.</summary>
    public bool IsOpaque { get; set; }

    /// <summary>Events with something of the answer in them that have gone out.</summary>
    public int Events { get; set; }

    /// <summary>Choices whose <c>finish_reason</c> has gone out.</summary>
    public int FinishedChoices { get; set; }

    /// <summary>The first answer's <c>id</c> as JSON; an answer that joins on goes out under it. Empty: none was seen.</summary>
    public byte[] Id { get; set; } = [];

    /// <summary>The first answer's <c>created</c> as JSON.</summary>
    public byte[] Created { get; set; } = [];

    /// <summary>The first answer's <c>model</c> as JSON.</summary>
    public byte[] Model { get; set; } = [];

    /// <summary>Whether another answer could be joined to what the client has. Choices that finished apart cannot be told apart again.</summary>
    public bool CanBeJoined => !IsOpaque && FinishedChoices == 0 && Shape is ApiShape.Chat or ApiShape.Completion;

    public void Dispose() => Log.Dispose();
}
