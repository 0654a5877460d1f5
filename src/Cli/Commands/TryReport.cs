using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Roadbalancer.Cli.Api;
using Roadbalancer.Cli.Display;

namespace Roadbalancer.Cli.Commands;

/// <summary>Shows requests as they end, then how they spread over the backends.</summary>
/// <param name="session">Where to.</param>
/// <param name="isSingle">One request: the answer itself is shown.</param>
internal sealed class TryReport(Session session, bool isSingle)
{
    private const string Nobody = "(nobody)";

    private readonly List<TrialResult> _results = [];

    private bool ShowsAnswer => isSingle && !session.IsJson;

    /// <summary>A piece of an answer.</summary>
    public void Hear(string piece)
    {
        if (ShowsAnswer)
        {
            session.Terminal.WriteRaw(Words.Clean(piece, keepsLines: true));
        }
    }

    /// <summary>Request <paramref name="number"/> has ended.</summary>
    public void Add(int number, TrialResult result)
    {
        _results.Add(result);
        if (session.IsJson)
        {
            return;
        }

        if (isSingle)
        {
            ShowSingle(result);
            return;
        }

        if (number == 1)
        {
            WriteRow("#", "BACKEND", "ATTEMPTS", "STATUS", "FIRST", "TIME", "");
        }

        WriteRow(
            number.ToString(CultureInfo.InvariantCulture), result.Backend ?? Words.None, result.Attempts ?? Words.None, result.Status?.ToString(CultureInfo.InvariantCulture) ?? Words.None,
            Words.Duration(result.FirstToken?.TotalSeconds), Words.Duration(result.Time.TotalSeconds), result.Problem ?? "");
    }

    /// <summary>All have ended; returns the exit code.</summary>
    public int Close()
    {
        if (session.IsJson)
        {
            using var json = JsonDocument.Parse(ToJson().ToJsonString());
            session.Terminal.WriteJson(json.RootElement);
        }
        else if (!isSingle && _results.Count > 0)
        {
            session.Terminal.Write("");
            session.Terminal.Write(Spread());
        }

        return _results.Count > 0 && _results.TrueForAll(result => result.Problem is null) ? ExitCode.Done : ExitCode.Failed;
    }

    private void ShowSingle(TrialResult result)
    {
        if (result.Answer.Length > 0)
        {
            session.Terminal.Write("");
        }

        if (result.Problem is { } problem)
        {
            session.Terminal.Fail(problem);
        }

        if (result.Status is not null)
        {
            session.Terminal.Write("");
            session.Terminal.Write(Grid.Facts()
                .Add("backend", result.Backend)
                .Add("attempts", result.Attempts)
                .Add("way", result.Way)
                .Add("status", result.Status?.ToString(CultureInfo.InvariantCulture))
                .Add("first token", Words.Duration(result.FirstToken?.TotalSeconds))
                .Add("time", Words.Duration(result.Time.TotalSeconds))
                .Add("request id", result.RequestId));
        }
    }

    /// <summary>Rows come one by one, so that their widths are fixed beforehand.</summary>
    private void WriteRow(string number, string backend, string attempts, string status, string first, string time, string problem)
    {
        var line = session.Terminal.IsTerminal ? $"{number,5}  {backend,-20} {attempts,8} {status,7} {first,8} {time,8}  {problem}"
            : string.Join('\t', number, backend, attempts, status, first, time, problem);
        session.Terminal.WriteRaw(Words.Clean(line.TrimEnd(), keepsLines: true) + Environment.NewLine);
    }

    private Grid Spread()
    {
        var grid = new Grid("BACKEND", Column.Number("ANSWERS"), Column.Number("SHARE"), Column.Number("FAILED"), Column.Number("FIRST"), Column.Number("MEAN"), Column.Number("LONGEST"));
        foreach (var backend in ByBackend())
        {
            var failed = backend.Count(result => result.Problem is not null);
            var first = backend.Where(result => result.FirstToken is not null).Select(result => result.FirstToken!.Value.TotalSeconds).ToList();
            grid.Add(
                backend.Key, Words.Count(backend.Count()), Words.Ratio((double)backend.Count() / _results.Count),
                new Cell(Words.Count(failed), failed > 0 ? Tone.Bad : Tone.Plain), Words.Duration(first.Count == 0 ? null : first.Average()),
                Words.Duration(backend.Average(result => result.Time.TotalSeconds)), Words.Duration(backend.Max(result => result.Time.TotalSeconds)));
        }

        return grid;
    }

    private IEnumerable<IGrouping<string, TrialResult>> ByBackend() =>
        _results.GroupBy(result => result.Backend ?? Nobody, StringComparer.Ordinal).OrderBy(group => group.Key, StringComparer.Ordinal);

    private JsonObject ToJson() => new()
    {
        ["requests"] = new JsonArray([.. _results.Select(result => new JsonObject
        {
            ["backend"] = result.Backend,
            ["attempts"] = int.TryParse(result.Attempts, CultureInfo.InvariantCulture, out var attempts) ? attempts : null,
            ["way"] = result.Way,
            ["status"] = result.Status,
            ["time"] = Math.Round(result.Time.TotalSeconds, 4),
            ["time_to_first_token"] = result.FirstToken is { } first ? Math.Round(first.TotalSeconds, 4) : null,
            ["request_id"] = result.RequestId,
            ["answer"] = result.Answer,
            ["error"] = result.Problem,
        })]),
        ["backends"] = new JsonArray([.. ByBackend().Select(backend => new JsonObject
        {
            ["name"] = backend.Key == Nobody ? null : backend.Key,
            ["answers"] = backend.Count(),
            ["failed"] = backend.Count(result => result.Problem is not null),
            ["share"] = Math.Round((double)backend.Count() / _results.Count, 4),
        })]),
    };
}
