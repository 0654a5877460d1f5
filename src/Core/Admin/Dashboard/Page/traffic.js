// Who gets how much over time, and how fast the answers are.

import { chart } from "./chart.js";
import { byId, choice, el, keyed, setText } from "./dom.js";
import { duration, perSecond } from "./format.js";
import { RANGES, fromHistory, leaders, others, remembered, sampled, slotOf, trafficTotals } from "./series.js";
import { now, store } from "./store.js";

let range = "5m";
let percentile = "p95";
let failed = "";
const draws = {};

export function makeCharts() {
  const legend = el("ul.legend", { "aria-label": "Backends" });
  const note = el("p.note", { role: "status" });
  byId("traffic").append(
    el("div.card-head", {}, el("h2", { id: "traffic-title" }, "Traffic by backend"),
      choice("Time shown", "range", Object.entries(RANGES).map(([key, { label }]) => [key, label]), range, chosen => {
        range = chosen;
        failed = "";
        showCharts();
      })), legend, note);
  draws.traffic = chart(byId("traffic"), { label: "Attempts per second by backend, stacked", height: 230, stacked: true, format: value => perSecond(value) });
  for (const [id, title, label] of [["first-token", "Time to first token", "Time to first token by backend"], ["response", "Time to the whole answer", "Time to the whole answer by backend"]]) {
    byId(id).append(el("div.card-head", {}, el("h2", { id: `${id}-title` }, title),
      choice(`Percentile, ${title}`, `percentile-${id}`, ["p50", "p95", "p99"].map(one => [one, one]), percentile, choosePercentile)));
    draws[id] = chart(byId(id), { label, height: 190, stacked: false, format: duration });
  }
}

function choosePercentile(chosen) {
  percentile = chosen;
  for (const input of document.querySelectorAll("input[name^=percentile-]")) {
    input.checked = input.value === chosen;
  }

  showCharts();
}

export async function showCharts() {
  const isLive = range === "5m" || range === "30m";
  if (!store.status) {
    return;
  }

  if (isLive) {
    show(field => sampled(range, field, Date.parse(store.status.time)), trafficTotals(), percentile);
    return;
  }

  if (failed === range) {
    return;
  }

  const asked = range;
  try {
    const page = await remembered(asked);
    if (asked === range) {
      const totals = new Map(page.backends.map(one => [one.name, one.points.reduce((sum, point) => sum + point.total_requests, 0)]));
      show(field => fromHistory(page, field), totals, "mean");
      setText(note(), "Times of hours and days are means: percentiles are kept for what is live.");
    }
  } catch (error) {
    if (asked === range) {
      // Said once; asked again when the range is chosen again.
      failed = asked;
      setText(note(), error.message);
      const empty = { times: [], stepMs: 1, fromMs: now() - RANGES[asked].spanMs, toMs: now(), series: [] };
      Object.values(draws).forEach(draw => draw(empty, "No history."));
    }
  }
}

const note = () => byId("traffic").querySelector(".note");

function show(read, totals, measure) {
  setText(note(), "");
  const top = leaders(totals);
  const rates = read("requests");
  const rest = others(totals, rates.byName, top, rates.times.length);
  const stacked = [...top.map(one => ({ ...one, values: rates.byName.get(one.name) ?? Array(rates.times.length).fill(null) })), ...(rest ? [rest] : [])];
  showLegend(stacked, totals);
  draws.traffic({ ...rates, series: stacked }, stacked.map(one => `${one.name} ${share(one, totals)}`).join(", ") + ".");
  for (const [id, what] of [["first-token", "first"], ["response", "response"]]) {
    const times = read(`${what}_${percentile}`);
    const series = top.filter(one => times.byName.has(one.name)).map(one => ({ ...one, values: times.byName.get(one.name) }));
    const latest = series.map(one => [one.name, one.values.findLast(value => value !== null)]).filter(([, value]) => value !== undefined);
    draws[id]({ ...times, series }, `${measure}: ${latest.map(([name, value]) => `${name} ${duration(value)}`).join(", ") || "nothing known yet"}.`);
  }
}

function share(one, totals) {
  const all = [...totals.values()].reduce((sum, value) => sum + value, 0);
  const own = totals.get(one.name) ?? [...totals].filter(([name]) => slotOf(name) === one.slot).reduce((sum, [, value]) => sum + value, 0);
  return all < 0.5 ? "" : `${Math.round(own / all * 100)}%`;
}

function showLegend(series, totals) {
  keyed(byId("traffic").querySelector(".legend"), series, one => one.name,
    one => el("li", {}, el("span.swatch"), el("span.name", {}, one.name), el("span.number")),
    (item, one) => {
      item.firstChild.setAttribute("class", `swatch slot${one.slot}`);
      setText(item.lastChild, share(one, totals));
    });
}
