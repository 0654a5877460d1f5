// Adding a backend; strategy and settings; the admin key.

import { add, restore, setHealthChecks, setStrategy } from "./actions.js";
import { call, hasKey, setKey } from "./api.js";
import { field, form, open } from "./dialog.js";
import { el } from "./dom.js";
import { words } from "./format.js";
import { numberOr } from "./manage.js";
import { store } from "./store.js";

const STRATEGIES = {
  round_robin: "each in turn", weighted_round_robin: "by weight, evenly interleaved", least_connections: "the fewest in flight for its weight",
  random: "by lot, by weight", consistent_hash: "the same key, the same backend", response_time: "the faster of two drawn by lot",
};

/** name: label, attributes, hint. */
const ADD = {
  url: ["URL", { type: "url", required: true, placeholder: "http://host:8000" }, "required; without a path, /v1 is added"],
  name: ["Name", {}, "empty: host and port"],
  api_key: ["API key", { type: "password", autocomplete: "new-password" }, "kept with the registry, never shown again"],
  model_name: ["Model name", {}, "empty: as the request says"],
  weight: ["Weight", { inputmode: "numeric", placeholder: "1" }, ""],
  max_connections: ["Most in flight", { inputmode: "numeric", placeholder: "100" }, ""],
};

const ADD_MORE = {
  priority: ["Priority", { inputmode: "numeric", placeholder: "0" }, "lower goes first"],
  tags: ["Tags", {}, "comma list"],
  timeout: ["Timeout", { inputmode: "decimal" }, "seconds for an answer"],
  connect_timeout: ["Connect timeout", { inputmode: "decimal" }, "seconds"],
  ttft_timeout: ["First-token timeout", { inputmode: "decimal" }, "seconds"],
  stream_idle_timeout: ["Longest silence in a stream", { inputmode: "decimal" }, "seconds"],
  max_tokens: ["Max tokens", { inputmode: "numeric" }, "where a request says nothing"],
  temperature: ["Temperature", { inputmode: "decimal" }, "where a request says nothing"],
  health_path: ["Health path", { placeholder: "models" }, "what a probe asks for"],
  auth: ["Key is sent as", { value: "", options: [["", "bearer (default)"], ["api-key", "api-key header"], ["none", "not at all"]] }, ""],
};

const NUMBERS = new Set(["weight", "max_connections", "priority", "timeout", "connect_timeout", "ttft_timeout", "stream_idle_timeout", "max_tokens", "temperature"]);

export function openAdd() {
  const fields = of => el("div.fields", {}, Object.entries(of).map(([name, [label, attributes, hint]]) => field(name, label, attributes, hint)));
  const dialog = open("Add a backend", form([fields(ADD), el("details", {}, el("summary", {}, "More"), fields(ADD_MORE))], "Add", async made => {
    const body = {};
    for (const name of [...Object.keys(ADD), ...Object.keys(ADD_MORE)]) {
      const text = made.elements[name].value.trim();
      if (text !== "") {
        body[name] = NUMBERS.has(name) ? numberOr(text) : name === "tags" ? text.split(",").map(tag => tag.trim()).filter(Boolean) : text;
      }
    }

    await add(body);
    dialog.close();
  }));
  dialog.classList.add("wide");
  dialog.querySelector("input").focus();
}

export function openStrategy() {
  const before = store.strategy;
  const changedHere = name => before.changed_fields.includes(name) ? "changed here" : "";
  const numbers = { health_check_interval: ["Health check interval", "seconds"], max_retries: ["Most retries", "at the same backend"], failure_threshold: ["Failure threshold", "failures in a row that take a backend out"] };
  const made = form([
    field("strategy", "Strategy", { value: before.strategy, options: before.available_strategies.map(name => [name, `${words(name)}: ${STRATEGIES[name] ?? ""}`]) }, changedHere("strategy")),
    el("div.fields", {}, Object.entries(numbers).map(([name, [label, hint]]) =>
      field(name, label, { inputmode: "decimal", value: String(before[name]) }, [hint, changedHere(name)].filter(Boolean).join("; ")))),
    el("p.hint", {}, "In force at every instance as soon as it is saved; undo is offered after."),
  ], "Save", async entered => {
    const fields = {};
    for (const name of ["strategy", ...Object.keys(numbers)]) {
      const text = entered.elements[name].value.trim();
      if (text !== String(before[name])) {
        fields[name] = name === "strategy" ? text : numberOr(text);
      }
    }

    if (Object.keys(fields).length > 0) {
      await setStrategy(fields);
    }

    dialog.close();
  });
  const running = store.status?.health_check_running;
  const problem = el("p.problem", { role: "alert" });
  const toggle = el("button", { type: "button", onclick: async () => {
    try {
      await setHealthChecks(!running);
      dialog.close();
    } catch (error) {
      problem.textContent = error.message;
    }
  } }, running ? "Stop health checks" : "Start health checks");
  const removed = store.removed.length === 0 ? null : el("section", {}, el("h3", {}, "Removed here"), el("ul.plain", {}, store.removed.map(name =>
    el("li", {}, el("span.name", {}, name), el("button", { type: "button", "aria-label": `Bring ${name} back`, onclick: async () => await restore(name) && dialog.close() }, "Bring back")))));
  const dialog = open("Strategy and settings", made, el("section", {}, el("h3", {}, "Health checks"),
    el("p", {}, running ? "Running at every instance. " : "Stopped: only requests tell of failures. ", toggle), problem), removed);
  dialog.classList.add("wide");
  dialog.querySelector("select").focus();
}

/** Asks for the key and tries it; then() when it was taken. */
export function openKey(then) {
  const made = form([
    el("p", {}, "One of the keys in ROADBALANCER_ADMIN_KEYS. It stays in this tab until the tab is closed, and goes nowhere but to this balancer."),
    field("key", "Admin key", { type: "password", autocomplete: "off", required: true }),
  ], "Use this key", async entered => {
    const input = entered.elements.key;
    const value = input.value.trim();
    const fail = message => { throw Object.assign(new Error(message), { fields: [{ field: "key", message }] }); };
    if (value === "" || !/^[\x21-\x7e]+$/.test(value)) {
      fail(value === "" ? "Enter a key." : "Keys are printable ASCII without blanks.");
    }

    setKey(value);
    try {
      await call("GET", "status");
    } catch (error) {
      setKey("");
      fail(error.code === "invalid_api_key" ? "This balancer does not know that key." : error.isRefusal ? error.message : `It could not be tried: ${error.message}`);
    }

    dialog.close();
    then();
  });
  const dialog = open("Admin key", made, hasKey() ? el("p", {}, "A key is in use. ", el("button", { type: "button", onclick: () => { setKey(""); dialog.close(); then(); } }, "Forget it")) : null);
  dialog.querySelector("input").focus();
}
