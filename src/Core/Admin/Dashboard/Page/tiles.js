// The whole in six numbers.

import { byId, el, keyed, setText } from "./dom.js";
import { count, duration, lastSpan, percent, perSecond, short } from "./format.js";
import { requestRate, store } from "./store.js";

const sum = (list, of) => list.reduce((total, one) => total + of(one), 0);

/** The mean over all, weighed by what each counted; exact, as a percentile over several could not be. */
function mean(backends, weight, value) {
  const all = sum(backends, weight);
  return all === 0 ? null : sum(backends, one => weight(one) * value(one)) / all;
}

function spread(values, span) {
  const known = values.filter(value => value !== null);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  return known.length === 0 ? `no answers in the ${span}`
    : least === most ? `p95 ${duration(least)}` : `p95 ${duration(least)} to ${duration(most)} by backend`;
}

function tilesOf(status) {
  const { backends } = status;
  const recent = backends.map(one => one.recent);
  const [good, bad] = [sum(recent, one => one.successful_requests), sum(recent, one => one.failed_requests)];
  const span = lastSpan(backends);
  const seconds = Math.max(1, recent[0]?.seconds ?? 1);
  const limit = sum(backends.filter(one => one.enabled), one => one.max_connections);
  const first = recent.map(one => one.time_to_first_token);
  return [
    ["Requests", perSecond(requestRate()), `${count(sum(backends, one => one.total_requests))} counted in all, retries included`],
    ["Attempts succeeded", percent(good + bad === 0 ? null : good / (good + bad)), bad === 0 ? `no failure in the ${span}` : `${count(bad)} of ${count(good + bad)} failed in the ${span}`],
    ["First token, mean", duration(mean(first, one => one.count, one => one.mean)), spread(first.map(one => one.count > 0 ? one.p95 : null), span)],
    ["Whole answer, mean", duration(mean(recent, one => one.successful_requests, one => one.average_response_time)), spread(recent.map(one => one.successful_requests > 0 ? one.percentiles.p95 : null), span)],
    ["In flight", count(status.in_flight), `of ${count(limit)} at most${status.waiting > 0 ? ` · ${count(status.waiting)} waiting` : ""}`, limit === 0 ? 0 : status.in_flight / limit],
    ["Tokens out", perSecond(sum(recent, one => one.output_tokens) / seconds),
      `${perSecond(sum(recent, one => one.input_tokens) / seconds)} in · ${short(sum(backends, one => one.input_tokens))} in, ${short(sum(backends, one => one.output_tokens))} out in all`],
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
