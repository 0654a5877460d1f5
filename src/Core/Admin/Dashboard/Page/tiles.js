// The whole in six numbers.

import { byId, el, keyed, setText } from "./dom.js";
import { count, duration, lastSpan, percent, perSecond, short } from "./format.js";
import { requestRate, store } from "./store.js";

const sum = (list, of) => list.reduce((total, one) => total + of(one), 0);

/** Percentiles of all answers of the pool together: the balancer adds its counts up, since percentiles cannot be averaged. */
const rest = (known, { p90, p99 }, span) => known ? `p90\u00a0${duration(p90)} · p99\u00a0${duration(p99)}` : `no answers in the ${span}`;

function tilesOf(status) {
  const { backends, recent } = status;
  const [good, bad] = [recent.successful_requests, recent.failed_requests];
  const span = lastSpan(backends);
  const seconds = Math.max(1, recent.seconds);
  const limit = sum(backends.filter(one => one.enabled), one => one.max_connections);
  const first = recent.time_to_first_token;
  return [
    ["Requests", perSecond(requestRate()), `${count(sum(backends, one => one.total_requests))} counted in all, retries included`],
    ["Attempts succeeded", percent(good + bad === 0 ? null : good / (good + bad)), bad === 0 ? `no failure in the ${span}` : `${count(bad)} of ${count(good + bad)} failed in the ${span}`],
    ["First token, p50", duration(first.count > 0 ? first.p50 : null), rest(first.count > 0, first, span)],
    ["Whole answer, p50", duration(good > 0 ? recent.percentiles.p50 : null), rest(good > 0, recent.percentiles, span)],
    ["In flight", count(status.in_flight), `of ${count(limit)} at most${status.waiting > 0 ? ` · ${count(status.waiting)} waiting` : ""}`, limit === 0 ? 0 : status.in_flight / limit],
    ["Tokens out", perSecond(recent.output_tokens / seconds),
      `${perSecond(recent.input_tokens / seconds)} in · ${short(sum(backends, one => one.input_tokens))} in, ${short(sum(backends, one => one.output_tokens))} out in all`],
  ];
}

export function showTiles() {
  keyed(byId("tiles"), tilesOf(store.status), ([name]) => name,
    ([name, , , share]) => el("div.tile", {}, el("dt", {}, name), el("dd.value"), el("dd.note"), share === undefined ? null : el("dd.meter", { "aria-hidden": "true" }, el("i"))),
    (tile, [, value, note, share]) => {
      setText(tile.children[1], value);
      setText(tile.children[2], note);
      if (share !== undefined) {
        tile.querySelector("i").style.width = `${Math.min(100, share * 100)}%`;
      }
    });
}
