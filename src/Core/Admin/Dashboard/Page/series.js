// Samples and history made into series that a chart can draw.

import { call } from "./api.js";
import { FIELDS, store } from "./store.js";

/** How many backends get a colour of their own; the rest is drawn as one. */
const COLOURED = 7;

export const RANGES = {
  "5m": { label: "5 min", spanMs: 300_000, stepMs: 5_000 },
  "30m": { label: "30 min", spanMs: 1_800_000, stepMs: 20_000 },
  "24h": { label: "24 h", spanMs: 86_400_000, stepMs: 1_800_000 },
  "7d": { label: "7 days", spanMs: 604_800_000, stepMs: 10_800_000 },
};

const slots = new Map();

/** The busiest backends, each with a colour that it keeps while it is among them: [{ name, slot }], in the pool's order. */
export function leaders(totals) {
  const order = [...totals.keys()];

  // Who is among them stays until another has clearly more: colours that come and go tell nothing.
  const rank = name => totals.get(name) * (slots.has(name) ? 1.3 : 1);
  const top = new Set(order.toSorted((one, other) => rank(other) - rank(one)).slice(0, COLOURED));
  for (const name of slots.keys()) {
    if (!top.has(name)) {
      slots.delete(name);
    }
  }

  for (const name of order.filter(one => top.has(one) && !slots.has(one))) {
    const taken = new Set(slots.values());
    slots.set(name, [...Array(COLOURED).keys()].find(slot => !taken.has(slot)));
  }

  return order.filter(name => top.has(name)).map(name => ({ name, slot: slots.get(name) }));
}

export const slotOf = name => slots.get(name) ?? COLOURED;

/** Requests of each backend that is there now, over the samples kept. */
export function trafficTotals() {
  const totals = new Map((store.status?.backends ?? []).map(one => [one.name, one.recent.total_requests * 1e-6]));
  for (const { names, values } of store.samples) {
    names.forEach((name, index) => totals.has(name) && totals.set(name, totals.get(name) + values[index * FIELDS.length]));
  }

  return totals;
}

/**
 * One field of every backend in steps of the range: { times, stepMs, byName: Map name → (number | null)[] }.
 * Rates are averages over a step; percentiles, which look back a minute anyway, the last in it.
 */
export function sampled(range, field, nowMs) {
  const { spanMs, stepMs } = RANGES[range];
  const first = store.samples[0]?.time ?? nowMs;
  const from = Math.max(nowMs - spanMs, Math.min(first, nowMs - 30_000));
  const step = from > nowMs - 90_000 ? Math.min(stepMs, 2_000) : stepMs;
  const begin = Math.floor(from / step) * step;
  const length = Math.floor((nowMs - begin) / step);
  const toMs = begin + length * step;
  const times = Array.from({ length: Math.max(0, length) }, (_, index) => begin + index * step);
  const isRate = field === "requests" || field === "failures";
  const offset = FIELDS.indexOf(field);
  const byName = new Map();
  const counts = new Map();
  for (const { time, names, values } of store.samples) {
    const bucket = Math.floor((time - begin) / step);
    if (bucket < 0 || bucket >= times.length) {
      continue;
    }

    names.forEach((name, index) => {
      const value = values[index * FIELDS.length + offset];
      const into = byName.get(name) ?? byName.set(name, Array(times.length).fill(null)).get(name);
      const counted = counts.get(name) ?? counts.set(name, new Uint16Array(times.length)).get(name);
      if (!Number.isNaN(value)) {
        into[bucket] = isRate ? ((into[bucket] ?? 0) * counted[bucket] + value) / (counted[bucket] + 1) : value;
        counted[bucket]++;
      }
    });
  }

  return { times, stepMs: step, fromMs: Math.max(from, begin), toMs, byName };
}

/** The same from GET /history, all fields of it: asked once, then kept for a minute. Hours are kept as sums, so of times there are means. */
export async function remembered(range) {
  const kept = remembered.kept ??= new Map();
  const known = kept.get(range);
  if (known && performance.now() - known.at < 60_000) {
    return known.page;
  }

  const { spanMs, stepMs } = RANGES[range];
  const toMs = Date.now() + store.skewMs;
  const { data } = await call("GET", `history?from=${Math.floor((toMs - spanMs) / 1000)}&to=${Math.ceil(toMs / 1000)}&step=${stepMs / 1000}`);
  const page = { step: data.step * 1000, fromMs: Date.parse(data.from), toMs: Date.parse(data.to), backends: data.backends };
  kept.set(range, { at: performance.now(), page });
  return page;
}

export function fromHistory(page, field) {
  const begin = Math.floor(page.fromMs / page.step) * page.step;
  const times = Array.from({ length: Math.ceil((page.toMs - begin) / page.step) }, (_, index) => begin + index * page.step);
  const [what] = field.split("_");
  const byName = new Map();
  for (const { name, points } of page.backends) {
    const values = Array(times.length).fill(what === "requests" || what === "failures" ? 0 : null);
    for (const point of points) {
      const index = Math.round((Date.parse(point.time) - begin) / page.step);
      const seconds = Math.min(page.step, page.toMs - times[index]) / 1000;
      values[index] = what === "requests" ? point.total_requests / seconds
        : what === "failures" ? point.failed_requests / seconds
        : what === "first" ? (point.time_to_first_token.count > 0 ? point.time_to_first_token.mean : null)
        : point.successful_requests > 0 ? point.average_response_time : null;
    }

    byName.set(name, values);
  }

  return { times, stepMs: page.step, fromMs: page.fromMs, toMs: page.toMs, byName };
}

/** The sum of all that have no colour, as one more series; null when there are none. */
export function others(totals, byName, coloured, length) {
  const rest = [...totals.keys()].filter(name => !coloured.some(one => one.name === name)).map(name => [name, byName.get(name) ?? []]);
  const known = value => value !== null && value !== undefined;
  return rest.length === 0 ? null : {
    name: `${rest.length} other${rest.length === 1 ? "" : "s"}`,
    slot: COLOURED,
    values: Array.from({ length }, (_, index) => !rest.some(([, values]) => known(values[index])) ? null : rest.reduce((sum, [, values]) => sum + (values[index] ?? 0), 0)),
  };
}
