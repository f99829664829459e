/**
 * Poolscope for notebooks: run or open a study, look at it in figures and tables, read what it says.
 *
 * Engines, PostgreSQL and dataframes are loaded when they are first needed, so that opening a
 * complete study starts nothing.
 *
 * @module
 */

import { installKernelGuards } from "./notebooks/guard.ts";

export { FileError, PoolscopeError, SchemaVersionError, UsageError } from "./errors.ts";
export { connectionBudget } from "./connections.ts";
export {
  armLabels,
  createScenario,
  type Framework,
  type Leg,
  legsOf,
  levelLabel,
  parseSetting,
  type Path,
  PATHS,
  type Reuse,
  REUSES,
  type Scenario,
  scenarioId,
  type ScenarioValues,
} from "./scenario.ts";
export {
  changePlan,
  FRAMEWORKS,
  namedPlan,
  parsePlan,
  type Plan,
  PLAN_NAMES,
  type PlanChanges,
  planHash,
  type PlannedRun,
  planRuns,
} from "./plan.ts";
export {
  ENGINES,
  openStudy,
  runConfirmation,
  runOpenLoop,
  runStudy,
  type RunStudyOptions,
} from "./run_study.ts";
export { exportStudy } from "./export_study.ts";
export { loadStudy, Study } from "./report/study.ts";

export { findCause } from "./diagnose/causes.ts";
export { relieve } from "./diagnose/relief.ts";
export { waitUntil } from "./hosts/wait.ts";
export { explainExit, locustCommand } from "./load/locust.ts";
export { checkCounts, convertRequests, readFinal } from "./load/requests.ts";
export { loadLocust, type LocustRun } from "./frames/locust.ts";

export { deliveryTrouble } from "./stats/delivery.ts";
export { compareScenarios } from "./stats/comparisons.ts";
export { selectSmallest } from "./stats/best.ts";
export { estimateRatios } from "./stats/blocks.ts";
export { comparisonPower } from "./stats/detectable.ts";
export { decideFamily, stoppingRule } from "./stats/family.ts";
export {
  coefficientOfVariation,
  meanInterval,
  medianRange,
  pairedRatio,
} from "./stats/interval.ts";
export { nearestRank, percentile } from "./stats/percentile.ts";
export { nominalLevels } from "./stats/spending.ts";
export { checkLittlesLaw, checkSteadyState, findTrend } from "./stats/steady_state.ts";
export { studentTQuantile } from "./stats/probability.ts";
export { differingSettings, summariseScenarios } from "./stats/summarise.ts";
export { latencyParts } from "./stats/waterfall.ts";
export { pairName, pathClaim, rangeClaim } from "./figures/claims.ts";
export { Figure, plot } from "./figures/figure.ts";
export { formatNumber } from "./wording/format.ts";
export { claim } from "./report/claim.ts";
export { Markdown, Table } from "./report/display.ts";
export { exportLoad, Load, openLoad } from "./report/load.ts";

// Their arguments are checked when they are called; to a reader and to the type checker they are
// what they are in shown.ts.
// @ts-types="./report/shown.ts"
export * from "./report/checked.ts";

installKernelGuards();
