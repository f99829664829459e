/**
 * `deno task bench accuracy`: are an open loop's percentiles those of the server's own schedule?
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseHostCpu } from "../engine/proc.ts";
import { PoolscopeError } from "../errors.ts";
import { readRequests } from "../frames/run_files.ts";
import { loadPolars } from "../frames/polars.ts";
import { checkCounts, convertRequests, readFinal, readLocustTotals } from "../load/requests.ts";
import { runCommand } from "../setup/command.ts";
import { leastRequests, percentilesMs, PERCENTS, responseTimes } from "../stats/latency.ts";
import { cutWindow } from "../stats/window.ts";
import { ROOT } from "../store/layout.ts";
import {
  BenchFolder,
  benchPython,
  BenchServer,
  CLIENT_CORE,
  keepAwake,
  LOAD,
  runLocust,
  script,
} from "./load.ts";
import type { BenchOptions } from "./options.ts";

/** The result, as DESIGN's table of benchmarks names it. */
export interface AccuracyResult {
  cases: number;
  /** Over all cases and percentiles, the largest min(error / 1 %, error / 2 ms). */
  worst_excess: number;
  /** Cases for which the host never left the machine's cores alone, and which count all the same. */
  disturbed: number;
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
    ...{ name: "stalls of 1 s in 4.7 s", delay: FIVE, stall: { everyMs: 4703, forMs: 1009 } },
    ...{ rate: 300, arrivals: "constant", windowS: 14 },
  },
  {
    ...{ name: "stalls of 0.3 s in 1.9 s", delay: FIVE, stall: { everyMs: 1901, forMs: 307 } },
    ...{ rate: 701, arrivals: "constant", windowS: 9 },
  },
  {
    ...{ name: "stalls of 80 ms in 0.6 s", delay: FIVE, stall: { everyMs: 613, forMs: 83 } },
    ...{ rate: 1000, arrivals: "poisson", windowS: 7 },
  },
  {
    ...{ name: "log-normal with stalls", delay: SKEWED, stall: { everyMs: 3301, forMs: 503 } },
    ...{ rate: 400, arrivals: "poisson", windowS: 10 },
  },
  {
    ...{ name: "2000 requests/s", delay: { constantMs: 1 }, stall: null },
    ...{ rate: 2000, arrivals: "poisson", windowS: 11 },
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
 * at its intended start: to the end of the pause if the server did not look then, its delay, to the
 * end of the stall if the answer is due in one, and what the server itself was late by. When the
 * generator sent it, and when it noticed the answer, does not enter.
 *
 * @param arrivalsUs Intended starts in µs of Unix time, ascending; the n-th is the server's n-th.
 * @returns Microseconds.
 */
export function trueResponsesUs(
  arrivalsUs: number[],
  { stalls, pauses, requests }: ServerLog,
): number[] {
  const released = (dueUs: number) => endOfSpan(stalls, dueUs);
  return arrivalsUs.map((arrivalUs, n) => {
    const [read, delay, written] = requests[n]!;
    const lateUs = written - released(read + delay);
    return released(endOfSpan(pauses, arrivalUs) + delay) + lateUs - arrivalUs;
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

/** How far a percentile is off: at most 1 when within 1 % or 2 ms. */
export function excess(measuredMs: number, trueMs: number): number {
  const errorMs = Math.abs(measuredMs - trueMs);
  return Math.min(errorMs / (trueMs * 0.01), errorMs / 2);
}

/**
 * The share of the generator's core that the host may take. Where it takes more, a case is run again:
 * its percentiles are those of a generator that was not running. What was found does not enter, only
 * how many of the arrivals lie beyond the highest percentile that may be shown.
 */
export function mostStolen({ rate, windowS }: AccuracyCase): number {
  const shown = Object.values(PERCENTS).filter((percent) =>
    leastRequests(percent) <= rate * windowS
  );
  return (1 - Math.max(...shown) / 100) / 2;
}

const ATTEMPTS = 5;

/** Time for further attempts, of all cases together, in seconds. */
const AGAIN_S = { partial: 90, full: 900 };

/** Runs all cases; the full set three times, with other seeds. */
export async function benchAccuracy(options: BenchOptions): Promise<AccuracyResult> {
  const { full, seed, signal, log } = options;
  const python = await benchPython(signal);
  await loadPolars();
  let [cases, worst, disturbed] = [0, 0, 0];
  let leftS = full ? AGAIN_S.full : AGAIN_S.partial;
  for (let repeat = 0; repeat < (full ? 3 : 1); repeat++) {
    for (const one of CASES) {
      let least = { stolen: Infinity, found: Infinity };
      const most = mostStolen(one);
      for (let attempt = 1; attempt <= ATTEMPTS && least.stolen > most; attempt++) {
        const begun = performance.now();
        const before = stolenS();
        const found = await measure(one, seed + repeat, python, signal, log);
        const tookS = (performance.now() - begun) / 1000;
        const stolen = (stolenS() - before) / tookS;
        if (stolen < least.stolen) least = { stolen, found };
        if (stolen > most) log(`the host took ${(100 * stolen).toFixed(2)} % of that core's time`);
        if (attempt > 1) leftS -= tookS;
        if (leftS < tookS) break;
      }
      if (least.stolen > most) disturbed++;
      worst = Math.max(worst, least.found);
      cases++;
    }
  }
  return {
    cases,
    worst_excess: Number(worst.toFixed(3)),
    disturbed,
    ...(full ? {} : { partial: true }),
  };
}

/** Time that the host has taken from the generator's core, in seconds. */
function stolenS(): number {
  const stat = readFileSync("/proc/stat", "utf8");
  return parseHostCpu(stat.slice(stat.indexOf(`cpu${CLIENT_CORE} `))).stolenS;
}

async function measure(
  one: AccuracyCase,
  seed: number,
  python: string,
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<number> {
  const { rate, arrivals, windowS } = one;
  using folder = new BenchFolder();
  const schedule = JSON.stringify({ delay: one.delay, stall: one.stall, seed });
  await using server = await BenchServer.start(python, "reference_server.py", [schedule]);
  await using _awake = keepAwake(python);
  const warmUpS = 1;
  const load = { ...LOAD, users: null, arrivalRate: rate, arrivals };
  await runLocust({
    ...{ python, host: server.url, scenario: load, seed, warmUpS, windowS },
    ...{ folder: folder.path, contract: folder.contract, signal, realtime: true },
  });
  const serverLog: ServerLog = JSON.parse(await server.stop());
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

  const { stdout } = await runCommand("list the arrivals", [
    python,
    ...[script("print_schedule.py"), join(ROOT, "locust"), arrivals, String(rate)],
    ...[String(seed), String(warmUpS + windowS + 3)],
  ]);
  const offsets: number[] = JSON.parse(stdout);
  const arrivalsUs = offsets.slice(0, seen).map((offset) => final.loadStartUs + offset);
  const inWindow = trueResponsesUs(arrivalsUs, serverLog)
    .filter((_, n) => final.windowStartUs <= arrivalsUs[n]! && arrivalsUs[n]! < final.windowEndUs);
  const truth = percentilesMs(Float64Array.from(inWindow).sort());

  const window = { startUs: final.windowStartUs, endUs: final.windowEndUs };
  const cut = cutWindow(await readRequests(folder.path), window, true);
  const measured = percentilesMs(responseTimes(cut).sorted);
  let worst = 0;
  const shown: string[] = [];
  for (const [name, trueMs] of Object.entries(truth)) {
    const found = measured[name as keyof typeof measured];
    if (trueMs === null) continue;
    worst = Math.max(worst, found === null ? Infinity : excess(found, trueMs));
    shown.push(`${name} ${found?.toFixed(2)} (${trueMs.toFixed(2)})`);
  }
  log(
    `${one.name}, ${rate}/s ${arrivals}: ${shown.join(", ")} ms, in brackets the truth; ` +
      `${final.arrivals} arrivals, ${final.late} late, excess ${worst.toFixed(2)}`,
  );
  return worst;
}
