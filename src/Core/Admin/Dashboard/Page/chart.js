// A chart over time, stacked or in lines, drawn as SVG. Pointer and arrow keys read it.

import { el, setAttribute, setText, svg } from "./dom.js";
import { clock } from "./format.js";

const LEFT = 52;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 22;

/**
 * @param parent where it goes
 * @param options { label, height, stacked, format }
 * @returns update({ times, stepMs, fromMs, toMs, series: [{ name, slot, values }] })
 */
export function chart(parent, { label, height, stacked, format }) {
  const drawing = svg("svg", { "aria-hidden": "true", focusable: "false" });
  const reading = el("div.reading", { hidden: true });
  const spoken = el("p.hidden", { role: "status" });
  const plot = el("div.plot", { tabindex: "0", role: "img", "aria-label": label }, drawing, reading);
  parent.append(plot, spoken);
  let data = null;
  let at = -1;
  let width = 0;

  const xOf = time => LEFT + (time - data.fromMs) / (data.toMs - data.fromMs) * (width - LEFT - RIGHT);

  function draw() {
    width = plot.clientWidth;
    if (!data || width < 80) {
      return;
    }

    const layers = stacked ? stack(data.series) : data.series.map(one => ({ ...one, low: null, high: one.values }));
    const top = ceiling(Math.max(0, ...layers.flatMap(layer => layer.high.filter(value => value !== null))));
    const yOf = value => TOP + (1 - value / top.max) * (height - TOP - BOTTOM);
    setAttribute(drawing, "width", width);
    setAttribute(drawing, "height", height);
    const parts = [];
    for (let value = 0; value <= top.max * 1.0001; value += top.step) {
      parts.push(svg("line.grid", { x1: LEFT, x2: width - RIGHT, y1: yOf(value), y2: yOf(value) }),
        svg("text.tick", { x: LEFT - 8, y: yOf(value) + 4, "text-anchor": "end" }, tick(format(value))));
    }

    for (const time of timeTicks(data.fromMs, data.toMs, width)) {
      parts.push(svg("text.tick", { x: xOf(time), y: height - 6, "text-anchor": "middle" }, clock(time, data.toMs - data.fromMs)));
    }

    for (const layer of layers) {
      parts.push(...pieces(layer.high).flatMap(piece => shape(layer, piece, yOf)));
    }

    if (at >= 0 && at < data.times.length) {
      const x = xOf(endOf(at));
      parts.push(svg("line.cursor", { x1: x, x2: x, y1: TOP, y2: height - BOTTOM }));
    }

    drawing.replaceChildren(...parts);
  }

  /** A value stands for its step, and is drawn at the end of it. */
  const endOf = index => Math.min(data.toMs, Math.max(data.fromMs, data.times[index] + data.stepMs));

  function shape(layer, [from, to], yOf) {
    const indexes = Array.from({ length: to - from }, (_, index) => from + index);
    const upper = indexes.map(index => `${xOf(endOf(index)).toFixed(1)},${yOf(layer.high[index]).toFixed(1)}`);
    if (to - from === 1) {
      const [x, y] = upper[0].split(",").map(Number);
      return [svg(`circle.dot.slot${layer.slot}`, { cx: x, cy: y, r: 2 })];
    }

    if (!layer.low) {
      return [svg(`path.line.slot${layer.slot}`, { d: `M${upper.join("L")}` })];
    }

    const lower = indexes.toReversed().map(index => `${xOf(endOf(index)).toFixed(1)},${yOf(layer.low[index]).toFixed(1)}`);
    return [svg(`path.area.slot${layer.slot}`, { d: `M${upper.join("L")}L${lower.join("L")}Z` }), svg(`path.edge.slot${layer.slot}`, { d: `M${upper.join("L")}` })];
  }

  function read(index, speak) {
    at = Math.max(0, Math.min(data.times.length - 1, index));
    const rows = data.series.map(one => [one, one.values[at]]).filter(([, value]) => value !== null && value !== undefined);
    const sorted = stacked ? rows.toReversed() : rows.toSorted(([, one], [, other]) => other - one);
    const moment = clock(endOf(at), Math.min(data.toMs - data.fromMs, 180_000 * (data.stepMs < 60_000 ? 1 : 1e9)));
    reading.replaceChildren(el("p", {}, moment), ...sorted.map(([one, value]) =>
      el("p", {}, el(`span.swatch.slot${one.slot}`), el("span.name", {}, one.name), el("span.number", {}, format(value)))));
    if (sorted.length === 0) {
      reading.append(el("p", {}, "Nothing known"));
    }

    reading.hidden = false;
    const x = xOf(endOf(at));
    reading.style.left = `${x > width / 2 ? Math.max(0, x - reading.offsetWidth - 12) : x + 12}px`;
    if (speak) {
      setText(spoken, `${moment}: ${sorted.map(([one, value]) => `${one.name} ${format(value)}`).join(", ") || "nothing known"}`);
    }

    draw();
  }

  function leave() {
    at = -1;
    reading.hidden = true;
    draw();
  }

  plot.addEventListener("pointermove", event => {
    if (data?.times.length > 0) {
      const time = data.fromMs + (event.clientX - plot.getBoundingClientRect().left - LEFT) / (width - LEFT - RIGHT) * (data.toMs - data.fromMs);
      read(Math.round((time - data.times[0]) / data.stepMs - 1), false);
    }
  });
  plot.addEventListener("pointerleave", leave);
  plot.addEventListener("blur", leave);
  plot.addEventListener("keydown", event => {
    const last = (data?.times.length ?? 0) - 1;
    const move = { ArrowLeft: (at < 0 ? last + 1 : at) - 1, ArrowRight: (at < 0 ? last - 1 : at) + 1, Home: 0, End: last }[event.key];
    if (move !== undefined && last >= 0) {
      event.preventDefault();
      read(move, true);
    } else if (event.key === "Escape") {
      leave();
    }
  });
  plot.style.height = `${height}px`;
  new ResizeObserver(draw).observe(plot);
  return (next, description) => {
    // The cursor stays at its moment while time goes on under it.
    at = at >= 0 && data ? Math.round((data.times[at] - next.times[0]) / next.stepMs) : -1;
    data = next;
    setAttribute(plot, "aria-label", `${label}. ${description} Arrow keys read it moment by moment.`);
    draw();
  };
}

/** 2.50 s → 2.5 s; 0 ms → 0. */
const tick = text => /^0(\D|$)/.test(text) && !text.startsWith("0.") ? "0" : text.replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "");

function stack(series) {
  const ground = [];
  return series.map(one => {
    const low = one.values.map((value, index) => ground[index] ?? 0);
    const high = one.values.map((value, index) => value === null ? null : low[index] + value);
    high.forEach((value, index) => { ground[index] = value ?? ground[index]; });
    return { ...one, low, high };
  });
}

/** Runs of values that are known: [from, to) each. */
function pieces(values) {
  const found = [];
  let from = -1;
  for (let index = 0; index <= values.length; index++) {
    const known = index < values.length && values[index] !== null;
    if (known && from < 0) {
      from = index;
    } else if (!known && from >= 0) {
      found.push([from, index]);
      from = -1;
    }
  }

  return found;
}

/** A round number above, and a round step to it. */
function ceiling(value) {
  if (value <= 0) {
    return { max: 1, step: 1 };
  }

  const rough = value / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map(factor => factor * power).find(candidate => candidate >= rough);
  return { max: Math.ceil(value / step - 1e-9) * step, step };
}

function timeTicks(from, to, width) {
  const most = Math.max(2, Math.floor((width - LEFT - RIGHT) / 90));
  const step = [10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 1800e3, 3600e3, 7200e3, 14400e3, 21600e3, 43200e3, 86400e3, 172800e3].find(one => (to - from) / one <= most) ?? 604800e3;
  const zone = new Date(to).getTimezoneOffset() * 60_000;
  const ticks = [];
  for (let time = Math.ceil((from - zone) / step) * step + zone; time <= to; time += step) {
    // Labels at the very edges would be cut.
    const share = (time - from) / (to - from);
    if (share > 0.02 && share < 0.97) {
      ticks.push(time);
    }
  }

  return ticks;
}
