/**
 * Titles that claim exactly what the data support. Throughput is tested; of latency is told where
 * the runs lie.
 */

import { RATIO_TO_FIND } from "../stats/detectable.ts";
import type { ComparisonVerdict } from "../stats/family.ts";
import { compareRanges, type RangeRelation } from "../stats/interval.ts";
import type { LatencyRatios } from "../stats/latency_ratios.ts";
import { isLowerBound } from "../stats/summarise.ts";
import type { LoadLevel } from "../scenario.ts";
import type { Estimate, PathRatio, ScenarioSummary, ThroughputRatio } from "../stats/summary.ts";
import { claimWords } from "../wording/claims.ts";

/**
 * What a title says of a comparison: its verdict, `open` while further rounds are to come, `noisy`
 * where it found no difference and leaves a large one possible, `ahead` or `behind` where pooled's
 * factor has only a bound.
 */
type FigureClaim = ComparisonVerdict | "open" | "noisy" | "ahead" | "behind";

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
  const notes = label.includes("reuse=") ? [] : [reuse as string];
  if (differences.length > 0) notes.push(claimWords.differ(differences));
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
): ComparisonVerdict | "open" {
  return open && verdict === "indistinguishable" ? "open" : verdict;
}

/** The largest difference that is left possible: by the interval, or by what it would have missed. */
export function unresolved(
  { ratio, detectable }: Pick<ThroughputRatio, "ratio" | "detectable">,
): number {
  if (detectable === null || ratio?.low == null || ratio.high === null) return Infinity;
  return Math.max(1 - detectable, 1 - ratio.low, ratio.high - 1);
}

/** Above this, a comparison is too noisy to say that there is no difference: a slowdown of 20%. */
const MAX_UNRESOLVED = 1 - RATIO_TO_FIND;

export function claimOf(ratio: ThroughputRatio): FigureClaim {
  const verdict = verdictOf(ratio);
  if (verdict === "indistinguishable" && unresolved(ratio) > MAX_UNRESOLVED) return "noisy";
  if ((verdict === "single" || verdict === "none") && ratio.bound !== null) {
    return ratio.bound.ahead === "other" ? "ahead" : "behind";
  }
  return verdict;
}

function isBound(verdict: string): boolean {
  return verdict === "ahead" || verdict === "behind";
}

function comparedOf(ratio: PathRatio) {
  const { users, arrivalRate } = ratio;
  return { name: pairName(ratio), users, arrivalRate, missing: whatFailed(ratio) };
}

export function throughputComparisons(ratios: readonly PathRatio[]): PathComparison[] {
  return ratios.map((ratio) => {
    const verdict = claimOf(ratio);
    const factor = isBound(verdict) ? ratio.bound?.factor : ratio.ratio?.value;
    return { ...comparedOf(ratio), verdict, ratio: factor ?? null };
  });
}

/** The percentiles that figures and readings can be asked for. */
export const PERCENTILES = [50, 90, 95, 99] as const;
/** One of {@linkcode PERCENTILES}. */
export type Percentile = typeof PERCENTILES[number];

export function percentileOf(scenario: ScenarioSummary, percentile: Percentile): Estimate | null {
  return (scenario.responseMs ?? scenario.serviceMs)[`p${percentile}`];
}

/** What is said of two latencies: by their runs' ranges, or by the interval of their ratio. */
export type LatencyRelation =
  | RangeRelation
  | "higher"
  | "lower"
  | "indistinguishable"
  | "open"
  | "bounded";

/** Nothing is said before all starts are there, nor of one, whose interval lacks what starts differ by. */
function relationInTurns({ n, open }: PathRatio, { low, high }: Estimate): LatencyRelation {
  if (low === null || high === null || n < 2) return "single";
  if (open) return "open";
  return low > 1 ? "higher" : high < 1 ? "lower" : "indistinguishable";
}

/**
 * By the intervals of their ratios where arms take turns, else by the ranges of their runs. A lower
 * bound can be the higher of two, never surely the lower.
 */
export function latencyComparisons(
  ratios: readonly PathRatio[],
  scenarios: readonly ScenarioSummary[],
  percentile: Percentile,
): PathComparison<LatencyRelation>[] {
  const byId = new Map(scenarios.map((scenario) => [scenario.scenarioId, scenario]));
  return ratios.flatMap((ratio): PathComparison<LatencyRelation>[] => {
    const [direct, pooled] = [byId.get(ratio.direct), byId.get(ratio.pooled)];
    if (direct === undefined || pooled === undefined) return [];
    const inTurns = ratio.latency?.[percentile as keyof LatencyRatios] ?? null;
    if (inTurns !== null) {
      const relation = relationInTurns(ratio, inTurns);
      const isOpen = (relation === "higher" && isLowerBound(direct, percentile)) ||
        (relation === "lower" && isLowerBound(pooled, percentile));
      const verdict = isOpen ? "indistinguishable" : relation;
      return [{ ...comparedOf(ratio), verdict, ratio: inTurns.value }];
    }
    const [base, other] = [percentileOf(direct, percentile), percentileOf(pooled, percentile)];
    const relation = compareRanges(
      { estimate: base, n: direct.n },
      { estimate: other, n: pooled.n },
    );
    const isOpen = (relation === "above" && isLowerBound(direct, percentile)) ||
      (relation === "below" && isLowerBound(pooled, percentile));
    // Of arms in turns the ratio is told: without one, their runs are no better compared.
    const isBounded = ratio.latency !== null &&
      [direct, pooled].some((scenario) => isLowerBound(scenario, percentile));
    const verdict: LatencyRelation = isBounded ? "bounded" : isOpen ? "overlap" : relation;
    const compared = { ...comparedOf(ratio), verdict };
    if (base !== null && other !== null) return [{ ...compared, ratio: other.value / base.value }];
    const isKnown = ratio.failedPaths.length + ratio.rejectedPaths.length > 0;
    const missing = isKnown ? compared.missing : claimWords.tooFewRequests;
    return [{ ...compared, ratio: null, missing }];
  });
}

/** Comparisons by name and verdict; the cell names the load where the verdict depends on it. */
function partsOf(comparisons: readonly PathComparison<string>[]) {
  return [...Map.groupBy(comparisons, ({ name }) => name)].flatMap(([name, own]) => {
    const byVerdict = [...Map.groupBy(own, ({ verdict }) => verdict)];
    return byVerdict.map(([verdict, members]) => ({
      verdict,
      name,
      cell: byVerdict.length === 1 ? name : claimWords.cell(name, members),
      factor: (isBound(verdict) ? claimWords.atLeast : claimWords.factor)(
        members.flatMap(({ ratio }) => ratio ?? []),
      ),
      missing: [...new Set(members.map(({ missing }) => missing))],
    }));
  });
}

type Part = ReturnType<typeof partsOf>[number];

/** A claim: what is apart, what is undecided, what ran only once, and what failed. */
function claim(
  measure: string,
  comparisons: readonly PathComparison<string>[],
  undecided: readonly (keyof typeof claimWords.verdict)[],
  apartOf: (ofVerdict: (verdict: string) => Part[]) => string[],
): string {
  const parts = partsOf(comparisons);
  const ofVerdict = (verdict: string) => parts.filter((part) => part.verdict === verdict);
  const cellsOf = (verdict: string) => ofVerdict(verdict).map(({ cell }) => cell);
  const missing = ofVerdict("none").map(({ missing, cell }) => claimWords.missing(missing, cell));
  const single = cellsOf("single");
  if (parts.length === 0) return claimWords.clauses([claimWords.noPair(measure)]);
  if (parts.every(({ verdict }) => verdict === "single" || verdict === "none")) {
    if (single.length === 0) return claimWords.nothing(measure, missing);
    return claimWords.clauses([claimWords.oneRun(measure), ...missing]);
  }
  const apart = apartOf(ofVerdict);
  const known = undecided.filter((verdict) => ofVerdict(verdict).length > 0);
  const others = known.map((verdict, i) => {
    const cells = cellsOf(verdict);
    if (apart.length > 0) return claimWords.elsewhere(verdict, cells);
    if (i > 0) return claimWords.undecided(verdict, cells);
    // Where the others of a pair failed or ran once, the rest of the title says so.
    const names = known.length > 1 ? cells : ofVerdict(verdict).map(({ name }) => name);
    return claimWords.alike(measure, verdict, names);
  });
  const once = single.length > 0 ? [claimWords.oneRunOf(single)] : [];
  return claimWords.clauses([...apart, ...others, ...once, ...missing]);
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
 * const pair = { name: "Shop (app_pool)", users: 100, arrivalRate: null, missing: "" };
 * const claim = pathClaim("throughput", [{ ...pair, verdict: "indistinguishable", ratio: 1.1 }]);
 * console.assert(claim === "Direct and pooled throughput are indistinguishable for Shop (app_pool)");
 * ```
 */
export function pathClaim(measure: string, comparisons: readonly PathComparison[]): string {
  return claim(measure, comparisons, ["indistinguishable", "noisy", "open"], (ofVerdict) => {
    const pooled = ["higher", "lower", "ahead"].flatMap(ofVerdict);
    const direct = ofVerdict("behind");
    return [
      ...(pooled.length > 0 ? [claimWords.lead(measure, ["pooled", "direct"], pooled)] : []),
      ...(direct.length > 0 ? [claimWords.lead(measure, ["direct", "pooled"], direct)] : []),
    ];
  });
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
 * const pair = { name: "Shop (app_pool)", users: 100, arrivalRate: null, missing: "" };
 * const claim = rangeClaim("P95 service time", [{ ...pair, verdict: "above", ratio: 2 }]);
 * console.assert(claim.endsWith("is above direct's: 2.00× for Shop (app_pool)"));
 * ```
 */
export function rangeClaim(
  measure: string,
  comparisons: readonly PathComparison<LatencyRelation>[],
): string {
  return claim(
    measure,
    comparisons,
    ["indistinguishable", "open", "overlap", "bounded", "few"],
    (ofVerdict) => {
      const inTurns = ["higher", "lower"].flatMap(ofVerdict);
      return [
        ...(inTurns.length > 0 ? [claimWords.lead(measure, ["pooled", "direct"], inTurns)] : []),
        ...(["above", "below"] as const).filter((relation) => ofVerdict(relation).length > 0)
          .map((relation, i) => claimWords.apart(measure, relation, ofVerdict(relation), i === 0)),
      ];
    },
  );
}
