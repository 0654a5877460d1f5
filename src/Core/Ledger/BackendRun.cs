namespace Roadbalancer.Ledger;

/// <summary>Operations on one <see cref="BackendEntity"/>, one after the other: its state is read once, and written when it is asked for.</summary>
/// <param name="state">The state before the first; null for none.</param>
internal sealed class BackendRun(string? state) : IEntityRun
{
    private string? _text = state;
    private BackendRecord? _record;
    private bool _isWritten = true;

    public string? State
    {
        get
        {
            if (!_isWritten)
            {
                (_text, _isWritten) = (_record!.ToJson(), true);
            }

            return _text;
        }
    }

    public (string? Result, string? Error) Apply(string operation, string? input)
    {
        try
        {
            if (operation == "delete")
            {
                (_text, _record, _isWritten) = (null, null, true);
                return default;
            }

            if (input is { Length: > BackendEntity.MostInput })
            {
                return (null, $"{operation}: the input is longer than {BackendEntity.MostInput:N0} characters");
            }

            var before = _record ??= _text is null ? BackendRecord.None : BackendRecord.Parse(_text);
            if (operation == "get")
            {
                return (State, null);
            }

            (_record, var result) = BackendEntity.Change(before, operation, input);
            _isWritten &= ReferenceEquals(_record, before);
            return (result, null);
        }
        catch (Exception exception) when (exception is FormatException or NotSupportedException)
        {
            return (null, operation.Length <= 40 ? $"{operation}: {exception.Message}" : exception.Message);
        }
        catch (Exception exception)
        {
            // An answer that is none loses the whole batch, so that even a fault of this code ends in one.
            return (null, $"{exception.GetType().Name} in {BackendEntity.Name}");
        }
    }
}
