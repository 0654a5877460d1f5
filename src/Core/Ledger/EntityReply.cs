namespace Roadbalancer.Ledger;

/// <summary>What one operation of an entity came to.</summary>
/// <param name="State">The state from now on, JSON; null when the entity is no more. The untouched one beside an <paramref name="Error"/>.</param>
/// <param name="Result">The operation's result, JSON; null for none.</param>
/// <param name="Error">Why it failed, in a sentence free of secrets; null when it did not.</param>
internal readonly record struct EntityReply(string? State, string? Result, string? Error)
{
    public static EntityReply Refuse(string? state, string why) => new(state, null, why);
}
