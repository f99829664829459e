/** Whether an app did the contract's work: apps that do different work are not compared. */

import { connectionBudget } from "../connections.ts";
import type { RunSummary } from "../stats/summary.ts";
import type { Work } from "../stats/work.ts";

/**
 * By how much statements or rows per request may differ from the contract's, beside the share of
 * those requests that can be in the database when a window's begin or end is read, on time or late.
 */
export const WORK_TOLERANCE = 0.05;
/** Fewer requests than this do not tell. */
const MIN_WORK_REQUESTS = 200;

export type UnequalWork = ReturnType<typeof findUnequalWork>[number];

/** By what was counted: its name, and what an app does of which there is more or less. */
const DEVIATIONS = {
  statements: {
    name: "data statements",
    more: "queries the database more than once for what one statement gives",
    fewer: "answers without querying the database, as from a cache",
  },
  rows: {
    name: "rows",
    more: "reads rows that no answer needs",
    fewer: "answers without reading what it shows",
  },
};

function sumWork(runs: readonly RunSummary[]) {
  const sum = (pick: (work: Work, run: RunSummary) => number) =>
    runs.reduce((total, run) => total + pick(run.telemetry!.work!, run), 0);
  const requests = sum((work) => work.requests);
  return {
    requests,
    statements: sum((work) => work.dataStatements),
    rows: sum((work) => work.rows),
    executed: sum((work) => work.dataStatements + work.transactionControl),
    contract: runs.every(({ telemetry }) => telemetry!.work!.contract !== null)
      ? {
        statements: sum(({ contract }) => contract!.statements),
        rows: sum(({ contract }) => contract!.rows),
      }
      : null,
    /** What PgBouncer saw of it; null when the path is direct, or it is not known. */
    queries: runs.every(({ telemetry }) => telemetry!.pgbouncer !== null)
      ? sum((_, { telemetry }) => telemetry!.pgbouncer!.queries)
      : null,
    /** The share of the requests that can be in the database when a window's begin or end is read. */
    underWay: sum(({ astride }, { scenario }) =>
      astride +
      Math.min(scenario.users ?? Infinity, connectionBudget(scenario), scenario.maxConnections)
    ) / requests,
  };
}

function deviations(own: readonly RunSummary[]): string[] {
  const { contract, requests, queries, executed, underWay, ...work } = sumWork(own);
  if (contract === null || requests < MIN_WORK_REQUESTS) return [];
  const tolerance = WORK_TOLERANCE + underWay;
  const per = (count: number) => (count / requests).toFixed(2);
  const texts = (["statements", "rows"] as const).flatMap((what) => {
    const [seen, asked] = [work[what], contract[what]];
    if (Math.abs(seen - asked) <= tolerance * asked) return [];
    const { name, more, fewer } = DEVIATIONS[what];
    const habit = seen > asked ? more : fewer;
    return [
      `${per(seen)} ${name} per request where the contract has ${per(asked)}: the app ${habit}`,
    ];
  });
  if (queries !== null && queries < (1 - tolerance) * executed) {
    const past = Math.round(100 * (1 - queries / executed));
    texts.push(
      `PgBouncer saw ${per(queries)} queries per request and PostgreSQL executed ` +
        `${per(executed)}: ${past}% went past PgBouncer`,
    );
  }
  return texts;
}

/** How a pooled arm of an app that says nothing of its statements differs from its direct arms. */
function differences(own: readonly RunSummary[], all: readonly RunSummary[]): string[] {
  const { framework, path } = own[0]!.scenario;
  if (path === "direct") return [];
  const pooled = sumWork(own);
  const direct = sumWork(
    all.filter(({ scenario }) => scenario.framework === framework && scenario.path === "direct"),
  );
  const least = Math.min(pooled.requests, direct.requests);
  if (pooled.contract !== null || direct.contract !== null || least < MIN_WORK_REQUESTS) return [];
  const seen = pooled.statements / pooled.requests;
  const asked = direct.statements / direct.requests;
  // The mix is drawn, and its routes may differ in their statements by as much as these have.
  const drawn = 3 / Math.sqrt(least);
  const tolerance = WORK_TOLERANCE + drawn + pooled.underWay + direct.underWay;
  return Math.abs(seen - asked) <= tolerance * asked ? [] : [
    `${seen.toFixed(2)} data statements per request where the direct path has ` +
    `${asked.toFixed(2)}: the app does other work through PgBouncer`,
  ];
}

/** The arms that did other work than the contract's, or other work through PgBouncer than without it. */
export function findUnequalWork(runs: readonly RunSummary[]) {
  const worked = runs.filter(({ status, telemetry }) =>
    status !== "failed" && telemetry?.work != null
  );
  return [...Map.groupBy(worked, ({ arm }) => arm)]
    .map(([arm, own]) => ({ arm, what: [...deviations(own), ...differences(own, worked)] }))
    .filter(({ what }) => what.length > 0);
}

/** Rejects the runs of such arms, so that they enter no comparison; in a functional check too. */
export function rejectUnequalWork(
  runs: readonly RunSummary[],
  unequal: readonly UnequalWork[],
): RunSummary[] {
  return runs.map((run) => {
    const found = unequal.find(({ arm }) => arm === run.arm);
    if (found === undefined || run.status === "failed") return run;
    const cause = `other work than the contract's: ${found.what.join("; ")}`;
    // Whatever it answered is no count of the same work.
    return { ...run, status: "rejected", cause, counted: false };
  });
}
