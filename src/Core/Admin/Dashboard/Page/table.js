// One row a backend: how it is, what it gets, how fast it answers.

import { byId, el, keyed, setAttribute, setText } from "./dom.js";
import { count, duration, percent, perSecond } from "./format.js";
import { slotOf } from "./series.js";
import { conditionOf, requestRate, store } from "./store.js";

const FEW = 12;

export const CONDITIONS = {
  healthy: ["●", "well"], draining: ["↓", "draining"], trial: ["◐", "on trial"], parked: ["=", "parked"],
  unhealthy: ["✕", "out"], misconfigured: ["!", "key refused"], disabled: ["○", "off"],
};

/** Column: heading, what it is sorted by (null: not), how a cell is filled. */
const COLUMNS = [
  ["Backend", one => one.name],
  ["Condition", one => Object.keys(CONDITIONS).indexOf(conditionOf(one))],
  ["Traffic", one => -requestRate(one.name)],
  ["In flight", one => -one.active_connections],
  ["Succeeded", one => one.recent.success_rate ?? 2],
  ["First token, p50 p95", one => -one.recent.time_to_first_token.p95],
  ["Whole answer, p50 p95", one => -one.recent.percentiles.p95],
  ["Tokens out", one => -one.recent.output_tokens],
  ["Weight", one => -one.weight],
];

let sorted = null;
let descending = false;
let showAll = false;
let manage;

export function makeTable({ onManage, onAdd }) {
  manage = onManage;
  const body = el("tbody");
  const filter = el("input", { type: "search", id: "filter", placeholder: "Filter by name or condition", "aria-label": "Filter the backends by name or condition", autocomplete: "off", spellcheck: "false", oninput: showTable });
  byId("backends").append(
    el("div.card-head", {}, el("h2", { id: "backends-title" }, "Backends"), el("p.note", { id: "backends-note", role: "status" }), filter,
      el("button.primary", { type: "button", id: "add-button", onclick: onAdd }, "Add backend")),
    el("table.backends", {}, el("caption.hidden", {}, "Backends: traffic of the last five seconds; successes, times (p50 and p95) and tokens of the last minute"),
      el("thead", {}, el("tr", {}, COLUMNS.map(([heading], index) =>
        el("th", { scope: "col" }, el("button.sort", { type: "button", onclick: () => sortBy(index) }, heading))), el("th", { scope: "col" }, el("span.hidden", {}, "Manage")))),
      body),
    el("p.more", {}, el("button.quiet", { type: "button", id: "all-button", hidden: true, onclick: () => { showAll = !showAll; showTable(); } })));
}

function sortBy(index) {
  [sorted, descending] = sorted === index ? (descending ? [null, false] : [index, true]) : [index, false];
  byId("backends").querySelectorAll("thead th").forEach((cell, at) => {
    if (at === sorted) {
      cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
    } else {
      cell.removeAttribute("aria-sort");
    }
  });
  showTable();
}

/** In the pool's order unless sorted; where there are many, those that need a look come first. */
function ordered(backends) {
  const list = [...backends];
  if (sorted !== null) {
    const by = COLUMNS[sorted][1];
    const order = (one, other) => (by(one) < by(other) ? -1 : by(one) > by(other) ? 1 : 0) * (descending ? -1 : 1);
    return list.sort(order);
  }

  const calm = one => ["healthy", "disabled"].includes(one.status) ? 1 : 0;
  return list.length > FEW ? list.sort((one, other) => calm(one) - calm(other)) : list;
}

export function showTable() {
  if (!store.status) {
    return;
  }

  const { backends } = store.status;
  const wanted = byId("filter").value.trim().toLowerCase();
  const found = ordered(backends).filter(one => `${one.name} ${CONDITIONS[conditionOf(one)]?.[1] ?? ""} ${one.status}`.toLowerCase().includes(wanted));
  const shown = showAll || wanted ? found : found.slice(0, FEW);
  const most = Math.max(1e-9, ...backends.map(one => requestRate(one.name)));
  byId("filter").hidden = backends.length <= 5;
  setText(byId("backends-note"), wanted ? `${found.length} of ${backends.length}` : `${backends.length}`);
  const all = byId("all-button");
  all.hidden = wanted !== "" || found.length <= FEW;
  setText(all, showAll ? `Show the first ${FEW} only` : `Show all ${found.length}`);
  const table = byId("backends").querySelector("table");
  table.classList.toggle("dense", shown.length > 8);
  keyed(table.tBodies[0], shown, one => one.name, makeRow, (row, one) => fillRow(row, one, most));
}

function makeRow({ name }) {
  const cell = (label, ...content) => el("td", { "data-label": label }, ...content);
  const two = () => [el("span.number"), el("span.number.second")];
  return el("tr", { "data-backend": name },
    el("th", { scope: "row" }, el("span.swatch"), el("span.name", { title: name }, name)),
    cell("Condition", el("span.condition", {}, el("span", { "aria-hidden": "true" }), el("span"))),
    cell("Traffic", el("span.number"), el("span.bar", { "aria-hidden": "true" }, el("i"))),
    cell("In flight", ...two(), el("span.bar", { "aria-hidden": "true" }, el("i"))),
    cell("Succeeded", el("span.number"), el("span.number.second")),
    cell("First token, p50 p95", ...two()),
    cell("Whole answer, p50 p95", ...two()),
    cell("Tokens out", el("span.number")),
    cell("Weight", el("span.number")),
    el("td.do", {}, el("button", { type: "button", "aria-label": `Manage ${name}`, onclick: () => manage(name) }, "Manage")));
}

function fillRow(row, one, most) {
  const [head, condition, traffic, flight, success, first, whole, tokens, weight] = row.children;
  const state = conditionOf(one);
  const { recent } = one;
  setAttribute(head.firstChild, "class", `swatch slot${slotOf(one.name)}`);
  setAttribute(condition.firstChild, "data-condition", state);
  setText(condition.firstChild.firstChild, CONDITIONS[state]?.[0] ?? "?");
  setText(condition.firstChild.lastChild, words(one, state));
  setAttribute(condition, "title", one.last_error ? `Last error: ${one.last_error}` : "No error yet");
  const rate = requestRate(one.name);
  setText(traffic.children[0], perSecond(rate));
  traffic.querySelector("i").style.width = `${rate / most * 100}%`;
  setText(flight.children[0], count(one.active_connections));
  setText(flight.children[1], `of ${count(one.max_connections)}`);
  flight.querySelector("i").style.width = `${Math.min(100, one.active_connections / one.max_connections * 100)}%`;
  setText(success.children[0], percent(recent.success_rate));
  setText(success.children[1], recent.failed_requests > 0 ? `${count(recent.failed_requests)} failed` : "");
  success.classList.toggle("bad", recent.success_rate !== null && recent.success_rate < 0.99);
  pair(first, recent.time_to_first_token.count > 0, recent.time_to_first_token);
  pair(whole, recent.successful_requests > 0, recent.percentiles);
  setText(tokens.children[0], perSecond(recent.output_tokens / Math.max(1, recent.seconds)));
  setText(weight.children[0], count(one.weight));
}

function pair(cell, known, { p50, p95 }) {
  setText(cell.children[0], known ? duration(p50) : "–");
  setText(cell.children[1], known ? duration(p95) : "");
}

function words(one, state) {
  const left = state === "parked" ? one.parked_remaining : state === "unhealthy" ? one.cooldown_remaining : 0;
  return `${CONDITIONS[state]?.[1] ?? state}${left > 0 ? `, ${Math.ceil(left)} s` : ""}`;
}
