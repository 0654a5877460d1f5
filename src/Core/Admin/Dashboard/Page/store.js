// What is known: the last status, what was configured, and the samples and bands that charts are drawn from.

const KEPT_SECONDS = 1_800;
const KEPT_EVENTS = 300;

/** The numbers of one backend in a sample, in this order. */
export const FIELDS = ["requests", "failures", "first_p50", "first_p95", "first_p99", "response_p50", "response_p95", "response_p99"];

export const store = {
  /** "connecting", "live", "lost" or "refused"; its detail as follow() tells it. */
  link: "connecting",
  linkDetail: null,
  /** The last status event; null before the first. */
  status: null,
  heardAt: 0,
  /** The server's clock less ours, in milliseconds. */
  skewMs: 0,
  /** GET /status, /backends and /strategy. */
  overview: null,
  configured: new Map(),
  removed: [],
  strategy: null,
  /** { time, names, values } a second: FIELDS of each name, one after the other. */
  samples: [],
  /** By name, oldest first: { from, condition }. Each lasts until the next. */
  bands: new Map(),
  /** Newest first: { type, time, data }. */
  events: [],
};

/** What a change makes of a backend's condition. */
const SWITCHED = { backend_disabled: "disabled", backend_drained: "draining", backend_enabled: "healthy", backend_added: "healthy" };

/** What a backend was before the first thing told of it. */
const BEFORE = { closed: "unhealthy", trial_failed: "unhealthy", credentials_accepted: "misconfigured", backend_added: null, backend_enabled: "disabled" };

export const now = () => Date.now() + store.skewMs;

/** The status as an operator sees it: a backend that is well but takes nothing new is draining. */
export const conditionOf = metrics => metrics.status === "healthy" && metrics.draining ? "draining" : metrics.status;

export const metricsOf = name => store.status?.backends.find(one => one.name === name) ?? null;

export function takeStatus(status) {
  const time = Date.parse(status.time);
  store.status = status;
  store.heardAt = Date.now();
  store.skewMs = time - Date.now();
  const values = new Float32Array(status.backends.length * FIELDS.length);
  status.backends.forEach((one, index) => {
    const { recent } = one;
    const first = recent.time_to_first_token;
    const response = recent.successful_requests > 0 ? recent.percentiles : { p50: NaN, p95: NaN, p99: NaN };
    const streams = first.count > 0 ? first : { p50: NaN, p95: NaN, p99: NaN };
    values.set([one.requests_per_second, one.failures_per_second, streams.p50, streams.p95, streams.p99, response.p50, response.p95, response.p99], index * FIELDS.length);
    setBand(one.name, time, conditionOf(one));
  });
  const last = store.samples.at(-1);
  const same = last && last.names.length === status.backends.length && last.names.every((name, index) => name === status.backends[index].name);
  store.samples.push({ time, names: same ? last.names : status.backends.map(one => one.name), values });
  while (store.samples.length > 0 && store.samples[0].time < time - KEPT_SECONDS * 1_000) {
    store.samples.shift();
  }
}

/** Takes a transition or a change; false when it was known already, as after coming back to another instance. */
export function takeEvent(type, data) {
  const time = Date.parse(data.time);
  const known = store.events.some(one => one.type === type && (type === "change" && data.version > 0
    ? one.data.version === data.version && one.data.action === data.action && one.data.backend === data.backend
    : one.data.time === data.time && one.data.backend === data.backend && one.data.kind === data.kind));
  if (known) {
    return false;
  }

  const at = store.events.findIndex(one => one.time <= time);
  store.events.splice(at < 0 ? store.events.length : at, 0, { type, time, data });
  store.events.length = Math.min(store.events.length, KEPT_EVENTS);
  const condition = type === "transition" ? data.status : SWITCHED[data.action];
  if (condition && data.backend) {
    setBand(data.backend, time, condition);
  }

  return true;
}

/** Puts what is configured in place of what was. */
export function takeConfiguration(overview, backends, strategy) {
  store.overview = overview;
  store.configured = new Map(backends.backends.map(one => [one.name, one]));
  store.removed = backends.removed;
  store.strategy = strategy;
}

/**
 * A backend's bands. Events go back to before this page was opened, and tell every change: so until the first that tells of a backend
 * it was what that one says it was before, and one that nothing tells of was what it is.
 */
export function bandsOf(name) {
  const bands = store.bands.get(name) ?? [];
  const oldest = store.events.at(-1)?.time ?? Infinity;
  if (bands.length === 0 || oldest >= bands[0].from) {
    return bands;
  }

  const first = store.events.findLast(one => one.data.backend === name);
  const what = first?.data.kind ?? first?.data.action;
  const before = !first ? bands[0].condition : what === "status" ? first.data.cause : what in BEFORE ? BEFORE[what] : "healthy";
  return before === null ? bands
    : before === bands[0].condition ? [{ ...bands[0], from: oldest }, ...bands.slice(1)]
    : [{ from: oldest, condition: before }, ...bands];
}

/** Attempts per second, of one or of all, over the last five seconds: of one second alone it would flicker. */
export function requestRate(name = null) {
  const last = store.samples.slice(-5).filter(sample => sample.time > now() - 8_000);
  const sum = last.reduce((total, { names, values }) =>
    total + names.reduce((part, one, index) => name === null || one === name ? part + values[index * FIELDS.length] : part, 0), 0);
  return last.length === 0 ? 0 : sum / last.length;
}

/** The present condition since when; null while unknown. */
export const bandOf = name => store.bands.get(name)?.at(-1) ?? null;

function setBand(name, time, condition) {
  const bands = store.bands.get(name) ?? [];
  store.bands.set(name, bands);
  const last = bands.at(-1);
  if (last && time < last.from) {
    return;
  }

  if (!last || last.condition !== condition) {
    bands.push({ from: time, condition });
  }

  if (bands.length > 400) {
    bands.shift();
  }
}
