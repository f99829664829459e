/**
 * How a study is read: what was run, its throughput and latency, and what failed.
 *
 * @module
 */

import type { Plan } from "../plan.ts";
import type { LoadLevel } from "../scenario.ts";
import type { Estimate } from "../stats/summary.ts";
import { atLevels, capitalise, formatCount, formatInterval, formatNumber } from "./format.ts";

/** What is measured, in the middle of a sentence. */
export const measures = { throughput: "throughput", latency: "latency" } as const;

/** Every sentence that reads a study, and an arm at its loads. */
export const narrativeWords = {
  place: (arm: string, levels: readonly LoadLevel[]) => `${arm} ${atLevels(levels)}`,
  noRun: "No run is complete yet.",
  noneAccepted: (why: string) => `No run was accepted: ${why}.`,
  checkOnly: "**Functional check only.**",
  /** What was run, and how much of it is there. */
  study: (
    { name, rounds, windowS, warmUpS }: Pick<Plan, "name" | "rounds" | "windowS" | "warmUpS">,
    at: string,
    { arms, runs, further, missing }: Record<"arms" | "runs" | "further" | "missing", number>,
  ) =>
    `Plan \`${name}\`: ${formatCount(arms, "arm")} ${at}, ${
      formatCount(rounds, "round")
    } of ${windowS} s windows after ${warmUpS} s of warm-up: ${formatCount(runs, "run")}${
      further > 0 ? `, ${further} of them in further rounds of undecided comparisons` : ""
    }, ${
      missing === 0
        ? "all complete"
        : `${runs - missing} complete so far, ${formatCount(missing, "run")} to come`
    }.`,
  sharedCores: (cores: number) =>
    `Load generator, app and database shared ${formatCount(cores, "core")}.`,
  ownCores: (cpuSets: readonly string[]) =>
    `Load generator, app, PgBouncer and database each had cores of their own (${
      cpuSets.join("; ")
    }).`,
  note: (warning: string) => `> **Note:** ${warning}`,
  moreFaults: (n: number) => `${formatCount(n, "more fault")} of files like these.`,
  sentence: (text: string) => `${capitalise(text)}.`,
  throughput: (claim: string, rps: Estimate, n: number, place: string) => {
    const interval = formatInterval(rps);
    return `${claim}. The highest throughput was ${
      formatNumber(rps.value)
    } correct answers per second${
      interval === "" ? " in a single run" : `, 95% interval ${interval}, n = ${n}`
    }: ${place}.`;
  },
  percentile: (percentile: number, latency: string) => `P${percentile} ${latency}`,
  latency: (
    claim: string,
    name: string,
    least: boolean,
    estimate: Estimate,
    n: number,
    place: string,
  ) => {
    const range = formatInterval(estimate);
    return `${claim}. The highest ${name} was ${least ? "at least " : ""}${
      formatNumber(estimate.value)
    } ms${range === "" ? " in a single run" : `, median of ${n} runs, range ${range}`}: ${place}.`;
  },
  lowerBounds: (cells: number) =>
    `In ${formatCount(cells, "cell")} too many requests had no answer when the load ended: their ` +
    `percentiles are lower bounds, marked ≥.`,
  noneFailed: (runs: number) => `None of the ${formatCount(runs, "run")} failed.`,
  failed: (failed: number, runs: number) =>
    `${formatCount(failed, "run")} of ${runs} failed. They count as failed, and enter no mean:`,
  unaccepted: (runs: number, status: "rejected" | "failed", reasons: readonly string[]) =>
    `${formatCount(runs, "run")} ${status} (${reasons.join("; ")})`,
  /** What became of a scenario's runs. */
  status: (runs: number, all: number, status: "rejected" | "failed", cause: string) =>
    `${runs === all ? status : `${runs} of ${all} ${status}`}: ${cause}`,
  ok: "ok",
} as const;
