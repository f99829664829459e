/**
 * `deno task bench agreement`: do arms that take turns come to the ratio that they have one after the
 * other, each with the machine to itself?
 */

import { FRAMEWORKS, type Plan } from "../plan.ts";
import { createScenario, PATHS } from "../scenario.ts";
import type { ComparisonResult } from "../stats/family.ts";
import { criticalT } from "../stats/probability.ts";
import type { BenchOptions } from "./options.ts";
import { resolutionPlan, study } from "./resolution.ts";

/** The result, as DESIGN's table of benchmarks names it. */
export interface AgreementResult {
  pairs: number;
  /** Ratios of pooled and direct in both designs, pair by pair. */
  alternating: number[];
  consecutive: number[];
  /** The least difference within which all pairs are shown to agree (each at 5%), in percent. */
  reached_margin_pct: number;
  /** True when the default, shorter set was run. */
  partial?: true;
}

const USERS = 20;
/** Of runs one after the other. */
const ROUNDS = { full: 24, short: 2 };
const WINDOW_S = 12;

/**
 * The least margin within which two ratios are called equivalent, as a share, by two one-sided tests at
 * 5% each (Schuirmann, "A comparison of the two one-sided tests procedure and the power approach",
 * Journal of Pharmacokinetics and Biopharmaceutics 15(6), 1987), with Welch's degrees of freedom.
 * Infinite where one of them has no interval.
 */
export function reachedMargin(
  one: Pick<ComparisonResult, "ratio" | "n" | "deviation" | "df">,
  other: Pick<ComparisonResult, "ratio" | "n" | "deviation" | "df">,
): number {
  const parts = [one, other].map(({ n, deviation, df }) => ({
    squared: deviation === null ? Infinity : deviation ** 2 / n,
    df: df ?? 1,
  }));
  const squared = parts[0]!.squared + parts[1]!.squared;
  if (one.ratio === null || other.ratio === null || !Number.isFinite(squared)) return Infinity;
  const spread = parts.reduce((sum, part) => sum + part.squared ** 2 / part.df, 0);
  const df = Math.max(1, Math.floor(squared ** 2 / spread));
  const apart = Math.abs(Math.log(one.ratio.value / other.ratio.value));
  return Math.exp(apart + criticalT(0.1, df) * Math.sqrt(squared)) - 1;
}

/** Two pairs in both designs; with `full` enough runs one after the other to tell 10%. */
export async function benchAgreement(options: BenchOptions): Promise<AgreementResult> {
  const { full, seed } = options;
  const scenarios = FRAMEWORKS.slice(0, full ? 2 : 1).flatMap((framework) =>
    PATHS.map((path) => createScenario({ framework, path, users: USERS }))
  );
  const compared = async (plan: Plan) => (await study(plan, options)).family.comparisons;
  const turns = resolutionPlan("in-turns", scenarios, seed, true);
  const alternating = await compared(full ? turns : { ...turns, rounds: 1, minutes: 1 });
  const consecutive = await compared({
    ...resolutionPlan("one-after-the-other", scenarios, seed, false),
    rounds: full ? ROUNDS.full : ROUNDS.short,
    windowS: WINDOW_S,
  });
  const margins = alternating.map((one, i) => reachedMargin(one, consecutive[i]!));
  const ratios = (all: readonly ComparisonResult[]) =>
    all.map(({ ratio }) => Number((ratio?.value ?? NaN).toFixed(4)));
  return {
    pairs: alternating.length,
    alternating: ratios(alternating),
    consecutive: ratios(consecutive),
    reached_margin_pct: Number((100 * Math.max(...margins)).toFixed(2)),
    ...(full ? {} : { partial: true }),
  };
}
