namespace Roadbalancer.Proxy;

/// <summary>
/// An answer that had begun cannot be completed. Thrown through to the server, because that is the one way of ending a response that delivers every
/// byte written (the error event among them) and yet leaves out the end mark, so that no client takes it for whole. Aborting the connection instead
/// discards what is still in its buffers.
/// </summary>
internal sealed class TruncatedAnswerException : IOException
{
    public TruncatedAnswerException()
        : base("The answer could not be completed.")
    {
    }
}
