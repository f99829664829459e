/**
 * `deno task bench accuracy`: are an open loop's percentiles those of the server's own schedule?
 */

import { join } from "node:path";
import { PoolscopeError } from "../errors.ts";
import { readRequests } from "../frames/run_files.ts";
import { loadPolars } from "../frames/polars.ts";
import { readLocustTotals } from "../frames/locust.ts";
import { checkCounts, convertRequests, readFinal } from "../load/requests.ts";
import { runCommand } from "../setup/command.ts";
import { percentilesMs, responseTimes } from "../stats/latency.ts";
import { cutWindow } from "../stats/window.ts";
import { ROOT } from "../store/layout.ts";
import {
  BenchFolder,
  benchPython,
  BenchServer,
  Companion,
  LOAD,
  runLocust,
  script,
} from "./load.ts";
import type { BenchOptions } from "./options.ts";

/** The result, as DESIGN's table of benchmarks names it. */
export interface AccuracyResult {
  cases: number;
  /** Over all cases and percentiles, the largest min(error / 1%, error / 2 ms). */
  worst_excess: number;
  /** The same if a request could be sent while the generator's core stood still. */
  worst_excess_with_pauses: number;
  /** True when the default, shorter set was run. */
  partial?: true;
}

/** One server under one load. */
export interface AccuracyCase {
  name: string;
  /** As lib/bench/reference_server.py takes it. */
  delay: { constantMs: number } | { medianMs: number; sigma: number };
  stall: { everyMs: number; forMs: number } | null;
  rate: number;
  arrivals: "constant" | "poisson";
  windowS: number;
}

const FIVE = { constantMs: 5 };
const SKEWED = { medianMs: 20, sigma: 0.8 };

/** Periods and lengths share no factor with the distance of the arrivals. */
export const CASES: AccuracyCase[] = [
  { name: "constant", delay: FIVE, stall: null, rate: 500, arrivals: "constant", windowS: 5 },
  { name: "log-normal", delay: SKEWED, stall: null, rate: 500, arrivals: "constant", windowS: 8 },
  {
    name: "stalls of 1 s in 4.7 s",
    delay: FIVE,
    stall: { everyMs: 4703, forMs: 1009 },
    rate: 300,
    arrivals: "constant",
    windowS: 14,
  },
  {
    name: "stalls of 0.3 s in 1.9 s",
    delay: FIVE,
    stall: { everyMs: 1901, forMs: 307 },
    rate: 701,
    arrivals: "constant",
    windowS: 9,
  },
  {
    name: "stalls of 80 ms in 0.6 s",
    delay: FIVE,
    stall: { everyMs: 613, forMs: 83 },
    rate: 1000,
    arrivals: "poisson",
    windowS: 7,
  },
  {
    name: "log-normal with stalls",
    delay: SKEWED,
    stall: { everyMs: 3301, forMs: 503 },
    rate: 400,
    arrivals: "poisson",
    windowS: 10,
  },
  {
    name: "2000 requests/s",
    delay: { constantMs: 1 },
    stall: null,
    rate: 2000,
    arrivals: "poisson",
    windowS: 11,
  },
];

type Span = [begin: number, end: number];

/** What the server says it did, in µs of Unix time. */
export interface ServerLog {
  stalls: Span[];
  /** When it did not look for requests, being busy or not let run. */
  pauses: Span[];
  /** In order of arrival. */
  requests: [read: number, delay: number, written: number][];
}

/**
 * The response time of each arrival by the server's own schedule, as if the request had been there
 * at its intended start: to the end of the pause if the generator's core stood still or the server
 * did not look then, its delay, to the end of the stall if the answer is due in one, and what the
 * server itself was late by. When the generator sent it, and when it noticed the answer, does not
 * enter.
 *
 * @param arrivalsUs Intended starts in µs of Unix time, ascending; the n-th is the server's n-th.
 * @param still When the generator's core stood still, by a witness.
 * @returns Microseconds.
 */
export function trueResponsesUs(
  arrivalsUs: number[],
  { stalls, pauses, requests }: ServerLog,
  still: Span[],
): number[] {
  const released = (dueUs: number) => endOfSpan(stalls, dueUs);
  return arrivalsUs.map((arrivalUs, n) => {
    const [read, delay, written] = requests[n]!;
    const lateUs = written - released(read + delay);
    const seenUs = endOfSpan(pauses, endOfSpan(still, arrivalUs));
    return released(seenUs + delay) + lateUs - arrivalUs;
  });
}

/** When the span ends that a time falls in, of ascending ones; else that time. */
function endOfSpan(spans: Span[], timeUs: number): number {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle]![1] <= timeUs) low = middle + 1;
    else high = middle;
  }
  const span = spans[low];
  return span !== undefined && span[0] <= timeUs ? span[1] : timeUs;
}

/** How far a percentile is off: at most 1 when within 1% or 2 ms. */
export function excess(measuredMs: number, trueMs: number): number {
  const errorMs = Math.abs(measuredMs - trueMs);
  return Math.min(errorMs / (trueMs * 0.01), errorMs / 2);
}

/** Runs all cases; the full set three times, with other seeds. */
export async function benchAccuracy(options: BenchOptions): Promise<AccuracyResult> {
  const { full, seed, signal, log } = options;
  const python = await benchPython(signal);
  await loadPolars();
  const worst = { accounted: 0, withPauses: 0 };
  let cases = 0;
  for (let repeat = 0; repeat < (full ? 3 : 1); repeat++) {
    for (const one of CASES) {
      const found = await measure(one, seed + repeat, python, signal, log);
      worst.accounted = Math.max(worst.accounted, found.accounted);
      worst.withPauses = Math.max(worst.withPauses, found.withPauses);
      cases++;
    }
  }
  return {
    cases,
    worst_excess: Number(worst.accounted.toFixed(3)),
    worst_excess_with_pauses: Number(worst.withPauses.toFixed(3)),
    ...(full ? {} : { partial: true }),
  };
}

/** When a case's requests are due, in microseconds from the load's start. */
async function listArrivals(
  python: string,
  { arrivals, rate }: AccuracyCase,
  seed: number,
  seconds: number,
): Promise<number[]> {
  const { stdout } = await runCommand("list the arrivals", [
    python,
    script("print_schedule.py"),
    join(ROOT, "locust"),
    arrivals,
    String(rate),
    String(seed),
    String(seconds),
  ]);
  return JSON.parse(stdout);
}

async function measure(
  one: AccuracyCase,
  seed: number,
  python: string,
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<{ accounted: number; withPauses: number }> {
  const { rate, arrivals, windowS } = one;
  using folder = new BenchFolder();
  const schedule = JSON.stringify({ delay: one.delay, stall: one.stall, seed });
  await using server = await BenchServer.start(python, "reference_server.py", [schedule]);
  await using _awake = new Companion(python, "keep_awake.py");
  await using watch = new Companion(python, "watch_core.py");
  const warmUpS = 1;
  const load = { ...LOAD, users: null, arrivalRate: rate, arrivals };
  await runLocust({
    python,
    host: server.url,
    scenario: load,
    seed,
    warmUpS,
    windowS,
    folder: folder.path,
    contract: folder.contract,
    signal,
    realtime: true,
  });
  const serverLog: ServerLog = JSON.parse(await server.stop());
  const still: Span[] = JSON.parse(await watch.stop());
  const counts = await convertRequests(folder.path);
  const final = readFinal(folder.path);
  const trouble = checkCounts(counts, final, readLocustTotals(folder.path));
  if (trouble !== null) throw new PoolscopeError(`Cannot trust case ${one.name}: ${trouble}`);
  // The server may not have read the last ones when the generator left.
  const seen = serverLog.requests.length;
  if (seen > counts.rows || seen < counts.rows - counts.drainRequests) {
    throw new PoolscopeError(
      `Cannot trust case ${one.name}: the server counts ${seen} requests, the generator ${counts.rows}`,
    );
  }

  const offsets = await listArrivals(python, one, seed, warmUpS + windowS + 3);
  const arrivalsUs = offsets.slice(0, seen).map((offset) => final.loadStartUs + offset);
  const truth = (stoodStill: Span[]) => {
    const inWindow = trueResponsesUs(arrivalsUs, serverLog, stoodStill).filter((_, n) =>
      final.windowStartUs <= arrivalsUs[n]! && arrivalsUs[n]! < final.windowEndUs
    );
    return percentilesMs(Float64Array.from(inWindow).sort());
  };
  const window = { startUs: final.windowStartUs, endUs: final.windowEndUs };
  const cut = cutWindow(await readRequests(folder.path), window, true);
  const measured = percentilesMs(responseTimes(cut).sorted);
  const [accounted, withPauses] = [truth(still), truth([])].map((values) => ({
    values,
    excess: Math.max(
      ...Object.entries(values).map(([name, trueMs]) => {
        const found = measured[name as keyof typeof measured];
        return trueMs === null ? 0 : found === null ? Infinity : excess(found, trueMs);
      }),
    ),
  }));
  const shown = Object.entries(accounted!.values).filter(([, trueMs]) => trueMs !== null)
    .map(([name, trueMs]) =>
      `${name} ${measured[name as keyof typeof measured]?.toFixed(2)} (${trueMs!.toFixed(2)})`
    );
  const stoodStillMs = still.reduce((sum, [begin, end]) => sum + (end - begin) / 1000, 0);
  log(
    `${one.name}, ${rate}/s ${arrivals}: ${shown.join(", ")} ms, in brackets the truth; ` +
      `${final.arrivals} arrivals, ${final.late} late, excess ${accounted!.excess.toFixed(2)}; ` +
      `the generator's core stood still ${still.length} times, ${stoodStillMs.toFixed(0)} ms ` +
      `(excess ${withPauses!.excess.toFixed(2)} with that)`,
  );
  return { accounted: accounted!.excess, withPauses: withPauses!.excess };
}
