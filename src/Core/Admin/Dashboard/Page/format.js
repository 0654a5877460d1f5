// Numbers, times and names as people read them.

const GAP = "\u00a0";
const NONE = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const clockMinutes = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockSeconds = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayHours = new Intl.DateTimeFormat("en", { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const full = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "long", hourCycle: "h23" });

export const count = value => value === null || value === undefined ? NONE : whole.format(value);

/** 1,240; 12.4 k; 3.1 M. */
export function short(value) {
  return value === null || value === undefined ? NONE
    : value >= 1e9 ? `${one.format(value / 1e9)}${GAP}G`
    : value >= 1e6 ? `${one.format(value / 1e6)}${GAP}M`
    : value >= 1e4 ? `${one.format(value / 1e3)}${GAP}k`
    : value < 10 && value !== Math.round(value) ? one.format(value) : whole.format(value);
}

export const perSecond = value => value === null || value === undefined ? NONE : `${short(value)}/s`;

/** 180 ms; 1.42 s; 12.3 s; 4 min 10 s. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) {
    return NONE;
  }

  return seconds < 0.9995 ? `${Math.round(seconds * 1000)}${GAP}ms`
    : seconds < 10 ? `${seconds.toFixed(2)}${GAP}s`
    : seconds < 120 ? `${seconds.toFixed(1)}${GAP}s`
    : `${Math.floor(seconds / 60)}${GAP}min${GAP}${Math.round(seconds % 60)}${GAP}s`;
}

/** Never rounded up to 100 %: one failure in a million is shown as one. */
export function percent(ratio) {
  if (ratio === null || ratio === undefined) {
    return NONE;
  }

  return ratio === 1 ? "100%" : `${(Math.floor(ratio * 1e4) / 100).toFixed(ratio >= 0.99 ? 2 : 1)}%`;
}

export function ago(fromMs, nowMs) {
  const seconds = Math.max(0, Math.round((nowMs - fromMs) / 1000));
  return seconds < 2 ? "just now"
    : seconds < 100 ? `${seconds}${GAP}s ago`
    : seconds < 5_400 ? `${Math.round(seconds / 60)}${GAP}min ago`
    : seconds < 129_600 ? `${Math.round(seconds / 3_600)}${GAP}h ago` : `${Math.round(seconds / 86_400)}${GAP}days ago`;
}

export const absolute = ms => full.format(ms);

/** A point on an axis that is so long. */
export const clock = (ms, spanMs) => (spanMs <= 180_000 ? clockSeconds : spanMs <= 86_400_000 ? clockMinutes : dayHours).format(ms);

export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

/** a, b and c; beyond three, «a, b and 5 others». */
export function names(list) {
  return list.length <= 1 ? list.join("")
    : list.length <= 3 ? `${list.slice(0, -1).join(", ")} and ${list.at(-1)}`
    : `${list.slice(0, 2).join(", ")} and ${list.length - 2} others`;
}

/** server_error → server error. */
export const words = name => name.replaceAll("_", " ");

/** What «recent» covers: a minute, or what has been seen of it. */
export function lastSpan(backends) {
  const seconds = backends[0]?.recent.seconds ?? 0;
  return seconds >= 50 ? "last minute" : `last ${Math.max(1, Math.round(seconds))}${GAP}s`;
}
