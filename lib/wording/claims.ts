/**
 * Claims about comparisons, and the names of what is compared: parts of titles and of sentences.
 */

import type { LoadLevel, Path } from "../scenario.ts";
import { MIN_RUNS } from "../stats/interval.ts";
import {
  atLevels,
  capitalise,
  formatList,
  formatPart,
  formatRatio,
  formatSpan,
  nounFor,
} from "./format.ts";

/** Measures as claims name them. */
export const measureWords = {
  throughput: "throughput",
  latency: "latency",
  service: "service time",
  response: "response time",
  latencyAtEqualLoad: "latency at equal load",
  whereTimeWent: "where time went",
  percentile: (percentile: number, name: string) => `P${percentile} ${name}`,
  atEqualRates: (measure: string) => `${measure} at equal arrival rates`,
} as const;

const OUTCOMES = { failed: "failed", rejected: "rejected" };

const UNDECIDED = {
  indistinguishable: "indistinguishable",
  noisy: "too noisy to tell apart",
  open: "not decided yet",
  single: "one round decides nothing",
  overlap: "ranges overlap",
  few: `fewer than ${MIN_RUNS} runs`,
  bounded: "only lower bounds",
};

/** By how much something differs, and where: see `factor` and `atLeast`. */
interface Factor {
  factor: string;
  cell: string;
}

function listFactors(factors: readonly Factor[], whose = ""): string {
  return formatList(
    factors.map(({ factor, cell }, i) => `${factor}${i === 0 ? whose : ""} for ${cell}`),
  );
}

/** A list of names that would fill a line by itself is shortened to one word. */
const LONG = 60;

/**
 * The parts of claims and of the sentences on failures. A `cell` is an arm or a pair at its load; an
 * arm's `name` goes without it.
 */
export const claimWords = {
  clauses: (clauses: readonly string[]) => capitalise(clauses.join("; ")),
  pair: (label: string, notes: readonly string[]) =>
    notes.length === 0 ? label : `${label} (${notes.join("; ")})`,
  settingsDiffer: (settings: readonly string[]) =>
    `${formatList(settings)} ${nounFor(settings.length, "differs", "differ")}`,
  differ: (settings: readonly string[]) =>
    `${claimWords.settingsDiffer(settings)} between the paths`,
  cell: (name: string, levels: readonly LoadLevel[]) => `${name} ${atLevels(levels)}`,

  ...OUTCOMES,
  verdict: UNDECIDED,
  path: (path: Path, outcome: keyof typeof OUTCOMES) => `${path} ${OUTCOMES[outcome]}`,
  bothPaths: { failed: "both paths failed", rejected: "both paths rejected" },
  noCommonRound: "no common round",
  tooFewRequests: "too few requests",
  cellFailed: (cell: string, cause: string) => `${cell} failed: ${cause}`,
  runsFailed: (cell: string, failed: number, runs: number, cause: string) =>
    `${cell}, ${formatPart(failed, runs, "run")} failed: ${cause}`,
  runsOf: (cell: string, some: number, runs: number) =>
    `${cell} (${formatPart(some, runs, "run")})`,
  because: (cell: string, reason: string) => `${cell}: ${reason}`,
  shared: (reason: string, cells: readonly string[]) => `${reason}: ${formatList(cells)}`,

  noPair: (measure: string) => `${measure}, without a comparison of paths`,
  oneRun: (measure: string) => `One run per cell cannot settle ${measure}`,
  oneRunOf: (cells: readonly string[]) => `${UNDECIDED.single} for ${formatList(cells)}`,
  nothing: (measure: string, missing: readonly string[]) =>
    `No ${measure} to compare: ${missing.join("; ")}`,
  missing: (what: readonly string[], cell: string) => `${formatList(what)} for ${cell}`,

  factor: (ratios: readonly number[]) => formatSpan(ratios, formatRatio),
  atLeast: (ratios: readonly number[]) => `at least ${Math.min(...ratios)}×`,
  lead: (measure: string, [leader, other]: readonly [Path, Path], factors: readonly Factor[]) =>
    `${leader} ${measure} is ${listFactors(factors, ` ${other}'s`)}`,
  alike: (measure: string, verdict: keyof typeof UNDECIDED, names: readonly string[]) => {
    const list = formatList(names);
    if (verdict === "overlap") return `runs of direct and pooled overlap in ${measure} for ${list}`;
    if (verdict === "few") {
      return `fewer than ${MIN_RUNS} runs per cell are too few to describe ${measure} for ${list}`;
    }
    return `direct and pooled ${measure} are ${UNDECIDED[verdict]} for ${list}`;
  },
  undecided: (verdict: keyof typeof UNDECIDED, names: readonly string[]) =>
    `${UNDECIDED[verdict]} for ${formatList(names)}`,
  elsewhere: (verdict: keyof typeof UNDECIDED, cells: readonly string[]) => {
    const list = formatList(cells);
    return `${UNDECIDED[verdict]} ${list.length > LONG ? "elsewhere" : `for ${list}`}`;
  },

  apart: (
    measure: string,
    relation: "above" | "below",
    factors: readonly Factor[],
    isFirst: boolean,
  ) => {
    const list = listFactors(factors);
    return isFirst
      ? `in every run, pooled ${measure} is ${relation} direct's: ${list}`
      : `${relation} it: ${list}`;
  },

  armTwice: (arm: string) => `${arm} twice (A/A)`,
  armOver: (other: string, base: string) => `${other} over ${base}`,
  armFaster: (arm: string, isFaster: boolean, ratio: number) =>
    `${arm} is ${isFaster ? "faster" : "slower"}, ${formatRatio(ratio)}`,
  settings: {
    different: (arms: readonly string[]) => formatList(arms),
    alike: "No setting made a difference that was found",
    open: "The settings are not decided yet",
  },
  replica: {
    different: (arms: readonly string[]) =>
      `the same arm twice came out different: ${formatList(arms)}`,
    alike: "the same arm twice is indistinguishable",
    open: "the same arm twice is not decided yet",
  },
} as const;
