// What each model does now: differences of the server's counters, once a second.

import { Refused, get, post } from "./api.js";

const PERIOD_MS = 1000;
const RETRY_MS = 3000;
// Seconds that a chart shows.
export const SAMPLES = 60;
// Seconds whose requests a latency is of.
const WINDOW = 10;
// Seconds between two looks at which models there are.
const INDEX_EVERY = 5;

export const keyOf = ({ name, version }) => `${name}/${version}`;

const series = new Map();
const empty = { now: undefined, samples: [] };
export const seriesOf = (model) => series.get(keyOf(model)) ?? empty;

function counters(entry) {
  const { success = {}, fail = {} } = entry.inference_stats ?? {};
  return {
    requests: Number(success.count ?? 0),
    failed: Number(fail.count ?? 0),
    nanoseconds: Number(success.ns ?? 0),
    rows: Number(entry.inference_count ?? 0),
    runs: Number(entry.execution_count ?? 0),
    histogram: entry.histogram,
  };
}

// Milliseconds below which a share `q` of the requests between two histograms stayed; linear within a bucket.
export function quantile(bounds, before, after, q) {
  const counts = after.map((count, at) => count - (before[at] ?? 0));
  const total = counts.reduce((all, count) => all + count, 0);
  let rest = q * total;
  for (let at = 0; at < counts.length && total > 0; at++) {
    if (rest <= counts[at]) {
      const [low, high] = [at ? bounds[at - 1] : 0, bounds[at] ?? bounds[at - 1]];
      return (low + (high - low) * (counts[at] ? rest / counts[at] : 0)) / 1000;
    }
    rest -= counts[at];
  }
  return undefined;
}

function sample(history, time, now) {
  const last = history.at(-1);
  if (!last || now.requests < last.now.requests) return { time, now };
  const seconds = (time - last.time) / 1000;
  const old = (history.at(-WINDOW) ?? history[0]).now;
  const requests = now.requests - old.requests;
  const mean = requests > 0 ? (now.nanoseconds - old.nanoseconds) / requests / 1e6 : undefined;
  const of = (q) => {
    const { bounds_us: bounds, counts } = now.histogram ?? {};
    return counts && old.histogram && requests > 0 ? quantile(bounds, old.histogram.counts, counts, q) : undefined;
  };
  const rate = (name) => (now[name] - last.now[name]) / seconds;
  return {
    time,
    now,
    mean,
    p50: of(0.5),
    p99: of(0.99),
    rate: rate("requests"),
    rows: rate("rows"),
    fails: rate("failed"),
  };
}

function record(stats, time) {
  for (const entry of stats.model_stats ?? []) {
    const key = keyOf(entry);
    const samples = series.get(key)?.samples ?? [];
    samples.push(sample(samples, time, counters(entry)));
    if (samples.length > SAMPLES + 1) samples.shift();
    series.set(key, { now: samples.at(-1), samples });
  }
}

// Every version of every model, with its state; only the ready ones where the index is not for everybody.
async function models(stats) {
  try {
    const index = await (await post("v2/repository/index", "{}")).json();
    return index.map(({ name, version = "", state = "UNAVAILABLE", reason = "" }) => ({
      name,
      version,
      state,
      reason,
    }));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return (stats.model_stats ?? []).map(({ name, version }) => ({ name, version, state: "READY", reason: "" }));
  }
}

// Calls `tell({ models })` after each look, or `tell({ problem })`; looks less while nobody looks at the page.
export async function watch(tell) {
  let known;
  for (let turn = 0; ; turn++) {
    let wait = PERIOD_MS;
    try {
      const stats = await get("v2/models/stats");
      record(stats, performance.now());
      if (turn % INDEX_EVERY === 0 || !known) known = await models(stats);
      tell({ models: known });
    } catch (error) {
      known = undefined;
      wait = RETRY_MS;
      tell({ problem: error instanceof Refused ? error.message : "no answer from the server; trying again" });
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
    while (document.hidden) await new Promise((r) => document.addEventListener("visibilitychange", r, { once: true }));
  }
}
