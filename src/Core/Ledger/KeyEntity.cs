namespace Roadbalancer.Ledger;

/// <summary>
/// The durable account of one client key: the state machine of <see cref="BackendEntity"/> under a name of its own, so that a key and a backend of one name
/// never meet. It has totals, mark, hours and days as <see cref="Tally"/> tells them of a key; nothing of the key itself but its name.
/// </summary>
internal static class KeyEntity
{
    public const string Name = "KeyEntity";
}
