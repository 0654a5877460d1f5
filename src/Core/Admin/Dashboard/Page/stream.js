// GET /events, read with fetch since EventSource can send no key. Comes back by itself, with what was missed.

import { ApiError, errorOf, request } from "./api.js";

const SILENCE_MS = 6_000;
const LONGEST_PAUSE_MS = 15_000;

/**
 * Follows the events until stop().
 * onEvent(type, data); onState("connecting" | "live" | "lost" | "refused", detail), where detail is the error of a refusal, or when it will be tried again.
 */
export function follow(onEvent, onState) {
  let stopped = false;
  let abort = null;
  let wake = null;
  let lastId = "";
  let retryMs = 2_000;
  let failures = 0;

  const stop = () => {
    stopped = true;
    abort?.abort();
    wake?.();
  };

  const retryNow = () => wake?.();

  async function read() {
    abort = new AbortController();
    let heardAt = performance.now();
    let live = false;
    const watch = setInterval(() => performance.now() - heardAt > SILENCE_MS && abort.abort(), 1_000);
    try {
      const response = await request("events?recent=500", { headers: lastId ? { "Last-Event-ID": lastId } : {}, signal: abort.signal });
      if (!response.ok) {
        throw await errorOf(response);
      }

      await frames(response.body, () => { heardAt = performance.now(); }, frame => {
        lastId = frame.id ?? lastId;
        retryMs = frame.retry ?? retryMs;
        if (frame.data) {
          onEvent(frame.type, JSON.parse(frame.data));
        }

        if (frame.type === "status" && !live) {
          live = true;
          failures = 0;
          onState("live");
        }
      });
      return live;
    } finally {
      clearInterval(watch);
    }
  }

  async function run() {
    onState("connecting");
    while (!stopped) {
      try {
        // A stream that lived and ended in order is only renewed: the server ends each after ten minutes.
        if (await read()) {
          continue;
        }
      } catch (error) {
        if (error instanceof ApiError && error.isRefusal) {
          onState("refused", error);
          return;
        }
      }

      if (stopped) {
        return;
      }

      const pause = failures === 0 ? 300 : Math.min(LONGEST_PAUSE_MS, retryMs * 2 ** Math.min(6, failures - 1)) * (0.8 + 0.4 * Math.random());
      failures++;
      onState("lost", Date.now() + pause);
      await new Promise(resolve => {
        const timer = setTimeout(resolve, pause);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      wake = null;
    }
  }

  run();
  return { stop, retryNow };
}

/** Server-sent events as the HTML standard has them, as far as this server writes them: one line of data, \n only. */
async function frames(body, onBytes, onFrame) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (true) {
    const { done, value } = await reader.read();
    if (done) {
      return;
    }

    onBytes();
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const frame = { type: "message" };
      for (const line of part.split("\n")) {
        const colon = line.indexOf(":");
        const [field, text] = [line.slice(0, colon), line.slice(colon + 1).trimStart()];
        if (field === "data" || field === "id") {
          frame[field] = text;
        } else if (field === "event") {
          frame.type = text;
        } else if (field === "retry") {
          frame.retry = Number(text);
        }
      }

      onFrame(frame);
    }
  }
}
