/** What notebooks show of a study: figures, tables and readings. */

export { waterfalls } from "../stats/waterfall.ts";
export { p95ComparisonFigure, rpsComparisonFigure } from "../figures/comparison.ts";
export { connectionsFigure } from "../figures/over_time.ts";
export { distributionFigure } from "../figures/distribution.ts";
export { latencyFigure } from "../figures/levels.ts";
export { loadFigure } from "../figures/distribution.ts";
export { scenarioMatrixFigure } from "../figures/matrix.ts";
export { openLoopFigure } from "../figures/levels.ts";
export { poolSizeFigure } from "../figures/pool_sizes.ts";
export { armRatioFigure, effectFigure, ratioFigure } from "../figures/ratio.ts";
export { resourceFigure } from "../figures/over_time.ts";
export { throughputFigure } from "../figures/levels.ts";
export { waterfallFigure } from "../figures/waterfall.ts";
export { carryOverTable, readAlternation, turnsTable } from "./alternation.ts";
export { conclusion } from "./answer.ts";
export { evidenceTable, readEvidence, readTelemetry, telemetryTable } from "./pooler.ts";
export { cpuPerRequestTable, effectTable, readEffects } from "./effects.ts";
export { poolSizeTable, readPoolSizes } from "./pool_sizes.ts";
export * from "./published.ts";
export {
  describeSpent,
  describeStudy,
  readArmRatios,
  readFailures,
  readGates,
  readLatency,
  readOpenLoop,
  readRatios,
  readThroughput,
} from "./readings.ts";
export {
  armRatioTable,
  failuresTable,
  openLoopTable,
  ratioTable,
  referenceTable,
  settingsTable,
} from "./tables.ts";
export * from "./verdicts.ts";
