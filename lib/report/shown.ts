/**
 * What notebooks show of a study: figures, tables and readings.
 *
 * @module
 */

export { waterfalls } from "../stats/waterfall.ts";
export { p95ComparisonFigure, rpsComparisonFigure } from "../figures/comparison.ts";
export { connectionsFigure } from "../figures/connections.ts";
export { distributionFigure } from "../figures/distribution.ts";
export { latencyFigure } from "../figures/latency.ts";
export { loadFigure } from "../figures/load.ts";
export { scenarioMatrixFigure } from "../figures/matrix.ts";
export { openLoopFigure } from "../figures/open_loop.ts";
export { armRatioFigure, ratioFigure } from "../figures/ratio.ts";
export { resourceFigure } from "../figures/resource.ts";
export { throughputFigure } from "../figures/throughput.ts";
export { waterfallFigure } from "../figures/waterfall.ts";
export { conclusion } from "./answer.ts";
export { evidenceTable, readEvidence } from "./evidence.ts";
export { flawsTable } from "./flaws.ts";
export { readGates } from "./gates.ts";
export { describeStudy, readFailures, readLatency, readThroughput } from "./narrative.ts";
export { openLoopTable, readOpenLoop } from "./open_loop.ts";
export { publishedTable } from "./published.ts";
export { describeSpent, readArmRatios, readRatios } from "./ratios.ts";
export {
  armRatioTable,
  failuresTable,
  ratioTable,
  referenceTable,
  settingsTable,
} from "./tables.ts";
export { readTelemetry, telemetryTable } from "./telemetry.ts";
export {
  confirmationTable,
  readConfirmation,
  readVerdict,
  readVerdicts,
  verdictTable,
} from "./verdicts.ts";
