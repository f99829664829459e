/**
 * How a study is read: what it is, what was run, its throughput and latency, what failed, its open
 * loop, and what stands for all that in a functional check.
 */

import type { StudyContext, Turns } from "../stats/context.ts";
import type { Estimate } from "../stats/summary.ts";
import { measureWords } from "./claims.ts";
import { figureTitles } from "./figures.ts";
import {
  capitalise,
  formatCount,
  formatInterval,
  formatList,
  formatNumber,
  formatPart,
  formatSpan,
} from "./format.ts";
import { loadWords } from "./load.ts";

/** A study in a few lines, and its warnings. */
export const studyWords = {
  study: (name: string, plan: string, arms: readonly string[], levels: readonly string[]) =>
    `Study ${name} of plan ${plan}: ${arms.join(", ")}; ${levels.join(", ")}`,
  runs: (accepted: number, rejected: number, failed: number, toCome: number) =>
    `${formatCount(accepted, "run")} accepted, ${rejected} rejected, ${failed} failed, ` +
    `${toCome} to come`,
  where:
    "conclusion(results) answers, describeStudy(results) says what was measured; its numbers are in " +
    "results.scenarios, .ratios and .runs, its requests in await results.requests(id)",
  unequalWork: (arm: string, what: readonly string[]) =>
    `${arm}: ${what.join("; ")}; it is left out of all comparisons`,
  otherPlan: (others: number, all: number) =>
    `plan.json is not the plan of ${formatPart(others, all, "run")}: ` +
    "it was changed, or read by a version with other settings",
  unreadable: (arm: string, fault: string) => `${arm}: the run cannot be read (${fault})`,
  fault: (file: string, line: number | null, what: string) =>
    `${file}${line === null ? "" : `, line ${line}`}: ${what}`,
} as const;

/** A claim, then the highest value with its spread and where it was; a single run has no spread. */
function highest(claim: string, of: string, value: string, spread: string | null, place: string) {
  const around = spread === null ? " in a single run" : `, ${spread}`;
  return `${claim}. The highest ${of} was ${value}${around}: ${place}.`;
}

/** How arms took turns, and in how many blocks. */
function explainTurns({ starts, planned, sliceS, warmUpS, blocks }: Turns): string {
  return "; arms that are compared stand side by side and take turns. " +
    (starts === 0 || starts === planned
      ? formatCount(planned, "start")
      : formatPart(starts, planned, "start")) +
    `, in each a warm-up of at least ${warmUpS} s per arm, then ` +
    `blocks in which each arm has a slice of ${sliceS} s or more, in random order` +
    (blocks.length === 0 ? ". " : `: ${formatSpan(blocks, String)} blocks per arm. `);
}

/** Every sentence that reads a study. */
export const narrativeWords = {
  noRun: `${figureTitles.noRun}.`,
  noneAccepted: (why: string) => `No run was accepted: ${why}.`,
  checkOnly: "**Functional check only.**",
  /** What was run, and how much of it is there. */
  study: (
    { plan, rounds, windowS, warmUpS, turns }: StudyContext,
    at: string,
    { arms, runs, further, missing }: Record<"arms" | "runs" | "further" | "missing", number>,
  ) =>
    `Plan \`${plan}\`: ${formatCount(arms, "arm")} ${at}` +
    (turns === null
      ? `, ${formatCount(rounds, "round")} of ${windowS} s windows after ${warmUpS} s of warm-up: `
      : explainTurns(turns)) +
    `${formatCount(runs, "run")}, ` +
    (further > 0
      ? `${further} of them in further ${
        turns === null ? "rounds" : "starts"
      } of undecided comparisons, `
      : "") +
    (missing === 0
      ? "all complete."
      : `${runs - missing} complete so far, ${formatCount(missing, "run")} to come.`),
  sharedCores: (cores: number) =>
    `Load generator, app and database shared ${formatCount(cores, "core")}.`,
  ownCores: (cpuSets: readonly string[]) =>
    `Load generator, app, PgBouncer and database each had dedicated cores (${cpuSets.join("; ")}).`,
  note: (warning: string) => `> **Note:** ${warning}`,
  moreFaults: (n: number) => `${formatCount(n, "more warning")} like these.`,
  sentence: (text: string) => `${capitalise(text)}.`,
  throughput: (claim: string, rps: Estimate, n: number, place: string) => {
    const value = `${formatNumber(rps.value)} correct answers per second`;
    const interval = formatInterval(rps);
    const spread = interval === "" ? null : `95% interval ${interval}, n = ${n}`;
    return highest(claim, measureWords.throughput, value, spread, place);
  },
  latency: (
    claim: string,
    name: string,
    least: boolean,
    estimate: Estimate,
    n: number,
    place: string,
  ) => {
    const value = loadWords.time(estimate.value, least);
    const range = formatInterval(estimate);
    const spread = range === "" ? null : `median of ${formatCount(n, "run")}, range ${range}`;
    return highest(claim, name, value, spread, place);
  },
  lowerBounds: (cells: number) =>
    `In ${formatCount(cells, "cell")} too many requests had no answer when the load ended: ` +
    `percentiles there are lower bounds, marked ≥.`,
  noneFailed: (runs: number) => `No failure in ${formatCount(runs, "run")}.`,
  failed: (failed: number, runs: number) =>
    `${formatPart(failed, runs, "run")} failed and ${failed === 1 ? "enters" : "enter"} no mean:`,
  unaccepted: (runs: number, status: "rejected" | "failed", reasons: readonly string[]) =>
    `${formatCount(runs, "run")} ${status} (${reasons.join("; ")})`,
} as const;

/** Its answer, and what stands for a comparison. */
export const checkWords = {
  reading: (measure: string) => `**Functional check only:** ${measure} is not compared.`,
  answer: (
    good: number,
    planned: number,
    broken: readonly string[],
    windowS: number,
    isInTurns: boolean,
  ) =>
    `**Functional check only: ${formatPart(good, planned, "run")} ran, were verified and were ` +
    `counted.**` +
    (broken.length === 0
      ? ""
      : ` What did not: ${formatList(broken)}; the cause is in the table.`) +
    ` Its ${isInTurns ? "slices" : "windows"} of ${windowS} s are too ` +
    `${isInTurns ? "few" : "short"} to compare anything: run the plan \`frameworks\` for a ` +
    `first answer, and \`reference\` for one to share.`,
} as const;

const NONE = figureTitles.noOpenLoop;

/** An open loop's reading; or why there is none. */
export const openLoopWords = {
  notAsked: `${NONE}: the study's plan asks for none.`,
  toCome: `${NONE} yet: all runs of it are to come.`,
  studyFirst: (runs: number) =>
    `${NONE} yet: the study itself needs ${formatCount(runs, "more run")} first.`,
  ownUsers: `${NONE}: the users of the apps' own locustfiles decide when they send.`,
  noRates: (unaccepted: string) =>
    `${NONE}, as its arrival rates are shares of what accepted closed-loop runs answered, ` +
    `and none was accepted: ${unaccepted}.`,
  leftOutForRates: (arms: readonly string[]) =>
    `Left out: ${formatList(arms)}, as no accepted closed-loop run gives them an arrival rate.`,
  leftOutForUsers: (arms: readonly string[]) =>
    `Left out: ${formatList(arms)}, as the users of their own locustfiles decide when they send.`,
  notRun: "not run",
  tooFew: (path: string) => `${path} with too few requests`,
  waited: (path: string, ms: number, isBound: boolean) => `${path} ${loadWords.time(ms, isBound)}`,
  pair: (pair: string, at: string, direct: string, pooled: string) =>
    `${direct} and ${pooled} for ${pair} ${at}`,
  highest: (percentile: number, pairs: readonly string[], rounds: number) =>
    `P${percentile} response time at the highest rate, ` +
    `${rounds === 1 ? "in one run each" : `medians of up to ${rounds} runs`}: ${pairs.join("; ")}.`,
  rejections: (reasons: readonly string[]) =>
    `**Rejected, in no comparison:** ${capitalise(reasons.join("; "))}.`,
  failures: (runs: number, causes: readonly string[]) =>
    `${formatCount(runs, "run")} failed: ${causes.join("; ")}.`,
} as const;
