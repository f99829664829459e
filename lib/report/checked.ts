/**
 * What notebooks show of a study, with the arguments checked: a slip is told in one line with what is
 * accepted, not as an error from within a figure.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { PERCENTILES } from "../figures/claims.ts";
import * as shown from "./shown.ts";
import { Study } from "./study.ts";

/** What is wrong with an argument, by its name; null where nothing is. */
type Check = (value: unknown) => string | null;

/** A value as a message names it. */
function describe(value: unknown): string {
  if (value instanceof Study) return "a study";
  if (value instanceof Promise) return "a promise: await it";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list of other things";
  if (value === null || typeof value !== "object") return String(JSON.stringify(value));
  return "something else";
}

function has(value: unknown, ...keys: string[]): boolean {
  return typeof value === "object" && value !== null && keys.every((key) => key in value);
}

function argument(name: string, what: string, accepts: (value: unknown) => boolean): Check {
  return (value) => accepts(value) ? null : `${name} must be ${what}, and is ${describe(value)}`;
}

/** A list of which each item has these fields. */
function list(name: string, what: string, ...keys: string[]): Check {
  const accepts = (value: unknown) =>
    Array.isArray(value) && value.every((one) => has(one, ...keys));
  return argument(name, what, accepts);
}

const isStudy = (value: unknown) => has(value, "runs", "scenarios", "context");
const isPercentile = (value: unknown) =>
  value === undefined || PERCENTILES.some((known) => known === value);

const STUDY = argument("study", "a study, as runStudy() returns it", isStudy);
const SCENARIOS = list("scenarios", "a study's scenarios, as results.scenarios", "n", "rps", "arm");
const PERCENTILE = argument("percentile", `one of ${PERCENTILES.join(", ")}`, isPercentile);
const isOptions = (value: unknown) => value === undefined || has(value);
const OBJECT = argument("options", "an object, such as the study", isOptions);
const OPTIONS: Check = (value) =>
  OBJECT(value) ?? PERCENTILE((value as { percentile?: unknown } | undefined)?.percentile);
const followUp = (name: string, origin: string) =>
  argument(name, `${origin} or null`, (value) => value === null || isStudy(value));
const OPEN_LOOP = followUp("openLoop", "what runOpenLoop() returned");
const CONFIRMATION = followUp("confirmation", "what results.confirmation() returned");
const ID = argument(
  "scenarioId",
  "the id of one of results.scenarios",
  (value) => value === undefined || typeof value === "string",
);

/** The arguments of functions that take other things than a study. */
const ARGUMENTS: Partial<Record<keyof typeof shown, Check[]>> = {
  throughputFigure: [SCENARIOS, OPTIONS],
  latencyFigure: [SCENARIOS, OPTIONS],
  rpsComparisonFigure: [SCENARIOS, OPTIONS],
  p95ComparisonFigure: [SCENARIOS, OPTIONS],
  ratioFigure: [list("ratios", "a study's pairs of paths, as results.ratios", "direct"), OPTIONS],
  armRatioFigure: [
    list("ratios", "a study's pairs of arms, as results.armRatios", "baseArm"),
    OPTIONS,
  ],
  distributionFigure: [
    list("points", "what await results.distribution() returns", "percent"),
    OPTIONS,
  ],
  resourceFigure: [list("points", "what await results.cpu(scenarioId) returns", "cores"), OPTIONS],
  connectionsFigure: [
    list("points", "what await results.connections(scenarioId) returns", "connections"),
    OPTIONS,
  ],
  waterfallFigure: [list("rows", "what waterfalls(results) returns", "parts"), OPTIONS],
  scenarioMatrixFigure: [
    argument("plan", "a plan, as results.plan", (value) => has(value, "scenarios", "rounds")),
    OPTIONS,
  ],
  loadFigure: [argument("load", "what await openLoad() returned", (value) => has(value, "curve"))],
  openLoopFigure: [OPEN_LOOP, OPTIONS],
  openLoopTable: [OPEN_LOOP],
  readOpenLoop: [OPEN_LOOP, STUDY],
  readLatency: [STUDY, PERCENTILE],
  readVerdict: [STUDY, ID],
  readConfirmation: [STUDY, CONFIRMATION],
  confirmationTable: [STUDY, CONFIRMATION],
};

/**
 * Checks that what is to be run on, confirmed or exported is a study.
 *
 * @param name The function that is called, for the message.
 * @throws {UsageError} If it is not.
 */
export function expectStudy(name: string, value: unknown): void {
  const fault = STUDY(value);
  if (fault !== null) throw new UsageError(`Cannot call ${name}(): ${fault}`);
}

type Shown = (...values: unknown[]) => unknown;

function checkArguments(name: string, call: Shown): Shown {
  const expected = ARGUMENTS[name as keyof typeof shown] ?? [STUDY];
  return (...values) => {
    for (const [i, check] of expected.entries()) {
      const fault = check(values[i]);
      if (fault !== null) throw new UsageError(`Cannot call ${name}(): ${fault}`);
    }
    return call(...values);
  };
}

const checked = Object.fromEntries(
  Object.entries(shown).map(([name, call]) => [name, checkArguments(name, call as Shown)]),
) as typeof shown;

export const {
  armRatioFigure,
  armRatioTable,
  conclusion,
  confirmationTable,
  connectionsFigure,
  describeSpent,
  describeStudy,
  distributionFigure,
  evidenceTable,
  failuresTable,
  flawsTable,
  latencyFigure,
  loadFigure,
  openLoopFigure,
  openLoopTable,
  p95ComparisonFigure,
  publishedTable,
  ratioFigure,
  ratioTable,
  readArmRatios,
  readConfirmation,
  readEvidence,
  readFailures,
  readGates,
  readLatency,
  readOpenLoop,
  readRatios,
  readTelemetry,
  readThroughput,
  readVerdict,
  readVerdicts,
  referenceTable,
  resourceFigure,
  rpsComparisonFigure,
  scenarioMatrixFigure,
  settingsTable,
  telemetryTable,
  throughputFigure,
  verdictTable,
  waterfallFigure,
  waterfalls,
} = checked;
