/**
 * The comparisons that one report makes, decided together and in looks: which arms differ, by how
 * much, and which scenarios need more rounds.
 *
 * The method, from the inside out:
 *
 * - A comparison is the ratio of two arms, paired by round, with a t statistic of the logarithms.
 *   Its interval keeps its coverage from three rounds on, where a bootstrap of three values does
 *   not (`deno task bench statistics` compares them on recorded noise).
 * - Over the comparisons of a family, Holm's step-down rule ("A simple sequentially rejective
 *   multiple test procedure", Scandinavian Journal of Statistics 6(2), 1979): with `h` comparisons
 *   undecided, each is tested at `alpha / h`. It needs no assumption on how they depend on each
 *   other, and at most `alpha` of all studies raise one false alarm or more.
 * - Over looks, each of these tests is group-sequential, with the nominal levels of
 *   {@linkcode nominalLevels}: Holm's rule for group-sequential trials (Ye, Li, Liu & Yao,
 *   Statistics in Medicine 32(7), 2013; reviewed by Tamhane, Xi & Gou, Statistics in Medicine
 *   40(24), 2021).
 * - The interval of a comparison is the repeated confidence interval of the look at which it ended
 *   (Jennison & Turnbull, Journal of the Royal Statistical Society B 51(3), 1989) at Bonferroni's
 *   level `alpha / m`, so that in 95% of studies the intervals of *all* `m` comparisons contain
 *   their ratios, wherever the study stopped. A comparison is called different exactly when its
 *   interval lies on one side of 1: Holm's level is never below Bonferroni's, and where it decides
 *   first, the interval is cut at 1. Such an end has Holm's guarantee for the direction. (Intervals
 *   that follow Holm's rule throughout would end at 1 for nearly everything that it decides:
 *   Strassburger & Bretz, Statistics in Medicine 27(24), 2008.)
 *
 * @module
 */

import { criticalT, detectableRatio, RATIO_TO_FIND } from "./detectable.ts";
import type { Pair } from "./ratio.ts";
import { nominalLevels } from "./spending.ts";
import { incompleteBeta } from "./student_t.ts";
import type { Estimate } from "./summary.ts";

/** A comparison of two scenarios. */
export interface Comparison {
  /** Tells it from the others of its family. */
  id: string;
  /** The scenarios that it takes, by id: they get more rounds together. */
  scenarios: readonly string[];
  /** Rounds, from the first on, that both scenarios have completed, failed runs among them. */
  rounds: number;
  /** The rounds in which both runs succeeded, each with its number from 1. */
  pairs: readonly (Pair & { round: number })[];
}

/** When a study looks at its data, and what it is to find. */
export interface StoppingRule {
  /** Rounds before the first look: the rounds of the plan. */
  rounds: number;
  /** Rounds that no comparison exceeds; equal to `rounds` where a plan has no further looks. */
  maxRounds: number;
  /** The ratio that is to be told from 1; its inverse likewise. */
  ratio: number;
  /** Share of studies that may raise a false alarm. */
  alpha: number;
}

/**
 * The rule of a plan: to tell a slowdown of 20% in 90% of studies, with false alarms in at most
 * 5% of them.
 *
 * @param rounds The plan's rounds.
 * @param maxRounds Rounds to which undecided comparisons may be extended. @default rounds
 */
export function stoppingRule(rounds: number, maxRounds: number = rounds): StoppingRule {
  return { rounds, maxRounds: Math.max(rounds, maxRounds), ratio: RATIO_TO_FIND, alpha: 0.05 };
}

/**
 * What may be said of a comparison: `higher` or `lower` where the arms differ, `indistinguishable`
 * where the difference is inside the noise, `single` with one common round, `none` without any.
 */
export type ComparisonVerdict = "higher" | "lower" | "indistinguishable" | "single" | "none";

/** One comparison as decided within its family. */
export interface ComparisonResult {
  /** The comparison's id. */
  id: string;
  /** Rounds behind the ratio: those up to the look at which it ended, without failed ones. */
  n: number;
  /** Geometric mean of the ratios with its simultaneous 95% interval; null without a round. */
  ratio: Estimate | null;
  verdict: ComparisonVerdict;
  /** Rounds at the look at which it ended, failed ones among them; of an open one, those it has. */
  rounds: number;
  /** True while further rounds are wanted; the verdict is then not the last word. */
  open: boolean;
  /** Two-sided level of the interval after all corrections, below 0.05; null without one. */
  level: number | null;
  /** The slowdown that would have been found in 90% of studies, as a ratio below 1; or null. */
  detectable: number | null;
  /** Standard deviation of the logarithms of the ratios; null below two rounds. */
  deviation: number | null;
}

/** A family as it stands. */
export interface FamilyResult {
  /** In the order given. */
  comparisons: ComparisonResult[];
  /** Rounds at each look; only the first until that has been taken. */
  looks: number[];
  /** Coefficient of variation of one run, pooled over the first look's pairs; null before it. */
  noise: number | null;
  /** What to run before the next look; null when the study is done. */
  next: { rounds: number; scenarios: string[] } | null;
}

interface Moments {
  n: number;
  mean: number;
  /** Standard deviation; NaN below two rounds. */
  deviation: number;
}

function momentsOf({ pairs }: Comparison, rounds: number): Moments {
  const logs: number[] = [];
  for (const { base, other, round } of pairs) {
    if (!(base > 0 && other > 0)) {
      throw new RangeError(`Cannot take ratio ${other}/${base}: both must be above 0`);
    }
    if (round <= rounds) logs.push(Math.log(other / base));
  }
  const n = logs.length;
  const mean = logs.reduce((sum, log) => sum + log, 0) / n;
  const squares = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0);
  return { n, mean, deviation: Math.sqrt(squares / (n - 1)) };
}

/** The two-sided p value of no difference; 1 below two rounds. */
function pValue({ n, mean, deviation }: Moments): number {
  if (n < 2 || mean === 0) return 1;
  const t = mean * Math.sqrt(n) / deviation;
  return incompleteBeta((n - 1) / (n - 1 + t * t), (n - 1) / 2, 0.5);
}

/**
 * The rounds at which a study looks, chosen from the noise of its first look: the last is the least
 * number with which the rule's ratio is found in 90% of studies at the level of the first of `m`
 * comparisons; one look lies half way. The noise is pooled over all comparisons and says nothing of
 * their means (an internal pilot: Wittes & Brittain, Statistics in Medicine 9(1–2), 1990); that
 * choosing by it costs no error is part of what `deno task bench statistics` simulates.
 *
 * @param rule The rule.
 * @param deviation Pooled standard deviation of the logarithm of a round's ratio.
 * @param m Comparisons of the family.
 */
export function chooseLooks(rule: StoppingRule, deviation: number, m: number): number[] {
  const { rounds: first, maxRounds, ratio, alpha } = rule;
  for (let last = first; last < maxRounds; last++) {
    const looks = looksUpTo(first, last);
    const level = nominalLevels(looks, alpha / m).at(-1)!;
    const found = last < 2 ? null : detectableRatio(last, deviation, level);
    if (found !== null && found >= Math.min(ratio, 1 / ratio)) return looks;
  }
  return looksUpTo(first, maxRounds);
}

function looksUpTo(first: number, last: number): number[] {
  return [...new Set([first, Math.ceil((first + last) / 2), last])];
}

/** Pooled standard deviation of the logarithm of a round's ratio; null without two rounds. */
function pooledDeviation(all: readonly Moments[]): number | null {
  const several = all.filter(({ n }) => n >= 2);
  if (several.length === 0) return null;
  const squares = several.reduce((sum, { n, deviation }) => sum + (n - 1) * deviation ** 2, 0);
  return Math.sqrt(squares / several.reduce((sum, { n }) => sum + n - 1, 0));
}

/**
 * Decides a family of comparisons as far as its rounds go. It keeps nothing between calls: the
 * looks are taken again, in order, from the rounds that belong to each, so that a resumed study and
 * a report come to the same end.
 *
 * @param comparisons All comparisons that the report makes; each counts, decided or not.
 * @param rule When to look.
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
export function decideFamily(
  comparisons: readonly Comparison[],
  rule: StoppingRule,
): FamilyResult {
  const m = comparisons.length;
  let looks = [rule.rounds];
  let noise: number | null = null;
  let next: FamilyResult["next"] = null;
  let decided = 0;
  let open = [...comparisons];
  const results = new Map<Comparison, ComparisonResult>();

  for (let k = 0; open.length > 0; k++) {
    const rounds = looks[k]!;
    const waiting = open.filter((comparison) => comparison.rounds < rounds);
    if (waiting.length > 0) {
      // Nothing is tested before a look is complete: looking more often would cost error.
      next = { rounds, scenarios: [...new Set(waiting.flatMap(({ scenarios }) => scenarios))] };
      if (k > 0) break;
    }
    const look = open.map((comparison) => {
      const moments = momentsOf(comparison, rounds);
      return { comparison, moments, p: pValue(moments) };
    });
    if (k === 0 && waiting.length === 0) {
      const deviation = pooledDeviation(look.map(({ moments }) => moments));
      if (deviation !== null) {
        // The logarithm of a ratio carries the noise of two runs.
        noise = deviation / Math.SQRT2;
        looks = chooseLooks(rule, deviation, m);
      }
    }
    const levelOf = (hypotheses: number) => nominalLevels(looks, rule.alpha / hypotheses)[k]!;
    const different = new Set<Comparison>();
    if (waiting.length === 0) {
      for (const { comparison, p } of look.toSorted((a, b) => a.p - b.p)) {
        if (p > levelOf(m - decided)) break;
        different.add(comparison);
        decided++;
      }
    }
    const last = k === looks.length - 1;
    open = [];
    for (const { comparison, moments } of look) {
      const ends = last || different.has(comparison) || moments.n < 2;
      const isOpen = waiting.length > 0 || !ends;
      results.set(comparison, {
        ...describe(moments, levelOf(m), different.has(comparison)),
        id: comparison.id,
        rounds: Math.min(rounds, comparison.rounds),
        open: isOpen,
      });
      if (isOpen) open.push(comparison);
    }
    if (waiting.length > 0) break;
  }
  return {
    comparisons: comparisons.map((comparison) => results.get(comparison)!),
    looks,
    noise,
    next,
  };
}

/** Ratio, interval and verdict of one comparison at its look. */
function describe(
  { n, mean, deviation }: Moments,
  level: number,
  different: boolean,
): Omit<ComparisonResult, "id" | "rounds" | "open"> {
  if (n === 0) {
    return { n, ratio: null, verdict: "none", level: null, detectable: null, deviation: null };
  }
  const value = Math.exp(mean);
  if (n === 1) {
    const ratio = { value, low: null, high: null };
    return { n, ratio, verdict: "single", level: null, detectable: null, deviation: null };
  }
  const half = criticalT(level, n - 1) * deviation / Math.sqrt(n);
  let low = Math.exp(mean - half);
  let high = Math.exp(mean + half);
  // Holm's rule may decide at a larger level than the interval's.
  if (different && value > 1) low = Math.max(1, low);
  if (different && value < 1) high = Math.min(1, high);
  return {
    n,
    ratio: { value, low, high },
    level,
    verdict: !different ? "indistinguishable" : value > 1 ? "higher" : "lower",
    detectable: detectableRatio(n, deviation, level),
    deviation,
  };
}
