// What happened lately, newest first.

import { byId, el, keyed, setText } from "./dom.js";
import { absolute, ago, duration, words } from "./format.js";
import { now, store } from "./store.js";
import { CONDITIONS } from "./table.js";

const FEW = 8;

const TRANSITIONS = {
  opened: data => ["bad", `was taken out${data.open_for > 0 ? ` for ${duration(data.open_for)}` : ""}: ${data.cause}`],
  trial_failed: data => ["bad", `failed its trial${data.open_for > 0 ? ` and is out for ${duration(data.open_for)}` : ""}: ${data.cause}`],
  closed: () => ["good", "is back"],
  misconfigured: data => ["bad", `refuses its key: ${data.cause}`],
  credentials_accepted: () => ["good", "accepts its key again"],
  parked: data => ["warn", `asked to be left alone${data.parked_for > 0 ? ` for ${duration(data.parked_for)}` : ""}: ${data.cause}`],
  model_absent: data => ["warn", `does not have the model ${data.model ?? "asked for"}`],
  reset: data => ["note", `was given a clean slate by ${data.cause}`],
  status: data => [data.status === "healthy" ? "good" : "note", `is ${CONDITIONS[data.status]?.[1] ?? data.status}; it was ${CONDITIONS[data.cause]?.[1] ?? data.cause}`],
};

const CHANGES = {
  backend_added: "added", backend_changed: "changed", backend_removed: "removed", backend_enabled: "switched on", backend_disabled: "switched off",
  backend_drained: "set draining", backend_restored: "put back as configured", backend_reset: "given a clean slate",
};

let showAll = false;

export function makeEvents() {
  byId("events").append(
    el("div.card-head", {}, el("h2", { id: "events-title" }, "Recent events")),
    el("ol.events"), el("p.quiet-note", { id: "no-events" }, "Nothing happened yet: transitions and changes will be told here."),
    el("p.more", {}, el("button.quiet", { type: "button", id: "events-button", hidden: true, onclick: () => { showAll = !showAll; showEvents(); } })));
}

export function showEvents() {
  const shown = showAll ? store.events : store.events.slice(0, FEW);
  const nowMs = now();
  byId("no-events").hidden = shown.length > 0;
  const button = byId("events-button");
  button.hidden = store.events.length <= FEW;
  setText(button, showAll ? `Show the last ${FEW} only` : `Show all ${store.events.length}`);
  keyed(byId("events").querySelector("ol"), shown, one => one, make, (item, one) => setText(item.querySelector("time"), ago(one.time, nowMs)));
}

function make({ type, time, data }) {
  const [level, subject, text] = type === "transition" ? transition(data) : change(data);
  return el("li", { "data-level": level }, el("span.mark", { "aria-hidden": "true" }, { good: "✓", bad: "✕", warn: "!", note: "·" }[level]),
    el("p", {}, subject ? el("strong", {}, subject) : null, ` ${text}`),
    el("time", { datetime: data.time, title: absolute(time) }));
}

function transition(data) {
  const [level, text] = (TRANSITIONS[data.kind] ?? (() => ["note", words(data.kind)]))(data);
  return [level, data.backend, text];
}

function change(data) {
  const facts = [...data.backends.flatMap(one => differences(one.before, one.after)), ...differences(data.settings.before, data.settings.after)];
  const told = facts.length > 0 ? `: ${facts.slice(0, 4).join(", ")}${facts.length > 4 ? ", …" : ""}` : "";
  const by = data.by === "configuration" ? "by a new configuration" : `by ${data.by}`;
  return data.backend
    ? ["note", data.backend, `was ${CHANGES[data.action] ?? words(data.action)} ${by}${data.action === "backend_changed" ? told : ""}`]
    : ["note", "", `${{ strategy_changed: "Strategy changed", health_checks_started: "Health checks started", health_checks_stopped: "Health checks stopped",
      keys_changed: "Client keys changed", configuration: "Configuration changed" }[data.action] ?? words(data.action)} ${by}${data.action === "health_checks_started" || data.action === "health_checks_stopped" ? "" : told}`];
}

/** weight 2 → 5 */
function differences(before, after) {
  return before === null || after === null || before === undefined || after === undefined ? []
    : Object.keys(after).map(field => `${words(field)} ${shown(before[field])} → ${shown(after[field])}`);
}

const shown = value => value === null || value === undefined ? "unset" : typeof value === "object" ? JSON.stringify(value) : String(value);
