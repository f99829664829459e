/**
 * Decides the comparisons of one report together and in looks: which arms differ, by how much, and
 * which scenarios need more rounds. The method, from the inside out:
 *
 * - A comparison is the ratio of two arms, paired by round, with a t statistic of the logarithms, or
 *   by the blocks of each round ({@linkcode estimateRatios}). Its interval keeps its coverage from three rounds on, where a bootstrap of three values does
 *   not (`deno task bench statistics` compares them on recorded noise).
 * - Over the comparisons of a family, Holm's step-down rule ("A simple sequentially rejective
 *   multiple test procedure", Scandinavian Journal of Statistics 6(2), 1979): with `h` comparisons
 *   undecided, each is tested at `alpha / h`. However they depend on each other, at most `alpha` of
 *   all studies raise a false alarm.
 * - Over looks, each of these tests is group-sequential, with the nominal levels of
 *   {@linkcode nominalLevels} (Ye, Li, Liu & Yao, Statistics in Medicine 32(7), 2013; reviewed by
 *   Tamhane, Xi & Gou, Statistics in Medicine 40(24), 2021). Where arms take turns and the number of
 *   starts is fixed, looks at a third, two thirds and all of them end no comparison: each decides all of
 *   them anew, so that what is shown meanwhile, or of a study that was stopped, holds as well.
 * - The interval of a comparison is the repeated confidence interval of the look at which it ended
 *   (Jennison & Turnbull, Journal of the Royal Statistical Society B 51(3), 1989) at Bonferroni's
 *   level `alpha / m`, so that in 95% of studies the intervals of *all* `m` comparisons contain
 *   their ratios. A comparison is called different exactly when its interval lies on one side of 1:
 *   where Holm's level, never below Bonferroni's, decides first, the interval is cut at 1, with Holm's
 *   guarantee for the direction. (Intervals that follow Holm's rule throughout would end at 1 for
 *   nearly everything that it decides: Strassburger & Bretz, Statistics in Medicine 27(24), 2008.)
 */

import { estimateRatios, type RatioMoments, type RoundPair } from "./blocks.ts";
import { detectableRatio, RATIO_TO_FIND } from "./detectable.ts";
import { geometricMean, type Moments } from "./interval.ts";
import { twoSidedP } from "./probability.ts";
import { nominalLevels } from "./spending.ts";
import type { Estimate } from "./summary.ts";

export interface Comparison {
  id: string;
  /** The scenarios that it takes, by id: they get more rounds together. */
  scenarios: readonly string[];
  /** Rounds, from the first on, that both scenarios have completed, failed runs among them. */
  rounds: number;
  /** The rounds in which both runs succeeded. */
  pairs: readonly RoundPair[];
}

export type StoppingRule = ReturnType<typeof stoppingRule>;

/**
 * The rule of a plan with so many rounds, which undecided comparisons may exceed up to `maxRounds`: to
 * tell a slowdown of 20% in 90% of studies, with false alarms in at most 5% of them.
 *
 * @param isInTurns Whether arms take turns, so that comparisons are looked at between the starts, which
 * are its rounds. @default false
 */
export function stoppingRule(rounds: number, maxRounds: number = rounds, isInTurns = false) {
  const isFixed = isInTurns && maxRounds <= rounds;
  return {
    rounds,
    /** Rounds that no comparison exceeds; equal to `rounds` where a plan has no further ones. */
    maxRounds: Math.max(rounds, maxRounds),
    /** Rounds at each look, as far as they are known from the first on. */
    looks: isFixed
      ? [...new Set([Math.ceil(rounds / 3), Math.ceil(2 * rounds / 3), rounds])]
      : [rounds],
    /** Whether all rounds are made whatever a look shows, so that no look but the last ends anything. */
    isFixed,
    /** How the error is spent over the looks; see {@linkcode nominalLevels}. */
    exponent: isFixed ? 3 : 1,
    /** Share of studies that may raise a false alarm. */
    alpha: 0.05,
  };
}

/**
 * What may be said of a comparison: `higher` or `lower` where the arms differ, `indistinguishable`
 * where the difference is inside the noise, `single` with one common round that has no interval, `none` without any.
 */
export type ComparisonVerdict = "higher" | "lower" | "indistinguishable" | "single" | "none";

export interface ComparisonResult {
  id: string;
  /** Rounds behind the ratio: those up to the look at which it ended, without failed ones. */
  n: number;
  /** Blocks of these rounds, of which the ratio is made; 0 in the consecutive design. */
  blocks: number;
  /**
   * The most starts of any comparison of the family: with 1, differences from start to start are
   * unknown and not in the interval. 0 in the consecutive design.
   */
  starts: number;
  /** What of its squared error starts differ by, 0 to 1: more blocks of each do not make it smaller. */
  startsShare: number;
  /** Geometric mean of the ratios with its simultaneous 95% interval; null without a round. */
  ratio: Estimate | null;
  verdict: ComparisonVerdict;
  /** Rounds at the look at which it ended, failed ones among them; of an open one, those it has. */
  rounds: number;
  /** True while further rounds are wanted; the verdict is then not the last word. */
  open: boolean;
  /** True before the first look is complete: its interval is that of a study which was to end there. */
  isEarly: boolean;
  /** Two-sided level of the interval after all corrections, below 0.05; null without one. */
  level: number | null;
  /** The slowdown that would have been found in 90% of studies, as a ratio below 1; or null. */
  detectable: number | null;
  /** Standard deviation of the logarithm of a round's ratio; null without an interval. */
  deviation: number | null;
  /** Degrees of freedom of the interval; null without one. */
  df: number | null;
}

export type FamilyResult = ReturnType<typeof decideFamily>;

function pValue({ n, mean, deviation, df }: Moments): number {
  return df < 1 || mean === 0 ? 1 : twoSidedP(mean * Math.sqrt(n) / deviation, df);
}

/** Degrees of freedom that the rounds of a comparison come to: the more blocks of each, the more. */
function degreesOf(rounds: number, { n, blocks, df }: RatioMoments): number {
  return blocks === 0 ? rounds - 1 : Math.floor(df * rounds / n);
}

/**
 * The rounds at which a study looks, chosen from the noise of its first look (the pooled standard
 * deviation of the logarithm of a round's ratio): the last is the least number with which a slowdown of
 * 20% is found in 90% of studies at the level of the first of `m` comparisons; one look lies half
 * way. The noise says nothing of the means (an internal pilot: Wittes & Brittain, Statistics in
 * Medicine 9(1–2), 1990); `deno task bench statistics` simulates that choosing by it costs no error.
 *
 * @param dfOf Degrees of freedom of so many rounds. @default one less than rounds
 */
export function chooseLooks(
  rule: StoppingRule,
  deviation: number,
  m: number,
  dfOf: (rounds: number) => number = (rounds) => rounds - 1,
): number[] {
  const { rounds: first, maxRounds, alpha } = rule;
  const looksUpTo = (last: number) => [...new Set([first, Math.ceil((first + last) / 2), last])];
  for (let last = first; last < maxRounds; last++) {
    const looks = looksUpTo(last);
    const level = nominalLevels(looks, alpha / m).at(-1)!;
    const df = dfOf(last);
    const found = df < 1 ? null : detectableRatio(last, deviation, level, df);
    if (found !== null && found >= RATIO_TO_FIND) return looks;
  }
  return looksUpTo(maxRounds);
}

function pooledDeviation(all: readonly Moments[]): number | null {
  const several = all.filter(({ df }) => df >= 1);
  if (several.length === 0) return null;
  const squares = several.reduce((sum, { df, deviation }) => sum + df * deviation ** 2, 0);
  return Math.sqrt(squares / several.reduce((sum, { df }) => sum + df, 0));
}

/**
 * Decides all comparisons of a report as far as their rounds go. It keeps nothing between calls: the
 * looks are taken again, in order, so that a resumed study and a report come to the same end.
 *
 * @example
 * ```ts
 * import { decideFamily, stoppingRule } from "poolscope";
 *
 * const pairs = [110, 112, 108, 111, 109].map((other, i) => ({ round: i + 1, base: 100, other }));
 * const comparison = { id: "shop", scenarios: ["direct", "pooled"], rounds: 5, pairs };
 * const { comparisons, next } = decideFamily([comparison], stoppingRule(5));
 * console.assert(comparisons[0]!.verdict === "higher" && next === null);
 * ```
 */
export function decideFamily(comparisons: readonly Comparison[], rule: StoppingRule) {
  const m = comparisons.length;
  let { looks } = rule;
  let looked = 0;
  let deviation: number | null = null;
  let next: { rounds: number; scenarios: string[] } | null = null;
  let decided = 0;
  let open = [...comparisons];
  const results = new Map<Comparison, ComparisonResult>();

  for (let k = 0; open.length > 0; k++) {
    const rounds = looks[k]!;
    const waiting = open.filter((comparison) => comparison.rounds < rounds);
    const isComplete = waiting.length === 0;
    if (!isComplete) {
      // Nothing is tested before a look is complete: looking more often would cost error.
      next = { rounds, scenarios: [...new Set(waiting.flatMap(({ scenarios }) => scenarios))] };
      if (k > 0) break;
    } else looked = rounds;
    // Those that have ended still say how much starts differ.
    const estimates = estimateRatios(
      comparisons.map(({ pairs }) => pairs.filter(({ round }) => round <= rounds)),
    );
    const look = open.map((comparison) => {
      const moments = estimates[comparisons.indexOf(comparison)]!;
      return { comparison, moments, p: pValue(moments) };
    });
    if (isComplete && (k === 0 || rule.isFixed)) {
      deviation = pooledDeviation(look.map(({ moments }) => moments));
    }
    if (isComplete && k === 0 && deviation !== null && !rule.isFixed) {
      const measured = estimates.filter(({ df }) => df >= 1);
      const dfOf = (last: number) => Math.min(...measured.map((one) => degreesOf(last, one)));
      looks = chooseLooks(rule, deviation, m, dfOf);
    }
    const levelOf = (hypotheses: number) =>
      nominalLevels(looks, rule.alpha / hypotheses, rule.exponent)[k]!;
    const different = new Set<Comparison>();
    if (rule.isFixed) decided = 0;
    for (const { comparison, p } of isComplete ? look.toSorted((a, b) => a.p - b.p) : []) {
      if (p > levelOf(m - decided)) break;
      different.add(comparison);
      decided++;
    }
    const isLast = k === looks.length - 1;
    open = [];
    for (const { comparison, moments } of look) {
      const ends = isLast || !rule.isFixed && (different.has(comparison) || !(moments.df >= 1));
      const isOpen = !isComplete || !ends;
      results.set(comparison, {
        ...describe(moments, levelOf(m), different.has(comparison)),
        id: comparison.id,
        rounds: Math.min(rounds, comparison.rounds),
        open: isOpen,
        isEarly: !isComplete,
      });
      if (isOpen) open.push(comparison);
    }
    if (!isComplete) break;
  }
  return {
    comparisons: comparisons.map((comparison) => results.get(comparison)!),
    /** Rounds at each look; only the first until that has been taken, where that chooses the others. */
    looks,
    /** Rounds of the last look that is complete; 0 before. */
    looked,
    /**
     * Standard deviation of the logarithm of a round's ratio, pooled over the first look's pairs, or over
     * the last one's where arms take turns; null before it.
     */
    deviation,
    /** What to run before the next look; null when the study is done. */
    next,
  };
}

function describe(
  moments: RatioMoments,
  level: number,
  different: boolean,
): Omit<ComparisonResult, "id" | "rounds" | "open" | "isEarly"> {
  const { n, blocks, starts, startsShare, deviation, df } = moments;
  const made = { n, blocks, starts, startsShare };
  const ratio = geometricMean(moments, level);
  if (ratio?.low == null || ratio.high === null) {
    const verdict = ratio === null ? "none" : "single";
    const unknown = { level: null, detectable: null, deviation: null, df: null };
    return { ...made, ratio, verdict, ...unknown };
  }
  const isHigher = ratio.value > 1;
  // Holm's rule may decide at a larger level than the interval's.
  if (different && isHigher) ratio.low = Math.max(1, ratio.low);
  if (different && ratio.value < 1) ratio.high = Math.min(1, ratio.high);
  return {
    ...made,
    ratio,
    level,
    verdict: !different ? "indistinguishable" : isHigher ? "higher" : "lower",
    detectable: detectableRatio(n, deviation, level, df),
    deviation,
    df,
  };
}
