/**
 * What became of the runs of a scenario, in words.
 *
 * @module
 */

import { shortCause } from "../stats/summarise.ts";
import type { ScenarioSummary } from "../stats/summary.ts";
import { narrativeWords as say } from "../wording/study.ts";

/** Failed or rejected, as a whole or in part, or neither, with the cause. */
export function describeStatus(scenario: ScenarioSummary): string {
  const { n, failedRuns, rejectedRuns, rejection } = scenario;
  const all = n + failedRuns + rejectedRuns;
  const parts = [
    ...(failedRuns > 0 ? [say.status(failedRuns, all, "failed", shortCause(scenario))] : []),
    ...(rejectedRuns > 0 ? [say.status(rejectedRuns, all, "rejected", rejection!)] : []),
  ];
  return parts.length === 0 ? say.ok : parts.join("; ");
}
