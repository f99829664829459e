/** What notebooks show of a study, with the arguments checked: a slip is told in one line. */

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

const ofFields = (...keys: string[]) => (value: unknown) => has(value, ...keys);

function argument(name: string, what: string, accepts: (value: unknown) => boolean): Check {
  return (value) => accepts(value) ? null : `${name} must be ${what}, and is ${describe(value)}`;
}

/** A list of which each item has these fields. */
function list(name: string, what: string, ...keys: string[]): Check {
  return argument(name, what, (value) => Array.isArray(value) && value.every(ofFields(...keys)));
}

function orMissing(accepts: (value: unknown) => boolean): (value: unknown) => boolean {
  return (value) => value === undefined || accepts(value);
}

const isStudy = ofFields("runs", "scenarios", "context");

const STUDY = argument("study", "a study, as runStudy() returns it", isStudy);
const SCENARIOS = list("scenarios", "a study's scenarios, as results.scenarios", "n", "rps", "arm");
const PERCENTILE = argument(
  "percentile",
  `one of ${PERCENTILES.join(", ")}`,
  orMissing((value) => PERCENTILES.some((known) => known === value)),
);
const OBJECT = argument("options", "an object, such as the study", orMissing(ofFields()));
const OPTIONS: Check = (value) =>
  OBJECT(value) ?? PERCENTILE((value as { percentile?: unknown } | undefined)?.percentile);
const followUp = (name: string, origin: string) =>
  argument(name, `${origin} or null`, (value) => value === null || isStudy(value));

/** Checks that what is to be run on, confirmed or exported is a study, for the function named. */
export function expectStudy(name: string, value: unknown): void {
  expectAll(name, [STUDY], [value]);
}

function expectAll(name: string, checks: readonly Check[], values: readonly unknown[]): void {
  for (const [i, check] of checks.entries()) {
    const fault = check(values[i]);
    if (fault !== null) throw new UsageError(`Cannot call ${name}(): ${fault}`);
  }
}

const OPEN_LOOP = followUp("openLoop", "what runOpenLoop() returned");
const CONFIRMATION = followUp("confirmation", "what results.confirmation() returned");
const ID = argument(
  "scenarioId",
  "the id of one of results.scenarios",
  orMissing((value) => typeof value === "string"),
);
const RATIOS = list("ratios", "a study's pairs of paths, as results.ratios", "direct");
const ARM_RATIOS = list("ratios", "a study's pairs of arms, as results.armRatios", "baseArm");
const EFFECTS = list("effects", "what a study's choices bring, as results.effects", "choice");
const DISTRIBUTION = list("points", "what await results.distribution() returns", "percent");
const CPU = list("points", "what await results.cpu(scenarioId) returns", "cores");
const CONNECTIONS = list(
  "points",
  "what await results.connections(scenarioId) returns",
  "connections",
);
const ROWS = list("rows", "what waterfalls(results) returns", "parts");
const PLAN = argument("plan", "a plan, as results.plan", ofFields("scenarios", "rounds"));
const LOAD = argument("load", "what await openLoad() returned", ofFields("curve"));

/** The arguments of functions that take other things than a study. */
const ARGUMENTS: Partial<Record<keyof typeof shown, Check[]>> = {
  armRatioFigure: [ARM_RATIOS, OPTIONS],
  confirmationTable: [STUDY, CONFIRMATION],
  connectionsFigure: [CONNECTIONS, OPTIONS],
  distributionFigure: [DISTRIBUTION, OPTIONS],
  effectFigure: [EFFECTS, OPTIONS],
  latencyFigure: [SCENARIOS, OPTIONS],
  loadFigure: [LOAD],
  openLoopFigure: [OPEN_LOOP, OPTIONS],
  openLoopTable: [OPEN_LOOP],
  p95ComparisonFigure: [SCENARIOS, OPTIONS],
  poolSizeFigure: [STUDY, OPTIONS],
  ratioFigure: [RATIOS, OPTIONS],
  readConfirmation: [STUDY, CONFIRMATION],
  readLatency: [STUDY, PERCENTILE],
  readOpenLoop: [OPEN_LOOP, STUDY],
  readVerdict: [STUDY, ID],
  resourceFigure: [CPU, OPTIONS],
  rpsComparisonFigure: [SCENARIOS, OPTIONS],
  scenarioMatrixFigure: [PLAN, OPTIONS],
  throughputFigure: [SCENARIOS, OPTIONS],
  waterfallFigure: [ROWS, OPTIONS],
};

type Call = (...values: unknown[]) => unknown;

function checkArguments([name, call]: [string, unknown]): [string, Call] {
  const checks = ARGUMENTS[name as keyof typeof shown] ?? [STUDY];
  return [name, (...values) => {
    expectAll(name, checks, values);
    return (call as Call)(...values);
  }];
}

export const {
  armRatioFigure,
  armRatioTable,
  carryOverTable,
  conclusion,
  confirmationTable,
  connectionsFigure,
  cpuPerRequestTable,
  describeSpent,
  describeStudy,
  distributionFigure,
  effectFigure,
  effectTable,
  evidenceTable,
  failuresTable,
  flawsTable,
  latencyFigure,
  loadFigure,
  openLoopFigure,
  openLoopTable,
  p95ComparisonFigure,
  poolSizeFigure,
  poolSizeTable,
  publishedTable,
  ratioFigure,
  ratioTable,
  readAlternation,
  readArmRatios,
  readConfirmation,
  readEffects,
  readEvidence,
  readFailures,
  readGates,
  readLatency,
  readOpenLoop,
  readPoolSizes,
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
  turnsTable,
  verdictTable,
  waterfallFigure,
  waterfalls,
} = Object.fromEntries(Object.entries(shown).map(checkArguments)) as typeof shown;
