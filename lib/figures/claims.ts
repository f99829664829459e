/**
 * Titles that claim exactly what the data support. An interval that includes 1 is "no clear
 * difference", a single run decides nothing, and a functional check concludes nothing.
 *
 * @module
 */

import type { StudyContext } from "../stats/context.ts";
import { rangeVerdict, ratioVerdict, type Verdict } from "../stats/ratio.ts";
import { isLowerBound } from "../stats/summarise.ts";
import type { LoadLevel } from "../scenario.ts";
import type { Estimate, PathRatio, ScenarioSummary } from "../stats/summary.ts";
import { atLevels, capitalise, formatList, formatRatio, formatSpan } from "./format.ts";

/** One comparison of a pooled with a direct scenario. */
export interface PathComparison extends LoadLevel {
  /** What is compared, with its reuse: see {@linkcode pairName}. */
  name: string;
  verdict: Verdict;
  /** Pooled over direct; null when there is none. */
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
 * const pair = { label: "django", reuse: "per_request", differences: [] } as const;
 * console.assert(pairName(pair) === "django (per_request)");
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

/** Throughput ratios as comparisons. */
export function throughputComparisons(ratios: readonly PathRatio[]): PathComparison[] {
  return ratios.map((ratio) => ({
    name: pairName(ratio),
    users: ratio.users,
    arrivalRate: ratio.arrivalRate,
    verdict: ratioVerdict(ratio.ratio),
    ratio: ratio.ratio?.value ?? null,
    missing: whatFailed(ratio),
  }));
}

/** The percentiles that summaries have. */
export type Percentile = 50 | 90 | 95 | 99;

/** A percentile of a scenario over its runs. */
export function percentileOf(scenario: ScenarioSummary, percentile: Percentile): Estimate | null {
  return (scenario.responseMs ?? scenario.serviceMs)[`p${percentile}`];
}

/**
 * Latency percentiles of paired scenarios as comparisons. A lower bound can be the higher of two,
 * never surely the lower.
 */
export function latencyComparisons(
  ratios: readonly PathRatio[],
  scenarios: readonly ScenarioSummary[],
  percentile: Percentile,
): PathComparison[] {
  const byId = new Map(scenarios.map((scenario) => [scenario.scenarioId, scenario]));
  return ratios.flatMap((ratio) => {
    const [direct, pooled] = [byId.get(ratio.direct), byId.get(ratio.pooled)];
    if (direct === undefined || pooled === undefined) return [];
    const [base, other] = [percentileOf(direct, percentile), percentileOf(pooled, percentile)];
    let verdict = rangeVerdict(
      { estimate: base, n: direct.n },
      { estimate: other, n: pooled.n },
    );
    if (verdict === "higher" && isLowerBound(direct, percentile)) verdict = "unclear";
    if (verdict === "lower" && isLowerBound(pooled, percentile)) verdict = "unclear";
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

function partsByVerdict(comparisons: readonly PathComparison[]): Map<Verdict, Part[]> {
  const parts = new Map<Verdict, Part[]>();
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

/**
 * A claim about pooled against direct, in one sentence without its full stop.
 *
 * @param measure What is compared, such as `throughput`.
 * @param comparisons The comparisons.
 * @param context The study's circumstances.
 *
 * @example
 * ```ts
 * import { pathClaim } from "poolscope";
 *
 * const comparison = { name: "flask (app_pool)", users: 100, arrivalRate: null, missing: "" };
 * console.assert(
 *   pathClaim("throughput", [{ ...comparison, verdict: "unclear", ratio: 1.1 }]) ===
 *     "No clear difference between direct and pooled throughput for flask (app_pool)",
 * );
 * ```
 */
export function pathClaim(
  measure: string,
  comparisons: readonly PathComparison[],
  context?: Pick<StudyContext, "functionalCheck">,
): string {
  if (context?.functionalCheck) return `Functional check only: ${measure}, without a conclusion`;
  if (comparisons.length === 0) return `${capitalise(measure)}, without a comparison of paths`;
  const parts = partsByVerdict(comparisons);
  const names = (verdict: Verdict) =>
    formatList((parts.get(verdict) ?? []).map(({ name, at }) => name + at));
  const failures = (parts.get("none") ?? [])
    .map(({ name, at, missing }) => `${missing} for ${name}${at}`);
  const single = parts.has("single");
  const decided = [...(parts.get("higher") ?? []), ...(parts.get("lower") ?? [])];
  const rest = [
    single && (decided.length > 0 || parts.has("unclear"))
      ? [`one run decides nothing for ${names("single")}`]
      : [],
    failures,
  ].flat().map((text) => `; ${text}`).join("");

  if (decided.length > 0) {
    const ratios = decided.map(({ name, at, ratios }, i) =>
      `${formatSpan(ratios, formatRatio)}${i === 0 ? " direct's" : ""} for ${name}${at}`
    );
    const unclear = !parts.has("unclear")
      ? ""
      : names("unclear").length > LONG
      ? "; no clear difference elsewhere"
      : `; no clear difference for ${names("unclear")}`;
    return `Pooled ${measure} is ${formatList(ratios)}${unclear}${rest}`;
  }
  if (parts.has("unclear")) {
    // Where the others of a pair failed or ran once, the rest of the title says so.
    const pairs = formatList(parts.get("unclear")!.map(({ name }) => name));
    return `No clear difference between direct and pooled ${measure} for ${pairs}${rest}`;
  }
  if (single) return `One run per cell decides nothing about ${measure}${rest}`;
  return `No ${measure} to compare: ${failures.join("; ")}`;
}
