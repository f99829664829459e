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
  FRAMEWORKS,
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
} from "./scenario.ts";
export {
  changePlan,
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
export { waitUntil } from "./engine/wait.ts";
export { explainExit, locustCommand } from "./load/locust.ts";
export { checkCounts, convertRequests, readFinal } from "./load/requests.ts";
export { loadLocust, type LocustRun } from "./frames/locust.ts";

export { deliveryTrouble } from "./stats/delivery.ts";
export { compareScenarios } from "./stats/comparisons.ts";
export { comparisonPower } from "./stats/detectable.ts";
export { decideFamily, stoppingRule } from "./stats/family.ts";
export { coefficientOfVariation, meanInterval, medianRange } from "./stats/interval.ts";
export { checkLittlesLaw } from "./stats/littles_law.ts";
export { nearestRank, percentile } from "./stats/percentile.ts";
export { pairedRatio } from "./stats/ratio.ts";
export { nominalLevels } from "./stats/spending.ts";
export { checkSteadyState, findTrend } from "./stats/steady_state.ts";
export { studentTQuantile } from "./stats/student_t.ts";
export { differingSettings, summariseScenarios } from "./stats/summarise.ts";
export { latencyParts, waterfalls } from "./stats/waterfall.ts";
export { pairName, pathClaim, rangeClaim } from "./figures/claims.ts";
export { Figure, plot } from "./figures/figure.ts";
export { p95ComparisonFigure, rpsComparisonFigure } from "./figures/comparison.ts";
export { connectionsFigure } from "./figures/connections.ts";
export { distributionFigure } from "./figures/distribution.ts";
export { formatNumber } from "./figures/format.ts";
export { latencyFigure } from "./figures/latency.ts";
export { scenarioMatrixFigure } from "./figures/matrix.ts";
export { openLoopFigure } from "./figures/open_loop.ts";
export { armRatioFigure, ratioFigure } from "./figures/ratio.ts";
export { resourceFigure } from "./figures/resource.ts";
export { throughputFigure } from "./figures/throughput.ts";
export { waterfallFigure } from "./figures/waterfall.ts";
export { conclusion } from "./report/answer.ts";
export { Markdown, Table } from "./report/display.ts";
export { evidenceTable, readEvidence } from "./report/evidence.ts";
export { flawsTable } from "./report/flaws.ts";
export { readGates } from "./report/gates.ts";
export { describeStudy, readFailures, readLatency, readThroughput } from "./report/narrative.ts";
export { openLoopTable, readOpenLoop } from "./report/open_loop.ts";
export { publishedTable } from "./report/published.ts";
export { describeSpent, readArmRatios, readRatios } from "./report/ratios.ts";
export {
  armRatioTable,
  failuresTable,
  ratioTable,
  referenceTable,
  settingsTable,
} from "./report/tables.ts";
export { readTelemetry, telemetryTable } from "./report/telemetry.ts";
export {
  confirmationTable,
  readConfirmation,
  readVerdict,
  readVerdicts,
  verdictTable,
} from "./report/verdicts.ts";

installKernelGuards();
