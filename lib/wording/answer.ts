/** The answer of a study: its headlines, the numbers behind them, and how far they go. */

import type { Estimate } from "../stats/summary.ts";
import {
  capitalise,
  formatCount,
  formatList,
  formatPercentUp,
  formatRatio,
  formatRatioEstimate,
  formatRounds,
  formatSlowdown,
  formatSpan,
} from "./format.ts";
import { claimWords } from "./claims.ts";
import { poolerWords } from "./telemetry.ts";

/** What several comparisons of one outcome say, pooled over direct. */
interface Headline {
  ratios: readonly number[];
  /** The largest difference that is left possible, as a share. */
  unresolved: number;
  /** How many times as much the one that is ahead answered at least. */
  factor: number;
}

function ahead(path: "direct" | "pooled", at: string, { factor }: Headline): string {
  return `${path} answered at least ${factor} times as much ${at} ` +
    `(too few runs were accepted for an interval)`;
}

/** By what came of comparisons, at their levels of load; in the order in which an answer says them. */
const headlines = {
  helped: (at: string, { ratios }: Headline) =>
    `yes, ${formatSpan(ratios, formatRatio)} the throughput ${at}`,
  cost: (at: string, { ratios }: Headline) => {
    const costs = formatSpan(ratios.map((ratio) => 1 - ratio), formatPercentUp);
    return `no, it costs ${costs} of the throughput ${at}`;
  },
  unexplained: poolerWords.unexplained,
  alike: (at: string, { unresolved }: Headline) =>
    `no difference of more than ${formatPercentUp(unresolved)} in throughput ${at}`,
  noisy: (at: string) => `too noisy to say ${at}`,
  open: (at: string) => `${claimWords.verdict.open} ${at}`,
  single: (at: string) => `${claimWords.verdict.single} ${at}`,
  onlyPooled: (at: string) => `only the pooled path held ${at}`,
  pooledAhead: (at: string, headline: Headline) => ahead("pooled", at, headline),
  unexplainedAhead: (at: string, headline: Headline) =>
    `${ahead("pooled", at, headline)}, without a trace that explains it`,
  directAhead: (at: string, headline: Headline) => ahead("direct", at, headline),
  none: (at: string) => `undecided ${at}`,
};

const throughput = {
  higher: "pooled throughput higher",
  lower: "pooled throughput lower",
  indistinguishable: "pooled over direct throughput",
  open: "throughput not decided yet",
  single: claimWords.verdict.single,
};

const twice = "run twice under two names (A/A)";

/** Every sentence of the answer; `at` is where it holds, as `atLevels()` says it. */
export const answerWords = {
  headlines,
  /** An app with its settings. */
  app: (label: string, reuse: string) => `${label}, reuse \`${reuse}\``,
  headline: (app: string, parts: readonly string[], spares: boolean, help: string) =>
    `- **${app}: ${parts.join("; ")}` +
    (spares ? ", but it spares PostgreSQL work or connections.**" : ".**") +
    (help === "" ? "" : ` ${capitalise(help)}.`),
  foundNothing: "no slowdown would have been found reliably",
  couldMiss: (ratio: number) =>
    `a slowdown of less than ${formatSlowdown(ratio)} could have been missed`,
  remains: (share: number) => `a difference of up to ${formatPercentUp(share)} remains possible`,
  tooManyRounds: (found: string, target: number) =>
    `${found}; in this noise no practical number of rounds would find ${formatSlowdown(target)}: ` +
    `measure longer windows, on a machine with nothing else to do`,
  tooManyMinutes: (found: string, target: number) =>
    `${found}; in this noise no practical number of minutes would find ${
      formatSlowdown(target)
    }: ` +
    "measure on a machine with nothing else to do",
  moreMinutes: (found: string, target: number, minutes: number) =>
    `${found}; about ${
      formatCount(Math.ceil(minutes), "more minute")
    } (\`--minutes\`) would find ` +
    `${formatSlowdown(target)} in this noise`,
  moreStarts: (found: string, target: number, starts: number, minutes?: number) =>
    `${found}; starts differ too much for more minutes of each: ${formatCount(starts, "start")} ` +
    `(\`--rounds ${starts}${minutes === undefined ? "" : ` --minutes ${minutes}`}\`) would find ` +
    `${formatSlowdown(target)} in this noise`,
  moreRounds: (found: string, target: number, rounds: number, minutes: number) =>
    `${found}; about ${formatCount(rounds, "more round")} ` +
    `(${formatCount(Math.ceil(minutes), "more minute")}) would find ${formatSlowdown(target)} ` +
    "in this noise",
  explained: "Why, what would change it, and what to set",
  explainedApp: (app: string) => `- **${app}**`,
  inNumbers: "In numbers",
  numbers: (
    app: string,
    parts: readonly string[],
    made: readonly { n: number; blocks: number }[],
    differences: readonly string[],
  ) =>
    `- ${app}: ${parts.join("; ")}` +
    (made.length === 0
      ? "."
      : made.some(({ blocks }) => blocks === 0)
      ? ` (n = ${formatSpan(made.map(({ n }) => n), String)}).`
      : ` (${formatRounds(made)}).`) +
    (differences.length === 0
      ? ""
      : ` The arms differ in ${formatList(differences)} too: this is not the path's effect alone.`),
  throughput: (state: keyof typeof throughput, at: string, ratios: readonly Estimate[]) =>
    `${throughput[state]} ${at} (${formatList(ratios.map(formatRatioEstimate))})`,
  alone: (ratios: readonly { at: string; ratio: Estimate }[]) =>
    `each load by itself, as if no other had been looked at: ${
      formatList(ratios.map(({ at, ratio }) => `${formatRatioEstimate(ratio)} ${at}`))
    }`,
  missing: (at: string, missing: string) => `${at} ${missing}`,
  latency: (name: string, relation: "below" | "above", at: string, ratios: readonly number[]) =>
    `P95 ${name} of every pooled run ${relation} that of every direct run ${at} ` +
    `(medians: ${formatList(ratios.map(formatRatio))})`,
  /** With the loads at which it is not decided yet, and those with too few requests. */
  latencyInTurns: (
    name: string,
    ratios: readonly { at: string; ratio: Estimate }[],
    open: string | null,
    few: string | null,
  ) => {
    const told = ratios.map(({ at, ratio }) => `${formatRatioEstimate(ratio)} ${at}`);
    const parts = [
      told.length === 0 ? [] : `pooled over direct ${formatList(told)}`,
      open === null ? [] : `${claimWords.verdict.open} ${open}`,
      few === null ? [] : `${claimWords.tooFewRequests} ${few}`,
    ];
    return `P95 ${name}: ${parts.flat().join(", ")}`;
  },
  overlap: (name: string, at: string) => `P95 ${name}: the ranges overlap ${at}`,
  bounded: (name: string) =>
    `P95 ${name}: only lower bounds are known, too many had no answer in time`,
  tooFew: (name: string) => `P95 ${name}: too few runs or requests to compare`,
  copyDiffers: (copy: string, value: string) =>
    `**${copy}, ${twice}, came out different (${value}): do not trust this study's verdicts.**`,
  copyAgrees: (copy: string, value: string) =>
    `${copy}, ${twice}, was indistinguishable from itself: ${value}.`,
  copyOpen: (copy: string, value: string) => `${copy}, ${twice}, is not decided yet: ${value}.`,
  noPair: "No conclusion about PgBouncer: this study has no pair of direct and pooled arms.",
  scope: (database: string, network: string | null) =>
    "These answers hold for this machine, these settings and the way each app reuses its " +
    `connections; ${database}${network === null ? "" : `; ${network}`}.`,
  sharedCores: (cores: number) =>
    `The load generator shared ${formatCount(cores, "core")} with what it measured, so absolute ` +
    "numbers are not the apps' limits.",
  incomplete: (runs: number) => `The study is incomplete: ${formatCount(runs, "run")} to come.`,
  pooledToDirect: (pair: string, at: string) => `${pair}, pooled to direct ${at}`,
  armToArm: (other: string, base: string, at: string) => `${other} to ${base} ${at}`,
} as const;
