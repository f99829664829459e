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
