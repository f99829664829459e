/**
 * Whether an app did the work that the contract asks for: frameworks that do different work are not
 * compared.
 *
 * @module
 */

import { connectionBudget } from "../connections.ts";
import type { Scenario } from "../scenario.ts";
import type { RunSummary } from "../stats/summary.ts";
import type { Work } from "../stats/work.ts";
import { workWords } from "../wording/gates.ts";

/**
 * By how much statements or rows per request may differ from the contract's, beside the share of
 * those requests that can be in the database when a window begins or ends: what is executed for
 * them and what is answered may fall on two sides of it.
 */
export const WORK_TOLERANCE = 0.05;
/** Fewer requests than this do not tell. */
export const MIN_WORK_REQUESTS = 200;

/** An arm that did other work than the contract's. */
export interface UnequalWork {
  /** The arm's label within its study, which names the framework. */
  arm: string;
  /** One sentence per deviation, without the arm and without a full stop. */
  what: string[];
}

/** Requests that can be in the database at the same time. */
function mostUnderWay(scenario: Scenario): number {
  return Math.min(scenario.users ?? Infinity, connectionBudget(scenario), scenario.maxConnections);
}

/**
 * How the work of some requests deviates from the contract's, in words.
 *
 * @param work The work.
 * @param queries What PgBouncer saw of it; null when the path is direct, or it is not known.
 * @param underWay Requests that can be in the database at the windows' ends.
 */
function deviations(work: Work, queries: number | null, underWay: number): string[] {
  const { requests, contract } = work;
  if (contract === null || requests < MIN_WORK_REQUESTS) return [];
  const tolerance = WORK_TOLERANCE + underWay / requests;
  const texts: string[] = [];
  const compare = (what: "statements" | "rows", seen: number, asked: number) => {
    if (Math.abs(seen - asked) <= tolerance * asked) return;
    const say = workWords[what];
    texts.push((seen > asked ? say.more : say.fewer)(seen / requests, asked / requests));
  };
  compare("statements", work.dataStatements, contract.statements);
  compare("rows", work.rows, contract.rows);
  const executed = work.dataStatements + work.transactionControl;
  if (queries !== null && queries < (1 - tolerance) * executed) {
    texts.push(workWords.past(queries, executed, requests));
  }
  return texts;
}

function sumWork(all: readonly Work[]): Work {
  const sum = (value: (work: Work) => number) => all.reduce((total, one) => total + value(one), 0);
  const contracts = all.map(({ contract }) => contract);
  return {
    requests: sum((work) => work.requests),
    serviceMs: sum((work) => work.serviceMs),
    dataStatements: sum((work) => work.dataStatements),
    rows: sum((work) => work.rows),
    transactionControl: sum((work) => work.transactionControl),
    setup: sum((work) => work.setup),
    dataMs: sum((work) => work.dataMs),
    otherMs: sum((work) => work.otherMs),
    contract: contracts.includes(null) ? null : {
      statements: contracts.reduce((total, contract) => total + contract!.statements, 0),
      rows: contracts.reduce((total, contract) => total + contract!.rows, 0),
    },
  };
}

/**
 * How a run's work deviates from the contract's, in sentences; empty where it does not, or where it
 * was not recorded.
 */
export function unequalWork(
  { telemetry, scenario }: Pick<RunSummary, "telemetry" | "scenario">,
): string[] {
  if (telemetry === null || telemetry.work === null) return [];
  const queries = telemetry.pgbouncer?.queries ?? null;
  return deviations(telemetry.work, queries, mostUnderWay(scenario));
}

/**
 * The arms of a study that did other work than the contract's, over all their runs that did not fail.
 * None of them may stand in a comparison: see {@linkcode rejectUnequalWork}.
 *
 * @param runs The study's runs.
 */
export function findUnequalWork(runs: readonly RunSummary[]): UnequalWork[] {
  const arms = Map.groupBy(
    runs.filter(({ status, telemetry }) => status !== "failed" && telemetry?.work != null),
    ({ arm }) => arm,
  );
  const pairs = [...arms].flatMap(([arm, own]) => {
    const what = differsFromDirect(own, runs);
    return what === null ? [] : [{ arm, what: [what] }];
  });
  const deviating = [...arms].flatMap(([arm, own]) => {
    const seen = own.map(({ telemetry }) => telemetry!);
    const pooled = seen.map(({ pgbouncer }) => pgbouncer?.queries ?? null);
    const queries = pooled.includes(null)
      ? null
      : pooled.reduce<number>((total, count) => total + count!, 0);
    const underWay = own.reduce((total, { scenario }) => total + mostUnderWay(scenario), 0);
    const what = deviations(sumWork(seen.map(({ work }) => work!)), queries, underWay);
    return what.length === 0 ? [] : [{ arm, what }];
  });
  return [...deviating, ...pairs];
}

/**
 * How a pooled arm of an app that says nothing of its statements differs from the direct arms of the
 * same app, in words; null where it does not.
 */
function differsFromDirect(own: readonly RunSummary[], runs: readonly RunSummary[]): string | null {
  const { framework, path } = own[0]!.scenario;
  const withWork = (some: readonly RunSummary[]) =>
    some.filter(({ status, telemetry }) => status !== "failed" && telemetry?.work != null);
  const direct = withWork(runs).filter(({ scenario }) =>
    scenario.framework === framework && scenario.path === "direct"
  );
  if (path === "direct" || direct.length === 0) return null;
  const [pooledWork, directWork] = [own, direct]
    .map((some) => sumWork(some.map(({ telemetry }) => telemetry!.work!)));
  if (pooledWork!.contract !== null || directWork!.contract !== null) return null;
  if (Math.min(pooledWork!.requests, directWork!.requests) < MIN_WORK_REQUESTS) return null;
  const perRequest = (work: Work) => work.dataStatements / work.requests;
  const [pooled, asked] = [perRequest(pooledWork!), perRequest(directWork!)];
  const underWay = (some: readonly RunSummary[], { requests }: Work) =>
    some.reduce((total, { scenario }) => total + mostUnderWay(scenario), 0) / requests;
  // The mix is drawn, and its routes may differ in their statements by as much as these have.
  const drawn = 3 / Math.sqrt(Math.min(pooledWork!.requests, directWork!.requests));
  const tolerance = WORK_TOLERANCE + drawn + underWay(own, pooledWork!) +
    underWay(direct, directWork!);
  if (Math.abs(pooled - asked) <= tolerance * asked) return null;
  return workWords.throughPgbouncer(pooled, asked);
}

/**
 * Rejects the runs of arms that did other work than the contract's, so that they enter no mean, no
 * ratio, no figure's comparison and no answer. This holds in a functional check too: such an arm
 * does not work as it should.
 *
 * @param runs The study's runs.
 * @param unequal What {@linkcode findUnequalWork} found in them.
 */
export function rejectUnequalWork(
  runs: readonly RunSummary[],
  unequal: readonly UnequalWork[],
): RunSummary[] {
  const reasons = new Map(unequal.map(({ arm, what }) => [arm, workWords.other(what)]));
  return runs.map((run) => {
    const reason = reasons.get(run.arm);
    if (reason === undefined || run.status === "failed") return run;
    // Whatever it answered is no count of the same work.
    return { ...run, status: "rejected", cause: reason, counted: false };
  });
}
