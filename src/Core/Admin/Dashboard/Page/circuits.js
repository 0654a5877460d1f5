// Each backend's condition over time, as bands.

import { byId, el, keyed, setAttribute, setText, svg } from "./dom.js";
import { ago, clock, duration } from "./format.js";
import { bandsOf, conditionOf, now, store } from "./store.js";
import { CONDITIONS } from "./table.js";

const SPAN_MS = 1_800_000;
const SHORTEST_MS = 120_000;
const HEIGHT = 18;

export function makeCircuits() {
  const key = Object.entries(CONDITIONS).map(([condition, [, word]]) => el("li", {}, el(`span.swatch.band-${condition}`), el("span.name", {}, word)));
  byId("circuits").append(
    el("div.card-head", {}, el("h2", { id: "circuits-title" }, "Conditions over time"), el("p.note")),
    el("ul.legend", { "aria-label": "Colours" }, key),
    el("div.bands", { role: "list", "aria-label": "Conditions by backend" }), el("p.quiet-note", { id: "calm" }));
}

export function showCircuits() {
  const toMs = now();
  const first = Math.min(store.samples[0]?.time ?? toMs, store.events.at(-1)?.time ?? toMs);
  const fromMs = Math.max(toMs - SPAN_MS, Math.min(first, toMs - SHORTEST_MS));
  const names = store.status.backends.map(one => one.name);
  const eventful = names.filter(name => visible(name, fromMs, toMs).some(band => band.condition !== "healthy"));
  const shown = names.length <= 8 ? names : eventful.slice(0, 20);
  const section = byId("circuits");
  setText(section.querySelector(".card-head .note"), `${clock(fromMs, 180_001)} to ${clock(toMs, 180_001)}`);
  setText(byId("calm"), shown.length === names.length ? "" : shown.length === 0 ? `All ${names.length} were well all along.`
    : eventful.length > shown.length ? `${eventful.length - shown.length} more had something to tell; the others were well all along.` : `The ${names.length - shown.length} others were well all along.`);
  keyed(section.querySelector(".bands"), shown, name => name,
    name => el("div.band", { role: "listitem" }, el("span.name", { title: name }, name), svg("svg", { role: "img", height: HEIGHT, preserveAspectRatio: "none", viewBox: `0 0 1000 ${HEIGHT}` })),
    (row, name) => draw(row.lastChild, name, fromMs, toMs));
}

/** Bands within the time, each with its end. */
function visible(name, fromMs, toMs) {
  const bands = bandsOf(name);
  return bands.map((band, index) => ({ ...band, to: bands[index + 1]?.from ?? toMs })).filter(band => band.to > fromMs);
}

function draw(drawing, name, fromMs, toMs) {
  const bands = visible(name, fromMs, toMs);
  const xOf = time => Math.max(0, (time - fromMs) / (toMs - fromMs) * 1000);
  keyed(drawing, bands, band => band.from, band => svg(`rect.band-${band.condition}`, { y: 0, height: HEIGHT }, svg("title")), (rect, band) => {
    const x = xOf(band.from);
    setAttribute(rect, "x", x.toFixed(1));
    setAttribute(rect, "width", Math.max(2, xOf(band.to) - x).toFixed(1));
    setText(rect.firstChild, `${CONDITIONS[band.condition]?.[1] ?? band.condition} for ${duration((band.to - band.from) / 1000)}, since ${clock(band.from, 1)}`);
  });
  const ill = bands.filter(band => band.condition !== "healthy");
  const metrics = store.status.backends.find(one => one.name === name);
  setAttribute(drawing, "aria-label", `${name}: now ${CONDITIONS[conditionOf(metrics)]?.[1] ?? metrics.status}${ill.length === 0 ? ", well all along"
    : `; ${ill.slice(-3).map(band => `${CONDITIONS[band.condition]?.[1] ?? band.condition} ${ago(band.from, toMs)} for ${duration((band.to - band.from) / 1000)}`).join("; ")}`}`);
}
