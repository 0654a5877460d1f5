// What can be done to a backend: each asks first, says what will follow, and can be taken back where the API can.

import { backendPath, call } from "./api.js";
import { confirm, notify } from "./dialog.js";
import { names, plural } from "./format.js";
import { metricsOf, store } from "./store.js";

/** Fields that replies do not tell, so that they cannot be put back. */
const SECRET = ["api_key", "headers", "query"];

let refresh = async () => {};

/** Called after each change, so that the page shows it at once. */
export const afterChange = then => { refresh = then; };

async function change(method, path, body) {
  const reply = await call(method, path, body);
  await refresh();
  return reply;
}

/** What the reply says, and what it leaves open. */
const told = ({ message, data }) => `${message}${data?.in_force === "here" ? " The other instances learn of it when Redis answers again." : ""}`;

const others = name => (store.status?.backends ?? []).filter(one => one.name !== name && one.enabled && !one.draining && one.status === "healthy").map(one => one.name);

function consequence(name) {
  const left = others(name);
  const running = metricsOf(name)?.active_connections ?? 0;
  return [
    left.length > 0 ? `New requests go to ${names(left)}.` : "No other backend is well: requests will fail.",
    running > 0 ? `${plural(running, "request")} in flight ${running === 1 ? "ends" : "end"} undisturbed.` : null,
  ];
}

/** Brings back whether it was enabled and draining. */
function switchBack(name, before) {
  return async () => {
    await call("POST", backendPath(name, before.enabled ? "enable" : "disable"));
    if (before.draining && before.weight > 0) {
      await call("POST", backendPath(name, "drain"));
    }

    await refresh();
    return `${name} is as it was.`;
  };
}

async function switched(name, action, question) {
  const before = { ...metricsOf(name) };
  let reply = null;
  const done = await confirm({ ...question, run: async () => { reply = await change("POST", backendPath(name, action)); } });
  if (done) {
    notify(told(reply), switchBack(name, before));
  }

  return done;
}

export const drain = name => switched(name, "drain", {
  title: `Drain ${name}?`, action: "Drain", danger: others(name).length === 0, text: ["It takes no new requests until it is enabled again.", ...consequence(name)],
});

export const disable = name => switched(name, "disable", {
  title: `Disable ${name}?`, action: "Disable", danger: others(name).length === 0, text: ["It is out, whatever the probes say, until it is enabled again.", ...consequence(name)],
});

export const enable = name => switched(name, "enable", {
  title: `Enable ${name}?`, action: "Enable", text: ["It takes requests again, as many as strategy and weight give it."],
});

/** Changes fields; undo puts back what the configuration says where it had said it, else the value before. */
export async function patch(name, fields) {
  const before = store.configured.get(name);
  const reply = await change("PATCH", backendPath(name), fields);
  const back = Object.fromEntries(Object.keys(fields).map(field => [field, before.source !== "added" && !before.changed_fields.includes(field) ? null : before[field]]));
  const canUndo = !Object.keys(fields).some(field => SECRET.includes(field));
  notify(told(reply), canUndo ? async () => (await change("PATCH", backendPath(name), back), `${name} is as it was.`) : null);
}

export async function add(fields) {
  const reply = await change("POST", "backends", fields);
  const { name } = reply.data.backend;
  notify(told(reply), async () => (await change("DELETE", backendPath(name)), `${name} is gone again.`));
}

export async function remove(name) {
  const before = store.configured.get(name);
  const isLost = before.source === "added" || before.changed_fields.some(field => SECRET.includes(field));
  let reply = null;
  const done = await confirm({
    title: `Remove ${name}?`, action: "Remove", danger: true,
    text: [
      ...consequence(name),
      before.source === "added" ? "It was added here, with its key: this cannot be undone."
        : isLost ? "The key, headers or query given here go with it: undo is not possible, though it can be put back as configured."
        : "It can be brought back, now by undo and later under Strategy and settings.",
    ],
    run: async () => { reply = await change("DELETE", backendPath(name)); },
  });
  if (done) {
    notify(told(reply), isLost ? null : async () => {
      await bringBack(name, before);
      return `${name} is back.`;
    });
  }

  return done;
}

/** As configured, and then what had been changed here. */
async function bringBack(name, before) {
  await call("POST", backendPath(name, "restore"));
  const changed = before.changed_fields.filter(field => field !== "draining");
  if (changed.length > 0) {
    await call("PATCH", backendPath(name), Object.fromEntries(changed.map(field => [field, before[field]])));
  }

  if (before.changed_fields.includes("draining")) {
    await call("POST", backendPath(name, "drain"));
  }

  await refresh();
}

export async function restore(name) {
  const before = store.configured.get(name);
  let reply = null;
  const done = await confirm({
    title: `Restore ${name}?`, action: "Restore",
    text: [before ? `It gets its configured ${names(before.changed_fields.map(field => field.replaceAll("_", " ")))} back. This cannot be undone.` : "It comes back as the configuration has it."],
    run: async () => { reply = await change("POST", backendPath(name, "restore")); },
  });
  if (done) {
    notify(told(reply), before ? null : async () => (await change("DELETE", backendPath(name)), `${name} is gone again.`));
  }

  return done;
}

export async function reset(name) {
  let reply = null;
  const done = await confirm({
    title: `Forget the failures of ${name}?`, action: "Forget",
    text: ["Its circuit closes, parking ends, and it takes requests at once, whether it is well or not. Statistics stay. This cannot be undone."],
    run: async () => { reply = await change("POST", backendPath(name, "reset")); },
  });
  if (done) {
    notify(told(reply));
  }

  return done;
}

export async function probe(name) {
  const { data } = await change("POST", backendPath(name, "health_check"));
  notify(data.healthy ? `${name} answered the probe in ${Math.round(data.response_time * 1000)} ms.` : `${name} failed the probe: ${data.detail ?? data.outcome}`, null, !data.healthy);
}

export async function setStrategy(fields) {
  const before = store.strategy;
  const reply = await change("PUT", "strategy", fields);
  const back = Object.fromEntries(Object.keys(fields).map(field => [field, before.changed_fields.includes(field) ? before[field] : null]));
  notify(told(reply), async () => (await change("PUT", "strategy", back), "The settings are as they were."));
}

export async function setHealthChecks(on) {
  const reply = await change("POST", `health_check/${on ? "start" : "stop"}`);
  notify(told(reply), async () => (await change("POST", `health_check/${on ? "stop" : "start"}`)).message);
}
