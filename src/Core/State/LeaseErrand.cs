using System.Threading.Tasks.Sources;

namespace Roadbalancer.State;

/// <summary>A request that waits for its place.</summary>
internal sealed class LeaseErrand : Errand, IValueTaskSource<Lease?>
{
    private readonly AcquireRequest _request;
    private SharedView _view;
    private SharedView.Selection _backends;

    // A call brings the answers of many requests: none may keep the others waiting.
    private ManualResetValueTaskSourceCore<Lease?> _answer = new() { RunContinuationsAsynchronously = true };

    /// <param name="request">What it asks.</param>
    /// <param name="id">The lease's number, should it be granted.</param>
    /// <param name="view">The pool as the store was last known to have it.</param>
    public LeaseErrand(in AcquireRequest request, long id, SharedView view)
        : base(request.Pool)
    {
        _request = request;
        Id = id;
        _view = view;
        _backends = view.For(request);
    }

    public long Id { get; }

    public ref readonly AcquireRequest Request => ref _request;

    /// <summary>What the store granted; null until it did, and where no backend can take the request.</summary>
    public Lease? Granted { get; set; }

    /// <summary>False where no backend of the pool can ever take the request.</summary>
    public bool HasBackends => _backends.Indices.Length > 0;

    public override bool IsUrgent => true;

    public ValueTask<Lease?> Answer => new(this, _answer.Version);

    /// <summary>The backends that may serve the request, as <paramref name="view"/> has them.</summary>
    public SharedView.Selection BackendsIn(SharedView view)
    {
        if (_view != view)
        {
            (_view, _backends) = (view, view.For(_request));
        }

        return _backends;
    }

    public override void End(Exception? fault)
    {
        if (fault is null)
        {
            _answer.SetResult(Granted);
        }
        else
        {
            _answer.SetException(fault);
        }
    }

    Lease? IValueTaskSource<Lease?>.GetResult(short token) => _answer.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<Lease?>.GetStatus(short token) => _answer.GetStatus(token);

    void IValueTaskSource<Lease?>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _answer.OnCompleted(continuation, state, token, flags);
}
