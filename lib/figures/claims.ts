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
import type { LoadLevel } from "../scenario.ts";
import type { Estimate, PathRatio, ScenarioSummary, ThroughputRatio } from "../stats/summary.ts";
import { atLevels, capitalise, formatList, formatRatio, formatSpan } from "../wording/format.ts";

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
    differences.length === 0 ? [] : [`${formatList(differences)} differs between the paths`],
  ].flat();
  return notes.length === 0 ? label : `${label} (${notes.join("; ")})`;
}

/** Which paths failed or were rejected, in words: `direct failed`. */
export function whatFailed(
  { failedPaths, rejectedPaths }: Pick<PathRatio, "failedPaths" | "rejectedPaths">,
): string {
  if (failedPaths.length === 2) return "both paths failed";
  if (rejectedPaths.length === 2) return "both paths rejected";
  const parts = [
    ...failedPaths.map((path) => `${path} failed`),
    ...rejectedPaths.map((path) => `${path} rejected`),
  ];
  return parts.length === 0 ? "no common round" : parts.join(", ");
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
        : "too few requests",
    }];
  });
}

interface Part {
  name: string;
  /** ` at 100 users`, where the pair's verdict depends on the load; else empty. */
  at: string;
  ratios: number[];
  missing: string;
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
        at: verdicts.size === 1 ? "" : ` ${atLevels(members)}`,
        ratios: members.flatMap((member) => member.ratio === null ? [] : [member.ratio]),
        missing: formatList([...new Set(members.map((member) => member.missing))]),
      };
      parts.set(verdict, [...(parts.get(verdict) ?? []), part]);
    }
  }
  return parts;
}

/** A list of names that would fill a line by itself is shortened to one word. */
const LONG = 60;

function namesOf(parts: readonly Part[]): string {
  return formatList(parts.map(({ name, at }) => name + at));
}

function forOrElsewhere(words: string, parts: readonly Part[]): string {
  const names = namesOf(parts);
  return names.length > LONG ? `${words} elsewhere` : `${words} for ${names}`;
}

/** What failed, and what ran only once, after a claim. */
function restOf(parts: ReadonlyMap<string, Part[]>, single: boolean): string {
  return [
    single && parts.has("single")
      ? [`one run decides nothing for ${namesOf(parts.get("single")!)}`]
      : [],
    (parts.get("none") ?? []).map(({ name, at, missing }) => `${missing} for ${name}${at}`),
  ].flat().map((text) => `; ${text}`).join("");
}

/** What is said where nothing was compared: no pair, one run, or nothing but failures. */
function emptyClaim(
  measure: string,
  parts: ReadonlyMap<string, Part[]>,
): string | null {
  if (parts.size === 0) return `${capitalise(measure)}, without a comparison of paths`;
  if ([...parts.keys()].some((verdict) => verdict !== "single" && verdict !== "none")) return null;
  const rest = restOf(parts, false);
  if (parts.has("single")) return `One run per cell decides nothing about ${measure}${rest}`;
  return `No ${measure} to compare${rest.replace(";", ":")}`;
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
  const words = {
    indistinguishable: "indistinguishable",
    noisy: "too noisy to tell apart",
    open: "not decided yet",
  };
  const alike = (["indistinguishable", "noisy", "open"] as const)
    .filter((verdict) => parts.has(verdict));
  const rest = restOf(parts, true);
  const leads = [
    leadOf(`pooled ${measure} is`, "direct's", parts, ["higher", "lower", "ahead"]),
    leadOf(`direct ${measure} is`, "pooled's", parts, ["behind"]),
  ].flat();
  if (leads.length > 0) {
    const others = alike.map((verdict) => forOrElsewhere(words[verdict], parts.get(verdict)!));
    return capitalise([...leads, ...others].join("; ")) + rest;
  }
  const claims = alike.map((verdict, i) =>
    `${i === 0 ? `Direct and pooled ${measure} are ` : ""}${words[verdict]} for ${
      // Where the others of a pair failed or ran once, the rest of the title says so.
      alike.length > 1 ? namesOf(parts.get(verdict)!) : formatList(
        parts.get(verdict)!.map(({ name }) => name),
      )}`
  );
  return claims.join("; ") + rest;
}

/** How far one path's measure is from the other's, where that is known or has a bound. */
function leadOf(
  begin: string,
  whose: string,
  parts: ReadonlyMap<FigureClaim, Part[]>,
  claims: readonly FigureClaim[],
): string[] {
  const ratios = claims.flatMap((claim) =>
    (parts.get(claim) ?? []).map(({ name, at, ratios }) => ({
      factor: claim === "ahead" || claim === "behind"
        ? `at least ${Math.min(...ratios)}×`
        : formatSpan(ratios, formatRatio),
      name: name + at,
    }))
  ).map(({ factor, name }, i) => `${factor}${i === 0 ? ` ${whose}` : ""} for ${name}`);
  return ratios.length === 0 ? [] : [`${begin} ${formatList(ratios)}`];
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
  const apart = (["above", "below"] as const).filter((relation) => parts.has(relation));
  const lead = apart.map((relation, i) => {
    const ratios = parts.get(relation)!.map(({ name, at, ratios }) =>
      `${formatSpan(ratios, formatRatio)} for ${name}${at}`
    );
    const whose = i === 0 ? `pooled ${measure} is ${relation} direct's` : `${relation} it`;
    return `${whose}: ${formatList(ratios)}`;
  });
  const others = [
    parts.has("overlap") ? [forOrElsewhere("ranges overlap", parts.get("overlap")!)] : [],
    parts.has("few") ? [forOrElsewhere("fewer than 4 runs", parts.get("few")!)] : [],
  ].flat();
  const rest = restOf(parts, true);
  if (lead.length > 0) return `In every run, ${[...lead, ...others].join("; ")}${rest}`;
  const pairs = (relation: RangeRelation) =>
    formatList((parts.get(relation) ?? []).map(({ name }) => name));
  return parts.has("overlap")
    ? `Runs of direct and pooled overlap in ${measure} for ${pairs("overlap")}${rest}`
    : `Fewer than 4 runs per cell tell nothing of ${measure} for ${pairs("few")}${rest}`;
}
