using System.Buffers;
using System.Text;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Strategies;

namespace Roadbalancer.Simulation;

/// <summary>The routes of a simulated backend, and the order in which a request's faults strike.</summary>
internal sealed class SimulatedApi(SimulatedBackend profile, TimeProvider time)
{
    private readonly Chance _chance = new(profile.Seed);
    private readonly AnswerSender _sender = new(profile, time);
    private readonly byte[][] _models = [.. profile.Models.Select(Encoding.UTF8.GetBytes)];
    private long _requests;
    private int _inFlight;

    public long RequestCount => Interlocked.Read(ref _requests);

    public int InFlight => Volatile.Read(ref _inFlight);

    private IEnumerable<string> Listed => profile.Models.IsEmpty ? ["simulated-model"] : profile.Models;

    public async Task HandleAsync(HttpContext context)
    {
        var number = Interlocked.Increment(ref _requests);
        Interlocked.Increment(ref _inFlight);
        try
        {
            var written = context.Request.QueryString.HasValue ? context.Request.Query["sim"].ToString() : "";
            var fault = written.Length == 0 ? SimulatedFault.None : SimulatedFault.Parse(written);
            await (HttpMethods.IsGet(context.Request.Method) ? GetAsync(context, fault) : PostAsync(context, number, fault));
        }
        catch (FormatException exception)
        {
            await AnswerSender.ErrorAsync(context, SimulatedError.Of(400, exception.Message, "invalid_request_error", "unknown_fault", "sim"), SimulatedFault.None);
        }
        catch (Exception exception) when (context.RequestAborted.IsCancellationRequested && exception is OperationCanceledException or IOException)
        {
            // The client left, or the simulation is being stopped: nobody is there to be told.
        }
        finally
        {
            Interlocked.Decrement(ref _inFlight);
        }
    }

    private async Task GetAsync(HttpContext context, SimulatedFault fault)
    {
        if (await StrikesFirstAsync(context, fault))
        {
            return;
        }

        const string OneModel = "/v1/models/";
        var path = context.Request.Path.Value ?? "";
        if (path == "/health")
        {
            await _sender.WholeAsync(context, static to => to.Write("{\"status\":\"ok\"}"u8), 0, AtOnce(fault));
        }
        else if (path == "/v1/models")
        {
            await _sender.WholeAsync(context, to => SimulatedLists.PutModels(to, Listed), 0, AtOnce(fault));
        }
        else if (path.StartsWith(OneModel, StringComparison.Ordinal))
        {
            var model = path[OneModel.Length..];
            await (profile.Models.IsEmpty || profile.Models.Contains(model)
                ? _sender.WholeAsync(context, to => SimulatedLists.PutModel(to, model), 0, AtOnce(fault))
                : AnswerSender.ErrorAsync(context, SimulatedError.ModelAbsent, fault));
        }
        else
        {
            await AnswerSender.ErrorAsync(context, SimulatedError.NoSuchRoute, fault);
        }
    }

    /// <summary>Lists of models and health do not wait for a model to think, unless the request says so.</summary>
    private static SimulatedFault AtOnce(SimulatedFault fault) => fault.FirstTokenDelay is null ? fault with { FirstTokenDelay = TimeSpan.Zero } : fault;

    private async Task PostAsync(HttpContext context, long number, SimulatedFault fault)
    {
        if (await ReadAsync(context) is not { } request)
        {
            await AnswerSender.ErrorAsync(context, SimulatedError.BadBody, fault);
            return;
        }

        fault = Roll(Serves(request.Model) ? fault : FromModel(request.Model, fault), request.Stream);
        if (fault.RefusePrefix && request.LastIsAssistant)
        {
            fault = fault with { Error = SimulatedError.PrefixRefused };
        }

        if (!await StrikesFirstAsync(context, fault))
        {
            await AnswerAsync(context, number, request, fault);
        }
    }

    private Task AnswerAsync(HttpContext context, long number, SimulatedRequest request, SimulatedFault fault)
    {
        switch (context.Request.Path.Value)
        {
            case "/v1/chat/completions":
                return SendAsync(context, new ChatForm(AnswerTo(request, number)), fault);
            case "/v1/completions":
                return SendAsync(context, new CompletionForm(AnswerTo(request, number)), fault);
            case "/v1/responses":
                return SendAsync(context, new ResponsesForm(AnswerTo(request, number)), fault);
            case "/v1/embeddings":
                return SimulatedLists.CanEmbed(request)
                    ? _sender.WholeAsync(context, to => SimulatedLists.PutEmbeddings(to, request), 0, fault)
                    : AnswerSender.ErrorAsync(context, SimulatedError.Of(400, "'dimensions' must be 16 to 1536.", "invalid_request_error", null, "dimensions"), fault);
            case "/v1/rerank":
                return _sender.WholeAsync(context, to => SimulatedLists.PutRanking(to, request), 0, fault);
            case "/v1/moderations":
                return _sender.WholeAsync(context, to => SimulatedLists.PutModerations(to, request), 0, fault);
            default:
                return AnswerSender.ErrorAsync(context, SimulatedError.NoSuchRoute, fault);
        }
    }

    private Task SendAsync(HttpContext context, AnswerForm form, SimulatedFault fault) =>
        form.IsStream && fault.Break != AnswerBreak.BadJson
            ? _sender.StreamAsync(context, form, form.Tokens, fault)
            : _sender.WholeAsync(context, form.PutWhole, form.Tokens, fault);

    private Answer AnswerTo(SimulatedRequest request, long number) => new(profile, request, number, time.GetUtcNow().ToUnixTimeSeconds());

    /// <summary>The faults that leave no room for an answer; true when one has struck.</summary>
    private static async Task<bool> StrikesFirstAsync(HttpContext context, SimulatedFault fault)
    {
        if (fault.ResetFirst)
        {
            AnswerSender.Reset(context);
        }
        else if (fault.Silent)
        {
            await AnswerSender.SilenceAsync(context);
        }
        else if (fault.Error is { } error)
        {
            await AnswerSender.ErrorAsync(context, error, fault);
        }
        else
        {
            return false;
        }

        return true;
    }

    /// <summary>What a model's name that is not served means: a fault, unless the query has named one, or that the model is absent.</summary>
    private static SimulatedFault FromModel(byte[] model, SimulatedFault fromQuery)
    {
        if (!SimulatedFault.IsOne(model))
        {
            return fromQuery with { Error = fromQuery.Error ?? SimulatedError.ModelAbsent };
        }

        return ReferenceEquals(fromQuery, SimulatedFault.None) ? SimulatedFault.Parse(Encoding.UTF8.GetString(model)) : fromQuery;
    }

    /// <summary>Decides whether this request is one of those that fail by chance, and how.</summary>
    private SimulatedFault Roll(SimulatedFault fault, bool isStream)
    {
        var ratio = fault.FailureRatio ?? profile.FailureRatio;
        if (ratio <= 0 || _chance.NextDouble() >= ratio)
        {
            return fault;
        }

        return isStream && _chance.NextDouble() < 0.5
            ? fault with { Break = AnswerBreak.Reset, BreakAfter = null }
            : fault with { Error = SimulatedError.For(500) };
    }

    private bool Serves(ReadOnlySpan<byte> model)
    {
        if (_models.Length == 0)
        {
            return !SimulatedFault.IsOne(model);
        }

        foreach (var served in _models)
        {
            if (model.SequenceEqual(served))
            {
                return true;
            }
        }

        return false;
    }

    private static async ValueTask<SimulatedRequest?> ReadAsync(HttpContext context)
    {
        var reader = context.Request.BodyReader;
        while (true)
        {
            var result = await reader.ReadAsync(context.RequestAborted);
            if (!result.IsCompleted)
            {
                reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
                continue;
            }

            var request = SimulatedRequest.Read(result.Buffer.IsSingleSegment ? result.Buffer.FirstSpan : result.Buffer.ToArray());
            reader.AdvanceTo(result.Buffer.End);
            return request;
        }
    }
}
