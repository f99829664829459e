/** Comparisons of throughput, as they were decided and as they are read. */

import type { ComparisonResult } from "../stats/family.ts";
import type { Estimate } from "../stats/summary.ts";
import {
  formatCount,
  formatList,
  formatPercent,
  formatRatio,
  formatRatioEstimate,
  formatRounds,
  formatSlowdown,
} from "./format.ts";
import { claimWords } from "./claims.ts";
import { captionWords, figureTitles } from "./figures.ts";

/**
 * How a comparison may be worded, or null where its ratio speaks for itself: a difference inside
 * the noise is never called one, and says what would have been found.
 *
 * @param result The comparison.
 */
export function describeNoDifference(
  { verdict, open, detectable }: Pick<ComparisonResult, "verdict" | "open" | "detectable">,
): string | null {
  switch (verdict) {
    case "higher":
    case "lower":
      return null;
    case "none":
      return "no round in which both arms count";
    case "single":
      return claimWords.verdict.single;
    case "indistinguishable": {
      const found = detectable === null
        ? "no difference would have been found reliably"
        : `a slowdown of ${formatSlowdown(detectable)} would have been found`;
      return `${claimWords.verdict[open ? "open" : "indistinguishable"]}: ${found}`;
    }
  }
}

/** Ratios, what they are corrected for, and what a study spent on them. */
export const ratioWords = {
  noRatio: (why: string | null) => `no ratio, ${why}`,
  single: (ratio: number, what: string | null) => `${formatRatio(ratio)}, ${what}`,
  difference: (verdict: string, ratio: Estimate, detectable: number | null) =>
    `${verdict}, ${formatRatioEstimate(ratio)}` +
    (detectable === null
      ? ""
      : `; a difference of ${formatSlowdown(detectable)} would have been found`),
  noDifference: (ratio: Estimate, what: string) => `${formatRatioEstimate(ratio)}, ${what}`,
  rounds: (
    ratio: string,
    made: Pick<ComparisonResult, "n" | "blocks" | "starts">,
  ) =>
    `${ratio}; ${made.blocks === 0 ? "" : "over "}${formatRounds([made])}` +
    (made.starts === 1 ? `, ${captionWords.oneStart}` : ""),
  /** What a table's intervals hold. */
  intervals: (comparisons: number, byBlock: boolean, isOneStart: boolean, isEarly: boolean) =>
    `paired by ${byBlock ? "block" : "round"}; ` +
    (isEarly
      ? `t intervals, ${captionWords.early}`
      : comparisons > 1
      ? `intervals are simultaneous over ${comparisons} comparisons`
      : "95% t intervals") +
    (isOneStart ? `, ${captionWords.oneStart}` : "") +
    "; a detectable slowdown is found in 90% of studies like this",
  verdicts: { ...claimWords.verdict, none: "no ratio" },
  ofPaths: { higher: "pooled higher", lower: "pooled lower" },
  ofArms: { higher: "faster", lower: "slower" },
  noDifferences: "none",
  simultaneous: (comparisons: number) =>
    `The ${comparisons} intervals of this study are simultaneous: in 95% of studies all of them ` +
    `contain their ratio, and at most 5% of studies call any equal arms different.`,
  early:
    "No look at the data is complete yet: the intervals are provisional, and more than 5% of " +
    "them miss in studies that are stopped by what they show.",
  /** A ratio carries the noise of two runs. */
  noise: (deviation: number, rounds: number) =>
    `A run's noise was ${formatPercent(deviation / Math.SQRT2)} (coefficient of variation, over ` +
    `${formatCount(rounds, "round")} of all comparisons).`,
  scatterOfStarts: (deviation: number, starts: number) =>
    `A ratio of one start scattered by ${formatPercent(deviation)} (standard deviation, over ` +
    `${formatCount(starts, "start")} of all comparisons).`,
  fixedRounds: (rounds: number, looks: readonly number[], isInTurns: boolean) =>
    `The plan has ${formatCount(rounds, isInTurns ? "start" : "round")} and no further ones` +
    (looks.length === 1
      ? "."
      : `; intervals allow for looks after ${formatList(looks.map(String))} of them.`),
  spent: (
    comparisons: number,
    ends: readonly string[],
    looks: readonly number[],
    most: number,
    isInTurns: boolean,
  ) =>
    `Of ${formatCount(comparisons, "comparison")}, ${formatList(ends)}; looks at ` +
    `${formatList(looks.map(String))} ${isInTurns ? "starts" : "rounds"}, of at most ${most}.`,
  ended: (comparisons: number, rounds: number, isInTurns: boolean) =>
    `${comparisons} ended after ${formatCount(rounds, isInTurns ? "start" : "round")}`,
  undecided: (comparisons: number) => `${comparisons} undecided`,
  open: (comparisons: number) => `${comparisons} ${claimWords.verdict.open}`,
  noPairs: `${figureTitles.noPair}.`,
  pathRatios: "Pooled over direct throughput:",
  noArmRatios: `${figureTitles.noOtherArm}. A plan file asks for a copy with \`"replica": 1\`; ` +
    "`reference` has one.",
  armRatios: "Throughput of one arm over another:",
  falseAlarm: ". **The same arm twice came out different: do not trust this study's verdicts**",
} as const;
