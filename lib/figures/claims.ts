/**
 * Titles that claim exactly what the data support. A difference inside the noise is
 * "indistinguishable" where a small one would have been found, "too noisy" elsewhere; a single run
 * decides nothing.
 * Throughput is tested; of latency is told where the runs lie.
 *
 * @module
 */

import { RATIO_TO_FIND } from "../stats/detectable.ts";
import type { ComparisonVerdict } from "../stats/family.ts";
import { compareRanges, type RangeRelation } from "../stats/ratio.ts";
import { isLowerBound } from "../stats/summarise.ts";
import type { LoadLevel, Path } from "../scenario.ts";
import type { Estimate, PathRatio, ScenarioSummary, ThroughputRatio } from "../stats/summary.ts";
import { claimWords } from "../wording/claims.ts";

/** What a test says of a comparison; `open` while further rounds are to come. */
export type ComparisonState = ComparisonVerdict | "open";

/**
 * What a title says of a comparison: its verdict, `noisy` where it found no difference and leaves a
 * large one possible, `ahead` or `behind` where pooled's factor has only a bound.
 */
export type FigureClaim = ComparisonState | "noisy" | "ahead" | "behind";

/** One comparison of a pooled with a direct scenario. */
export interface PathComparison<V = FigureClaim> extends LoadLevel {
  /** What is compared, with its reuse: see {@linkcode pairName}. */
  name: string;
  verdict: V;
  /** Pooled over direct, or the bound of an `ahead` or `behind`; null when there is none. */
  ratio: number | null;
  /** For the verdict `none`: what failed, such as `direct failed`. */
  missing: string;
}

/**
 * The name of a pair in any statement about pooling: how the app keeps its connections belongs to
 * it, and so does any other setting that differs between the two paths.
 *
 * @example
 * ```ts
 * import { pairName } from "poolscope";
 *
 * const pair = { label: "Shop", reuse: "per_request", differences: [] } as const;
 * console.assert(pairName(pair) === "Shop (per_request)");
 * ```
 */
export function pairName(
  { label, reuse, differences }: Pick<PathRatio, "label" | "reuse"> & {
    differences: readonly string[];
  },
): string {
  const notes = [
    label.includes("reuse=") ? [] : [reuse],
    differences.length === 0 ? [] : [claimWords.differ(differences)],
  ].flat();
  return claimWords.pair(label, notes);
}

/** Which paths failed or were rejected, in words: `direct failed`. */
export function whatFailed(
  { failedPaths, rejectedPaths }: Pick<PathRatio, "failedPaths" | "rejectedPaths">,
): string {
  if (failedPaths.length === 2) return claimWords.bothPaths.failed;
  if (rejectedPaths.length === 2) return claimWords.bothPaths.rejected;
  const parts = [
    ...failedPaths.map((path) => claimWords.path(path, "failed")),
    ...rejectedPaths.map((path) => claimWords.path(path, "rejected")),
  ];
  return parts.length === 0 ? claimWords.noCommonRound : parts.join(", ");
}

/** The verdict on a ratio; nothing is called indistinguishable while rounds are to come. */
export function verdictOf(
  { verdict, open }: Pick<ThroughputRatio, "verdict" | "open">,
): ComparisonState {
  return open && verdict === "indistinguishable" ? "open" : verdict;
}

/**
 * The largest difference that a comparison without a verdict leaves possible, as a share of direct's
 * throughput: what its interval reaches to, or what it would have missed, if that is more.
 */
export function unresolved(
  { ratio, detectable }: Pick<ThroughputRatio, "ratio" | "detectable">,
): number {
  if (detectable === null || ratio?.low == null || ratio.high === null) return Infinity;
  return Math.max(1 - detectable, 1 - ratio.low, ratio.high - 1);
}

/** Above this, a comparison is too noisy to say that there is no difference: a slowdown of 20%. */
const MAX_UNRESOLVED = 1 - RATIO_TO_FIND;

/** What may be claimed of a ratio, in a title and in the answer alike. */
export function claimOf(ratio: ThroughputRatio): FigureClaim {
  const verdict = verdictOf(ratio);
  if (verdict === "indistinguishable" && unresolved(ratio) > MAX_UNRESOLVED) return "noisy";
  if ((verdict === "single" || verdict === "none") && ratio.bound !== null) {
    return ratio.bound.ahead === "other" ? "ahead" : "behind";
  }
  return verdict;
}

/** Throughput ratios as comparisons. */
export function throughputComparisons(ratios: readonly PathRatio[]): PathComparison[] {
  return ratios.map((ratio) => {
    const verdict = claimOf(ratio);
    const bounded = verdict === "ahead" || verdict === "behind";
    return {
      name: pairName(ratio),
      users: ratio.users,
      arrivalRate: ratio.arrivalRate,
      verdict,
      ratio: (bounded ? ratio.bound?.factor : ratio.ratio?.value) ?? null,
      missing: whatFailed(ratio),
    };
  });
}

/** The percentiles that figures and readings can be asked for. */
export const PERCENTILES = [50, 90, 95, 99] as const;
/** One of {@linkcode PERCENTILES}. */
export type Percentile = typeof PERCENTILES[number];

/** A percentile of a scenario over its runs. */
export function percentileOf(scenario: ScenarioSummary, percentile: Percentile): Estimate | null {
  return (scenario.responseMs ?? scenario.serviceMs)[`p${percentile}`];
}

/**
 * Latency percentiles of paired scenarios, by the ranges of their runs. A lower bound can be the
 * higher of two, never surely the lower.
 */
export function latencyComparisons(
  ratios: readonly PathRatio[],
  scenarios: readonly ScenarioSummary[],
  percentile: Percentile,
): PathComparison<RangeRelation>[] {
  const byId = new Map(scenarios.map((scenario) => [scenario.scenarioId, scenario]));
  return ratios.flatMap((ratio) => {
    const [direct, pooled] = [byId.get(ratio.direct), byId.get(ratio.pooled)];
    if (direct === undefined || pooled === undefined) return [];
    const [base, other] = [percentileOf(direct, percentile), percentileOf(pooled, percentile)];
    let verdict = compareRanges(
      { estimate: base, n: direct.n },
      { estimate: other, n: pooled.n },
    );
    if (verdict === "above" && isLowerBound(direct, percentile)) verdict = "overlap";
    if (verdict === "below" && isLowerBound(pooled, percentile)) verdict = "overlap";
    return [{
      name: pairName(ratio),
      users: ratio.users,
      arrivalRate: ratio.arrivalRate,
      verdict,
      ratio: base === null || other === null ? null : other.value / base.value,
      missing: [...ratio.failedPaths, ...ratio.rejectedPaths].length > 0 ||
          (base !== null && other !== null)
        ? whatFailed(ratio)
        : claimWords.tooFewRequests,
    }];
  });
}

interface Part {
  name: string;
  /** The name, with its load where the pair's verdict depends on it. */
  cell: string;
  ratios: number[];
  missing: string[];
}

function partsByVerdict<V>(comparisons: readonly PathComparison<V>[]): Map<V, Part[]> {
  const parts = new Map<V, Part[]>();
  for (const name of new Set(comparisons.map((comparison) => comparison.name))) {
    const own = comparisons.filter((comparison) => comparison.name === name);
    const verdicts = new Set(own.map((comparison) => comparison.verdict));
    for (const verdict of verdicts) {
      const members = own.filter((comparison) => comparison.verdict === verdict);
      const part = {
        name,
        cell: verdicts.size === 1 ? name : claimWords.cell(name, members),
        ratios: members.flatMap((member) => member.ratio === null ? [] : [member.ratio]),
        missing: [...new Set(members.map((member) => member.missing))],
      };
      parts.set(verdict, [...(parts.get(verdict) ?? []), part]);
    }
  }
  return parts;
}

function namesOf<V>(parts: ReadonlyMap<V, Part[]>, verdict: V, by: "name" | "cell"): string[] {
  return (parts.get(verdict) ?? []).map((part) => part[by]);
}

/** What failed, a clause for each pair. */
function missingOf(parts: ReadonlyMap<string, Part[]>): string[] {
  return (parts.get("none") ?? []).map(({ cell, missing }) => claimWords.missing(missing, cell));
}

/** What ran only once, and what failed, after a claim. */
function restOf(parts: ReadonlyMap<string, Part[]>): string[] {
  const single = namesOf(parts, "single", "cell");
  return [...(single.length > 0 ? [claimWords.oneRunOf(single)] : []), ...missingOf(parts)];
}

/** What is said where nothing was compared: no pair, one run, or nothing but failures. */
function emptyClaim(measure: string, parts: ReadonlyMap<string, Part[]>): string | null {
  if (parts.size === 0) return claimWords.clauses([claimWords.noPair(measure)]);
  if ([...parts.keys()].some((verdict) => verdict !== "single" && verdict !== "none")) return null;
  const missing = missingOf(parts);
  return parts.has("single")
    ? claimWords.clauses([claimWords.oneRun(measure), ...missing])
    : claimWords.nothing(measure, missing);
}

/**
 * A claim about pooled against direct throughput, in one sentence without its full stop.
 *
 * @param measure What is compared, such as `throughput`.
 * @param comparisons The comparisons, decided as one family.
 *
 * @example
 * ```ts
 * import { pathClaim } from "poolscope";
 *
 * const comparison = { name: "Shop (app_pool)", users: 100, arrivalRate: null, missing: "" };
 * console.assert(
 *   pathClaim("throughput", [{ ...comparison, verdict: "indistinguishable", ratio: 1.1 }]) ===
 *     "Direct and pooled throughput are indistinguishable for Shop (app_pool)",
 * );
 * ```
 */
export function pathClaim(
  measure: string,
  comparisons: readonly PathComparison[],
): string {
  const parts = partsByVerdict(comparisons);
  const empty = emptyClaim(measure, parts);
  if (empty !== null) return empty;
  const leads = [
    leadOf(measure, ["pooled", "direct"], parts, ["higher", "lower", "ahead"]),
    leadOf(measure, ["direct", "pooled"], parts, ["behind"]),
  ].flat();
  const alike = (["indistinguishable", "noisy", "open"] as const)
    .filter((verdict) => parts.has(verdict));
  const others = alike.map((verdict, i) => {
    const cells = namesOf(parts, verdict, "cell");
    if (leads.length > 0) return claimWords.elsewhere(verdict, cells);
    // Where the others of a pair failed or ran once, the rest of the title says so.
    const names = alike.length > 1 ? cells : namesOf(parts, verdict, "name");
    return i === 0
      ? claimWords.alike(measure, verdict, names)
      : claimWords.undecided(verdict, names);
  });
  return claimWords.clauses([...leads, ...others, ...restOf(parts)]);
}

/** How far one path's measure is from the other's, where that is known or has a bound. */
function leadOf(
  measure: string,
  paths: readonly [Path, Path],
  parts: ReadonlyMap<FigureClaim, Part[]>,
  claims: readonly FigureClaim[],
): string[] {
  const factors = claims.flatMap((claim) =>
    (parts.get(claim) ?? []).map(({ cell, ratios }) => ({
      factor: claim === "ahead" || claim === "behind"
        ? claimWords.atLeast(ratios)
        : claimWords.factor(ratios),
      cell,
    }))
  );
  return factors.length === 0 ? [] : [claimWords.lead(measure, paths, factors)];
}

/**
 * What the runs' ranges of pooled and direct say of a latency, in one sentence without its full
 * stop. It describes the runs that were made, and tests nothing.
 *
 * @param measure What is compared, such as `P95 service time`.
 * @param comparisons The comparisons.
 *
 * @example
 * ```ts
 * import { rangeClaim } from "poolscope";
 *
 * const comparison = { name: "Shop (app_pool)", users: 100, arrivalRate: null, missing: "" };
 * console.assert(
 *   rangeClaim("P95 service time", [{ ...comparison, verdict: "above", ratio: 2 }]) ===
 *     "In every run, pooled P95 service time is above direct's: 2.00× for Shop (app_pool)",
 * );
 * ```
 */
export function rangeClaim(
  measure: string,
  comparisons: readonly PathComparison<RangeRelation>[],
): string {
  const parts = partsByVerdict(comparisons);
  const empty = emptyClaim(measure, parts);
  if (empty !== null) return empty;
  const apart = (["above", "below"] as const).filter((relation) => parts.has(relation))
    .map((relation, i) => {
      const factors = parts.get(relation)!.map(({ cell, ratios }) => ({
        factor: claimWords.factor(ratios),
        cell,
      }));
      return i === 0
        ? claimWords.apart(measure, relation, factors)
        : claimWords.alsoApart(relation, factors);
    });
  const undecided = (["overlap", "few"] as const).filter((relation) => parts.has(relation));
  const others = undecided.map((relation, i) => {
    const cells = namesOf(parts, relation, "cell");
    if (apart.length + i > 0) return claimWords.elsewhere(relation, cells);
    const names = undecided.length > 1 ? cells : namesOf(parts, relation, "name");
    return claimWords[relation](measure, names);
  });
  return claimWords.clauses([...apart, ...others, ...restOf(parts)]);
}
