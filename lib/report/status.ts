/**
 * What became of the runs of a scenario, in words.
 *
 * @module
 */

import { shortCause } from "../stats/summarise.ts";
import type { ScenarioSummary } from "../stats/summary.ts";

/** Failed or rejected, as a whole or in part, or neither, with the cause. */
export function describeStatus(scenario: ScenarioSummary): string {
  const { n, failedRuns, rejectedRuns, rejection } = scenario;
  const all = n + failedRuns + rejectedRuns;
  const extent = (runs: number, word: string) => runs === all ? word : `${runs} of ${all} ${word}`;
  const parts = [
    ...(failedRuns > 0 ? [`${extent(failedRuns, "failed")}: ${shortCause(scenario)}`] : []),
    ...(rejectedRuns > 0 ? [`${extent(rejectedRuns, "rejected")}: ${rejection}`] : []),
  ];
  return parts.length === 0 ? "ok" : parts.join("; ");
}
