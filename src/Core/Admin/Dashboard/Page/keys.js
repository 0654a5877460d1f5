// Client keys: who uses how much, and how much of it the limits allow.

import { call } from "./api.js";
import { byId, el, keyed, setAttribute, setText } from "./dom.js";
import { absolute, count, plural, short } from "./format.js";
import { now, store } from "./store.js";

const FEW = 8;
const EVERY_MS = 5_000;
const WINDOW_MS = 60_000;
const DAY_MS = 86_400_000;

const COLUMNS = ["Key", "Requests", "Refused", "Tokens in", "Tokens out", "Limits, and the last minute", "Expires"];

let known = null;
let samples = [];
let reading = false;
let showAll = false;

export function makeKeys() {
  // Narrow screens lay rows out as cards; the roles keep it a table for those who hear it.
  byId("keys").append(
    el("div.card-head", {}, el("h2", { id: "keys-title" }, "Client keys"), el("p.note", { id: "keys-note" })),
    el("table.keys", { role: "table" }, el("caption.hidden", {}, "Client keys: requests, refusals and tokens counted in all; limits with what was used of them in the last minute; expiry"),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, COLUMNS.map((heading, index) =>
        el(index > 0 && index < 5 ? "th.right" : "th", { scope: "col", role: "columnheader" }, heading)))),
      el("tbody", { role: "rowgroup" })),
    el("div.quiet-note", { id: "no-keys" },
      el("p", {}, "No client keys: whoever reaches this balancer may send requests. The first key closes it to all others; make one with"),
      el("p", {}, el("code", {}, "roadbalancer keys add NAME --requests-per-minute 60"), " or ", el("code", {}, "POST /api/v1/load_balancer/keys"), ".")),
    el("p.more", {}, el("button.quiet", { type: "button", id: "keys-button", hidden: true, onclick: () => { showAll = !showAll; showKeys(); } })));
  setInterval(() => store.link === "live" && !document.hidden && readKeys(), EVERY_MS);
}

/** Asks for the keys and shows them; what cannot be read now is read the next time. */
export async function readKeys() {
  if (reading) {
    return;
  }

  reading = true;
  try {
    known = (await call("GET", "keys")).data;
    const at = performance.now();
    samples = samples.filter(sample => sample.at >= at - WINDOW_MS - EVERY_MS);
    samples.push({ at, usage: new Map(known.keys.map(one => [one.name, one.usage])) });
    showKeys();
  } catch {
    // A refusal or a lost connection is told by the stream of events.
  } finally {
    reading = false;
  }
}

/** What a key was used for in the last minute, as far as this page has seen it; null while that is unknown. */
function recentOf({ name, usage }) {
  const before = samples.length > 1 ? samples[0].usage.get(name) ?? { requests: 0, refusals: 0, input_tokens: 0, output_tokens: 0 } : null;
  return before === null || before.requests > usage.requests ? null : {
    requests: usage.requests - before.requests,
    refusals: Math.max(0, usage.refusals - before.refusals),
    tokens: Math.max(0, usage.input_tokens + usage.output_tokens - before.input_tokens - before.output_tokens),
  };
}

/** Each limit: what it says, and how much of it is used where that is known. */
function limitsOf(one, recent) {
  const used = (what, limit, unit) => ({ text: `${recent ? `${short(recent[what])} of ` : ""}${short(limit)} ${unit} a minute`, share: recent ? recent[what] / limit : null });
  const list = [
    one.requests_per_minute === null ? null : used("requests", one.requests_per_minute, "requests"),
    one.tokens_per_minute === null ? null : used("tokens", one.tokens_per_minute, "tokens"),
    one.max_concurrency === null ? null : { text: `${count(one.max_concurrency)} at the same time` },
    !one.models?.length ? null : { text: `models ${one.models.join(", ")}` },
    !one.tags?.length ? null : { text: `backends tagged ${one.tags.join(", ")}` },
  ].filter(Boolean);
  return list.length > 0 ? list : [{ text: "none" }];
}

function expiryOf({ expires, expired }) {
  const left = expires === null ? Infinity : Date.parse(expires) - now();
  const date = expires?.slice(0, 10);
  return expired || left <= 0 ? ["bad", "expired", `on ${date}`]
    : left === Infinity ? ["", "never", ""]
    : [left < 7 * DAY_MS ? "warn" : "", date, left < DAY_MS ? "in less than a day" : `in ${plural(Math.floor(left / DAY_MS), "day")}`];
}

export function showKeys() {
  const section = byId("keys");
  section.hidden = known === null;
  if (known === null) {
    return;
  }

  // Those who were refused lately first, then the busiest.
  const rows = known.keys.map(one => ({ ...one, recent: recentOf(one) })).sort((one, other) => (other.recent?.refusals ?? 0) - (one.recent?.refusals ?? 0)
    || (other.recent?.requests ?? 0) - (one.recent?.requests ?? 0) || other.usage.requests - one.usage.requests);
  const table = section.querySelector("table");
  table.hidden = rows.length === 0;
  byId("no-keys").hidden = rows.length > 0;
  setText(byId("keys-note"), `${rows.length === 0 ? "none" : count(rows.length)}${known.removed.length > 0 ? `; removed here: ${known.removed.join(", ")}` : ""}`);
  const button = byId("keys-button");
  button.hidden = rows.length <= FEW;
  setText(button, showAll ? `Show the first ${FEW} only` : `Show all ${rows.length}`);
  keyed(table.tBodies[0], showAll ? rows : rows.slice(0, FEW), one => one.name, makeRow, fillRow);
}

function makeRow({ name }) {
  const cell = (label, what, ...content) => el(what, { "data-label": label, role: "cell" }, ...content);
  return el("tr", { role: "row", "data-key": name },
    el("th", { scope: "row", role: "rowheader" }, el("span.name", { title: name }, name), el("span.condition", { "data-condition": "parked", hidden: true }, "refused lately")),
    COLUMNS.slice(1, 5).map(label => cell(label, "td.number")),
    cell(COLUMNS[5], "td.limits", el("ul")), cell(COLUMNS[6], "td.expiry", el("span"), el("span.second")));
}

function fillRow(row, one) {
  const [head, requests, refused, input, output, limits, expiry] = row.children;
  head.lastChild.hidden = !(one.recent?.refusals > 0);
  setText(requests, count(one.usage.requests));
  setText(refused, count(one.usage.refusals));
  setText(input, short(one.usage.input_tokens));
  setText(output, short(one.usage.output_tokens));
  const list = limitsOf(one, one.recent);
  keyed(limits.firstChild, list, ({ text }) => text.replace(/^.* of /, ""), () => el("li", {}, el("span"), el("span.bar", { "aria-hidden": "true" }, el("i"))), (item, { text, share }) => {
    setText(item.firstChild, text);
    item.lastChild.hidden = share === null || share === undefined;
    item.lastChild.classList.toggle("full", share >= 1);
    item.lastChild.firstChild.style.width = `${Math.min(100, (share ?? 0) * 100)}%`;
  });
  const [level, text, more] = expiryOf(one);
  setAttribute(expiry, "data-level", level);
  setAttribute(expiry, "title", one.expires ? absolute(Date.parse(one.expires)) : "");
  setText(expiry.children[0], text);
  setText(expiry.children[1], more);
}
