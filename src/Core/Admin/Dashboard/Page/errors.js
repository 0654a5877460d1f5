// What went wrong, by class: lately and since counting began.

import { byId, el, keyed, setText } from "./dom.js";
import { count, names, words } from "./format.js";
import { store } from "./store.js";

/** What each class means, in the words of docs/failure-handling.md. */
const MEANINGS = {
  connect_failed: "no connection", connection_reset: "the connection broke before an answer", timed_out: "no answer in time", first_token_timed_out: "no first token in time",
  rate_limited: "429: too many requests for now", quota_exhausted: "quota or balance used up", overloaded: "503 or 529", server_error: "another 5xx, or 408",
  bad_credentials: "401 or 403: the backend refuses its key", model_absent: "the backend has not the model", answer_malformed: "an answer cut short or not JSON",
  stream_broken: "a stream cut before its end", stream_stalled: "a stream fell silent", stream_malformed: "a stream with nothing usable", in_band_error: "an error inside a stream",
  not_permitted: "the key lacks a right", caller_fault: "another 4xx: the request is at fault", context_too_long: "longer than the model's context", content_filtered: "a content filter refused it",
  replay_mismatch: "asked again, it said something else", prefix_refused: "would not go on from half an answer", client_left: "the client went away",
  superseded: "another attempt answered first", deadline_reached: "the request's own time was over",
};

const BLAMELESS = new Set(["not_permitted", "caller_fault", "context_too_long", "content_filtered", "replay_mismatch", "prefix_refused", "client_left", "superseded", "deadline_reached"]);

export function makeErrors() {
  byId("errors").append(
    el("div.card-head", {}, el("h2", { id: "errors-title" }, "Errors by class"), el("p.note", {}, "attempts")),
    el("table.errors", { "aria-labelledby": "errors-title" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Class"), el("th.right", { scope: "col" }, "Last minute"), el("th.right", { scope: "col" }, "In all"))),
      el("tbody")),
    el("p.quiet-note", { id: "no-errors" }, "No error so far."));
}

export function showErrors() {
  const classes = new Map();
  for (const one of store.status.backends) {
    add(classes, one.outcomes, one.name, "all");
    add(classes, one.recent.outcomes, one.name, "lately");
  }

  const rows = [...classes.values()].sort((one, other) => one.blameless - other.blameless || other.all - one.all);
  const most = Math.max(1, ...rows.map(row => row.all));
  byId("no-errors").hidden = rows.length > 0;
  const table = byId("errors").querySelector("table");
  table.hidden = rows.length === 0;
  keyed(table.tBodies[0], rows, row => row.name,
    row => el(row.blameless ? "tr.blameless" : "tr", {},
      el("th", { scope: "row" }, el("span.class", {}, words(row.name)), el("span.meaning"), el("span.bar", { "aria-hidden": "true" }, el("i"))),
      el("td.number"), el("td.number")),
    (item, row) => {
      const [head, lately, all] = item.children;
      const by = [...row.by].sort(([, one], [, other]) => other - one).map(([name]) => name);
      setText(head.children[1], `${MEANINGS[row.name] ?? ""}${row.blameless ? "; held against nobody" : ""} · ${names(by)}`);
      head.querySelector("i").style.width = `${row.all / most * 100}%`;
      setText(lately, count(row.lately));
      setText(all, count(row.all));
    });
}

function add(classes, outcomes, backend, what) {
  for (const [name, number] of Object.entries(outcomes)) {
    if (name !== "succeeded" && number > 0) {
      const row = classes.get(name) ?? { name, blameless: BLAMELESS.has(name), all: 0, lately: 0, by: new Map() };
      row[what] += number;
      row.by.set(backend, (row.by.get(backend) ?? 0) + number);
      classes.set(name, row);
    }
  }
}
