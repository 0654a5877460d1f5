// One backend in full, and everything that can be done to it.

import { disable, drain, enable, patch, probe, remove, reset, restore } from "./actions.js";
import { field, form, open } from "./dialog.js";
import { byId, el } from "./dom.js";
import { absolute, ago, count, duration, percent, short, words } from "./format.js";
import { bandOf, conditionOf, metricsOf, now, store } from "./store.js";
import { CONDITIONS } from "./table.js";

/** Field, label, attributes, hint. */
const FIELDS = [
  ["weight", "Weight", { inputmode: "numeric" }, "0 to 1,000,000; 0 drains it"],
  ["max_connections", "Most in flight", { inputmode: "numeric" }, "requests at once"],
  ["priority", "Priority", { inputmode: "numeric" }, "lower goes first"],
  ["timeout", "Timeout", { inputmode: "decimal" }, "seconds"],
  ["tags", "Tags", {}, "comma list"],
];

export function openManage(name) {
  const configured = store.configured.get(name);
  const metrics = metricsOf(name);
  if (!configured || !metrics) {
    return;
  }

  let dialog = null;
  const button = (label, act, kind = "") => el(`button${kind}`, {
    type: "button", onclick: async () => {
      if (await act(name)) {
        dialog.close();

        // What was removed has no row any more that focus could go back to.
        if (!metricsOf(name) || act === remove) {
          byId("backends").focus();
        }
      }
    },
  }, label);
  const problem = el("p.problem", { role: "alert" });
  const tryProbe = async () => {
    problem.textContent = "";
    try {
      await probe(name);
      return true;
    } catch (error) {
      problem.textContent = error.message;
      return false;
    }
  };
  const isOff = !metrics.enabled || (metrics.draining && metrics.weight > 0);
  dialog = open(name,
    el("div.buttons.actions", {},
      isOff ? button("Enable", enable, ".primary") : null,
      metrics.enabled && !metrics.draining ? button("Drain", drain) : null,
      metrics.enabled ? button("Disable", disable) : null,
      button("Probe now", tryProbe),
      button("Forget failures", reset),
      configured.source === "changed" ? button("Restore configured", restore) : null,
      button("Remove", remove, ".danger")),
    problem,
    editForm(name, configured, () => dialog.close()),
    facts(configured, metrics));
  dialog.classList.add("wide");
}

function editForm(name, configured, close) {
  const shown = value => value === null ? "" : Array.isArray(value) ? value.join(", ") : String(value);
  return form([el("h3", {}, "Change"), el("div.fields", {}, FIELDS.map(([key, label, attributes, hint]) =>
    field(key, label, { ...attributes, value: shown(configured[key]) }, configured.changed_fields.includes(key) ? `${hint}; changed here` : hint)))],
  "Save", async made => {
    const changed = {};
    for (const [key] of FIELDS) {
      const text = made.elements[key].value.trim();
      if (text !== shown(configured[key])) {
        changed[key] = key === "tags" ? text.split(",").map(tag => tag.trim()).filter(Boolean) : numberOr(text);
      }
    }

    if (Object.keys(changed).length > 0) {
      await patch(name, changed);
    }

    close();
  });
}

/** A number where it is one; else the text, of which the balancer says what is wrong. Empty: as configured. */
export const numberOr = text => text === "" ? null : Number.isNaN(Number(text)) ? text : Number(text);

function facts(configured, metrics) {
  const state = conditionOf(metrics);
  const since = bandOf(metrics.name);
  const time = text => text ? `${ago(Date.parse(text), now())} (${absolute(Date.parse(text))})` : "never";
  const first = metrics.time_to_first_token;
  const rows = [
    ["Condition", `${CONDITIONS[state]?.[1] ?? state}${since ? `, for ${duration((now() - since.from) / 1000)} at least` : ""}; circuit ${metrics.circuit}, tripped ${count(metrics.trips)} times`],
    ["URL", configured.url],
    ["Model", configured.model_name ?? (Object.keys(configured.models).length > 0 ? Object.keys(configured.models).join(", ") : "any")],
    ["From", { configured: "the configuration", changed: `the configuration; changed here: ${configured.changed_fields.map(words).join(", ")}`, added: "added here" }[configured.source]],
    ["Credentials", `${configured.has_api_key ? `key, sent as ${configured.auth}` : "no key"}${configured.headers.length > 0 ? `; headers ${configured.headers.join(", ")}` : ""}`],
    ["Attempts in all", `${count(metrics.total_requests)}, of which ${count(metrics.successful_requests)} succeeded and ${count(metrics.failed_requests)} failed (${percent(metrics.success_rate)})`],
    ["Whole answer", `p50 ${duration(metrics.percentiles.p50)}, p95 ${duration(metrics.percentiles.p95)}, p99 ${duration(metrics.percentiles.p99)}, mean ${duration(metrics.average_response_time)}`],
    ["First token", first.count === 0 ? "no stream yet" : `p50 ${duration(first.p50)}, p95 ${duration(first.p95)}, p99 ${duration(first.p99)}, of ${count(first.count)} streams`],
    ["Tokens", `${short(metrics.input_tokens)} in, ${short(metrics.output_tokens)} out`],
    ["Last error", metrics.last_error ? `${metrics.last_error}, ${time(metrics.last_error_time)}` : "none"],
    ["Last probe", time(metrics.last_check_time)],
    metrics.absent_models.length > 0 ? ["Absent models", metrics.absent_models.join(", ")] : null,
  ].filter(Boolean);
  return el("section", {}, el("h3", {}, "Facts"), el("dl.facts", {}, rows.map(([label, text]) => [el("dt", {}, label), el("dd", {}, text)])));
}
