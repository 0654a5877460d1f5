using System.Globalization;

namespace Roadbalancer.Ledger;

/// <summary>
/// The durable copy of what was changed at run time, as a pure state machine: one document with a version. It never throws, whatever arrives,
/// and answers at once; the state is told in <see cref="RegistryRecord"/>.
/// </summary>
/// <remarks><c>put</c> {version, document, after}: the document in place of that of version <c>after</c>, or of any older one. <c>get</c>: the state. <c>delete</c>: forgets it. A version already passed changes nothing and is a success.</remarks>
internal static class RegistryEntity
{
    public const string Name = "RegistryEntity";

    public static EntityReply Apply(string? state, string operation, string? input)
    {
        try
        {
            return operation == "delete" ? new EntityReply(null, null, null)
                : Apply(state is null ? RegistryRecord.None : RegistryRecord.Parse(state), state, operation, input);
        }
        catch (FormatException exception)
        {
            return EntityReply.Refuse(state, $"{operation}: {exception.Message}");
        }
        catch (NotSupportedException exception)
        {
            return EntityReply.Refuse(state, $"{operation}: {exception.Message}");
        }
        catch (Exception exception)
        {
            // An answer that is none loses the whole batch, so that even a fault of this code ends in one.
            return EntityReply.Refuse(state, $"{exception.GetType().Name} in {Name}");
        }
    }

    private static EntityReply Apply(RegistryRecord record, string? state, string operation, string? input)
    {
        switch (operation)
        {
            case "put":
                var put = RegistryRecord.ParseInput(input ?? "", out var after);
                return put.Version <= record.Version || (after ?? record.Version) != record.Version ? new(state, Result(record.Version), null) : new(put.ToJson(), Result(put.Version), null);
            case "get":
                return new(state, state, null);
            default:
                return EntityReply.Refuse(state, $"unknown operation '{(operation.Length <= 40 ? operation : operation[..40])}'; there are put, get and delete");
        }
    }

    private static string Result(long version) => string.Create(CultureInfo.InvariantCulture, $$"""{"version":{{version}}}""");
}
