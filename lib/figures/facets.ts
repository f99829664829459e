/**
 * Which arms are drawn together.
 *
 * @module
 */

import type { PathRatio, ScenarioSummary } from "../stats/summary.ts";
import { legendWords } from "../wording/figures.ts";

/** One small plot: a framework (and settings), with the direct and the pooled arm side by side. */
export interface Facet {
  label: string;
  /** How the app keeps its connections, and settings that differ between its two arms. */
  note: string;
  scenarios: ScenarioSummary[];
}

/**
 * Groups scenarios so that each pooled arm is beside the direct arm that it is compared with. An
 * arm without a counterpart has a facet of its own.
 *
 * @param scenarios The scenarios, in the order of the facets.
 * @param ratios The pairs.
 */
export function facetsOf(
  scenarios: readonly ScenarioSummary[],
  ratios: readonly PathRatio[],
): Facet[] {
  const facets = new Map<string, Facet>();
  const add = (label: string, note: string, scenario: ScenarioSummary) => {
    const facet = facets.get(label) ?? { label, note, scenarios: [] };
    if (!facet.scenarios.includes(scenario)) facet.scenarios.push(scenario);
    facets.set(label, facet);
  };
  for (const scenario of scenarios) {
    const pairs = ratios.filter(({ direct, pooled }) =>
      direct === scenario.scenarioId || pooled === scenario.scenarioId
    );
    const { reuse } = scenario.scenario;
    for (const { label, differences } of pairs) {
      add(label, legendWords.reuse(reuse, differences), scenario);
    }
    if (pairs.length === 0) {
      const label = scenario.arm.replace(/ (direct|pooled)(?=,|$)/, "");
      add(label, legendWords.reuse(reuse, []), scenario);
    }
  }
  return [...facets.values()];
}

/** Where the i-th small plot stands, in rows of so many columns. */
export function placeOf(i: number, columns: number): { fx: number; fy: number } {
  return { fx: i % columns, fy: Math.floor(i / columns) };
}

/** A text above a small plot. */
export const FACET_HEADER = {
  fx: "fx",
  fy: "fy",
  frameAnchor: "top-left",
  lineAnchor: "bottom",
} as const;

/**
 * Options of a plot of small plots; each row of them brings the room of its own header and axis.
 *
 * @param columns Small plots beside each other.
 * @param rows Rows of them.
 * @param frameHeight The height of each, without header and axis, in pixels.
 * @param headerHeight Room for the header.
 */
export function gridOptions(
  columns: number,
  rows: number,
  frameHeight: number,
  headerHeight: number,
) {
  const marginBottom = 28;
  const gap = headerHeight + marginBottom;
  const numbers = (length: number) => Array.from({ length }, (_, i) => i);
  return {
    height: rows * (frameHeight + gap),
    marginTop: headerHeight,
    marginRight: 8,
    marginBottom,
    fx: { domain: numbers(columns), axis: null, padding: 0.08 },
    fy: {
      domain: numbers(rows),
      axis: null,
      paddingInner: rows === 1 ? 0 : gap / (frameHeight + gap),
      paddingOuter: 0,
    },
  };
}
