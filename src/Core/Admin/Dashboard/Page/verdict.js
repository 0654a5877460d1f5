// Whether all is well, in one sentence.

import { byId, setAttribute, setText } from "./dom.js";
import { lastSpan, names, percent, perSecond, plural } from "./format.js";
import { conditionOf, requestRate, store } from "./store.js";

const REASONS = {
  unhealthy: "out after failures", trial: "on trial", parked: "parked at its own request", misconfigured: "refusing its key",
};

/** Fewer judged requests a minute than this say nothing of a rate. */
const ENOUGH = 20;

/** { level: "good" | "warn" | "bad", text, detail } of a status. */
export function judge(status) {
  const backends = status.backends;
  const ill = backends.filter(one => !["healthy", "disabled"].includes(one.status));
  const off = backends.filter(one => one.status === "disabled" || conditionOf(one) === "draining");
  const takers = backends.filter(one => one.status !== "disabled" && !one.draining && ["healthy", "trial"].includes(one.status));
  const lately = total(backends);
  const wanted = backends.length - off.length;
  const detail = [
    lately.all === 0 ? `No requests in the ${lately.span}` : `${perSecond(requestRate())}, ${percent(lately.rate)} succeeded in the ${lately.span}`,
    off.length > 0 ? `${names(off.map(one => one.name))} switched off or draining` : null,
    status.shared_state === "fallback" ? "Redis does not answer: each instance decides by itself" : null,
    store.overview?.enabled === false ? "balancing is switched off: one backend gets everything" : null,
    status.health_check_running ? null : "health checks are stopped",
  ].filter(Boolean).join(" · ");
  const say = (level, text) => ({ level, text, detail });

  if (takers.length === 0) {
    return say("bad", backends.length === 1 ? "The only backend takes no requests" : `None of the ${backends.length} backends takes requests`);
  }

  if (lately.judged >= ENOUGH && lately.rate < 0.75) {
    return say("bad", `${percent(1 - lately.rate)} of all attempts failed in the ${lately.span}`);
  }

  if (ill.length > 0) {
    const same = new Set(ill.map(one => one.status)).size === 1;
    const why = same ? REASONS[ill[0].status] : "out";
    return say(ill.length * 2 > wanted ? "bad" : "warn", `${names(ill.map(one => one.name))} ${ill.length === 1 ? "is" : "are"} ${why}; ${plural(takers.length, "backend")} ${takers.length === 1 ? "serves" : "serve"}`);
  }

  if (status.waiting > 0) {
    return say("warn", `All backends are full: ${plural(status.waiting, "request")} ${status.waiting === 1 ? "waits" : "wait"}`);
  }

  const worst = backends.filter(one => one.recent.successful_requests + one.recent.failed_requests >= ENOUGH / 4 && one.recent.success_rate < 0.97)
    .sort((one, other) => one.recent.success_rate - other.recent.success_rate);
  if (worst.length > 0) {
    return say("warn", worst.length === 1 ? `${worst[0].name} serves, but failed ${percent(1 - worst[0].recent.success_rate)} of its attempts` : `${names(worst.map(one => one.name))} serve, but fail often`);
  }

  return say(status.shared_state === "fallback" ? "warn" : "good",
    wanted === 1 ? "The backend is well" : wanted === 2 ? "Both backends are well" : `All ${wanted} backends are well`);
}

function total(backends) {
  const good = backends.reduce((sum, one) => sum + one.recent.successful_requests, 0);
  const bad = backends.reduce((sum, one) => sum + one.recent.failed_requests, 0);
  return { all: backends.reduce((sum, one) => sum + one.recent.total_requests, 0), judged: good + bad, span: lastSpan(backends), rate: good + bad === 0 ? null : good / (good + bad) };
}

let spokenAt = 0;
let spokenKind = "";

export function showVerdict() {
  const { level, text, detail } = judge(store.status);
  const section = byId("verdict");
  setAttribute(section, "data-level", level);
  setText(byId("verdict-badge"), { good: "✓", warn: "!", bad: "✕" }[level]);

  setText(byId("verdict-text"), text);

  // Numbers change each second; it is read aloud when the matter changes, or after a while.
  const kind = text.replace(/[\d.,]+/g, "");
  if (kind !== spokenKind || performance.now() - spokenAt > 30_000) {
    setText(byId("verdict-spoken"), text);
    [spokenKind, spokenAt] = [kind, performance.now()];
  }

  setText(byId("verdict-detail"), detail);
  document.title = `${{ good: "✓", warn: "!", bad: "✕" }[level]} Roadbalancer`;
}
