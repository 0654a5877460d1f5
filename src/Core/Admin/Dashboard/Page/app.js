// Puts the page together: reads the events, draws what they say.

import { afterChange } from "./actions.js";
import { call, hasKey } from "./api.js";
import { makeCircuits, showCircuits } from "./circuits.js";
import { byId, el, setAttribute, setText } from "./dom.js";
import { makeErrors, showErrors } from "./errors.js";
import { makeEvents, showEvents } from "./eventlist.js";
import { ago, words } from "./format.js";
import { makeKeys, readKeys } from "./keys.js";
import { openManage } from "./manage.js";
import { openAdd, openKey, openStrategy } from "./settings.js";
import { now, store, takeConfiguration, takeEvent, takeStatus } from "./store.js";
import { follow } from "./stream.js";
import { makeTable, showTable } from "./table.js";
import { showTiles } from "./tiles.js";
import { makeCharts, showCharts } from "./traffic.js";
import { showVerdict } from "./verdict.js";

const STALE_MS = 5_000;

/** After this long a change that is not kept is one that nothing here keeps. */
const KEEPING_MS = 90_000;

let stream = null;
let drawing = false;

function start() {
  stream?.stop();
  stream = follow(onEvent, onLink);
  readConfiguration();
}

async function readConfiguration() {
  readKeys();
  try {
    const [overview, backends, strategy] = await Promise.all([call("GET", "status"), call("GET", "backends"), call("GET", "strategy")]);
    takeConfiguration(overview.data, backends.data, strategy.data);
    draw();
  } catch {
    // The stream tells of a refusal or a lost connection, and this is read again when it is back.
  }
}

function onEvent(type, data) {
  if (type === "status") {
    takeStatus(data);
    if (store.overview && data.version !== store.overview.version) {
      store.overview.version = data.version;
      readConfiguration();
    }
  } else if (takeEvent(type, data) && type === "change" && store.link === "live") {
    readConfiguration();
  }

  draw();
}

function onLink(link, detail) {
  if (link === "live" && store.link !== "connecting") {
    readConfiguration();
  }

  [store.link, store.linkDetail] = [link, detail ?? null];
  showLink();
  draw();
}

/** Once a frame at most, and not at all while nobody looks. */
function draw() {
  if (drawing || document.hidden) {
    return;
  }

  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    byId("content").hidden = !store.status || store.link === "refused";
    if (store.status && store.link !== "refused") {
      showVerdict();
      showTiles();
      showEmpty();
      showCharts();
      showTable();
      showCircuits();
      showErrors();
      showEvents();
    }

    showSetting();
  });
}

function showLink() {
  const { link, linkDetail } = store;
  const age = Date.now() - store.heardAt;
  const stale = link !== "live" || age > STALE_MS;
  const wait = Math.max(0, Math.ceil((linkDetail - Date.now()) / 1000));
  setAttribute(document.body, "data-link", link === "live" && stale ? "lost" : link);
  document.body.classList.toggle("stale", Boolean(store.status) && stale && link !== "refused");
  setText(byId("link-text"), link === "live" && !stale ? "Live" : link === "refused" ? "Not admitted" : link === "connecting" && !store.status ? "Connecting"
    : "Reconnecting");
  setText(byId("link-age"), store.status && stale && link !== "refused" ? `what is shown was known ${ago(store.heardAt, Date.now())}` : "");
  byId("link").title = link === "lost" && wait > 0 ? `Next try in ${wait} s` : "";
  byId("retry").hidden = link !== "lost";
  byId("refused").hidden = link !== "refused";
  byId("verdict").hidden = link === "refused";
  if (!store.status) {
    setText(byId("verdict-text"), link === "lost" ? "The balancer does not answer" : "Connecting");
  }

  if (link === "refused") {
    const needsKey = linkDetail.code === "invalid_api_key" || linkDetail.code === "not_an_admin_key";
    setText(byId("refused-title"), needsKey ? "An admin key is needed" : "Not admitted");
    setText(byId("refused-text"), linkDetail.code === "invalid_api_key" ? "This balancer shows its numbers to holders of one of its admin keys (ROADBALANCER_ADMIN_KEYS)." : linkDetail.message);
    byId("refused-key").hidden = !needsKey;
  }

  setText(byId("key-button"), hasKey() ? "Admin key set" : "Admin key");
}

function showSetting() {
  const parent = byId("setting");
  if (!store.strategy || !store.status) {
    return;
  }

  if (!parent.firstChild) {
    parent.append(el("p", {}, el("span.label", {}, "Strategy "), el("strong", { id: "strategy" })), el("button", { type: "button", id: "strategy-button", onclick: openStrategy }, "Change settings"), el("p.durable", { id: "durable", role: "status" }));
  }

  setText(byId("strategy"), words(store.status.strategy));

  // A version is the time of the newest change.
  const isNew = now() - store.status.version < KEEPING_MS;
  setText(byId("durable"), store.status.durable === true ? "" : isNew ? "The last change is in force, but not kept for a restart yet." : "Changes hold until the balancer ends: nothing has kept them.");
}

/** Before the first request: the line to send one. */
function showEmpty() {
  const section = byId("empty");
  const isEmpty = store.status.backends.every(one => one.total_requests === 0 && one.active_connections === 0);
  section.hidden = !isEmpty;
  byId("traffic").hidden = isEmpty;
  byId("first-token").parentElement.hidden = isEmpty;
  byId("errors").hidden = isEmpty;
  if (!isEmpty || section.firstChild) {
    return;
  }

  const configured = [...store.configured.values()];
  if (configured.length === 0) {
    return;
  }

  const model = configured.map(one => one.model_name ?? Object.keys(one.models)[0]).find(Boolean) ?? "demo-model";
  const line = `curl -N ${new URL("../v1/chat/completions", document.baseURI)} -H 'Content-Type: application/json' \\\n  -d '{"model":${JSON.stringify(model)},"stream":true,"messages":[{"role":"user","content":"Hello"}]}'`;
  const copy = el("button", { type: "button", onclick: async () => {
    try {
      await navigator.clipboard.writeText(line);
      setText(copy, "Copied");
    } catch {
      getSelection().selectAllChildren(section.querySelector("code"));
      setText(copy, "Selected: press Ctrl+C");
    }
  } }, "Copy");
  section.append(el("h2", { id: "empty-title" }, "No requests yet"), el("p", {}, "The balancer waits for the first. Send one, and watch it arrive here:"),
    el("div.code", {}, el("pre", { tabindex: "0", "aria-label": "Command" }, el("code", {}, line)), copy),
    el("p.quiet-note", {}, "Any OpenAI client does too, with the base URL ", el("code", {}, String(new URL("../v1", document.baseURI))), ". Where clients need a key, add -H 'Authorization: Bearer KEY'."));
}

makeCharts();
makeTable({ onManage: openManage, onAdd: openAdd });
makeCircuits();
makeKeys();
makeErrors();
makeEvents();
afterChange(readConfiguration);
byId("key-button").addEventListener("click", () => openKey(start));
byId("refused-key").addEventListener("click", () => openKey(start));
byId("refused-retry").addEventListener("click", start);
byId("retry").addEventListener("click", () => stream.retryNow());
addEventListener("online", () => stream.retryNow());
document.addEventListener("visibilitychange", draw);
setInterval(showLink, 1_000);
start();
