/**
 * What of the load reached the database, and through how many connections.
 *
 * @module
 */

import { claimWords } from "../wording/claims.ts";
import { formatNumber } from "../wording/format.ts";
import { heading } from "../wording/tables.ts";
import { telemetryWords as say } from "../wording/telemetry.ts";
import { levelLabel } from "../scenario.ts";
import type { RunSummary } from "../stats/summary.ts";
import { connectionChurn } from "../stats/telemetry.ts";
import { type CellValue, left, Markdown, right, Table } from "./display.ts";
import type { Study } from "./study.ts";
import { checkStamp } from "./tables.ts";

/** The mean of what is known; null where nothing is. */
function mean(values: (number | null | undefined)[]): number | null {
  const known = values.filter((value) => value != null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}

/** The largest of what is known; null where nothing is. */
function largest(values: (number | null | undefined)[]): number | null {
  const known = values.filter((value) => value != null);
  return known.length === 0 ? null : Math.max(...known);
}

const shown = (value: number | null) => value === null ? null : formatNumber(value);
const decimal = (value: number | null, digits = 2) => value === null ? null : value.toFixed(digits);

/** The runs of a scenario whose windows were counted: those too that gates reject. */
function countedRuns({ runs }: Study, scenarioId: string): RunSummary[] {
  return runs.filter((run) =>
    run.scenarioId === scenarioId && run.status !== "failed" && run.telemetry !== null
  );
}

/**
 * Reads the table of {@linkcode telemetryTable} in a sentence or two: where connections were opened
 * most and least often, and what a request had the database do.
 *
 * @param study The study.
 */
export function readTelemetry(study: Study): Markdown {
  const opened = study.scenarios.flatMap((scenario) => {
    const sessions = mean(
      countedRuns(study, scenario.scenarioId).map((run) => connectionChurn(run)?.sessions),
    );
    const arm = claimWords.cell(scenario.arm, [scenario]);
    return sessions === null ? [] : [{ arm, sessions }];
  }).sort((a, b) => a.sessions - b.sessions);
  if (opened.length === 0) return new Markdown(say.nothing);
  const least = opened[0]!;
  const most = opened.at(-1)!;
  const perRequest = study.runs.flatMap(({ status, telemetry }) => {
    const work = telemetry?.work;
    return status === "failed" || work == null || work.requests === 0
      ? []
      : [work.dataStatements / work.requests];
  });
  const sentences = [
    say.sessions(most, most === least ? null : least),
    ...(perRequest.length === 0 ? [] : [say.statements(perRequest)]),
  ];
  return new Markdown(sentences.join(" "));
}

/**
 * New connections, the most connections of any moment, and the work for the database, of each
 * scenario beside its throughput: means over the runs that did not fail, of maxima the largest.
 *
 * @param study The study.
 */
export function telemetryTable(study: Study): Table {
  const unequal = new Set(study.unequalWork.map(({ arm }) => arm));
  const marked = new Set<number>();
  const rows = study.scenarios.flatMap((scenario): CellValue[][] => {
    const runs = countedRuns(study, scenario.scenarioId);
    return runs.length === 0 ? [] : [[
      scenario.arm,
      levelLabel(scenario),
      scenario.rps && formatNumber(scenario.rps.value),
      ...describeRuns(runs),
    ]];
  });
  // A functional check compares neither throughput nor times.
  const compared = study.context.functionalCheck ? [2, 10, 11] : [];
  const without = <T>(cells: readonly T[]) => cells.filter((_, i) => !compared.includes(i));
  rows.forEach(([arm], i) => {
    if (unequal.has(String(arm))) marked.add(i);
  });
  return new Table(
    checkStamp(study) + (marked.size === 0 ? say.caption : say.captionMarked),
    without([
      left(heading.arm),
      right(heading.load),
      right(heading.rps),
      right(heading.sessions),
      right(heading.logins),
      right(heading.maxClients),
      right(heading.maxConnections),
      right(heading.statements),
      right(heading.rowsPerRequest),
      right(heading.transactionControl),
      right(heading.execution),
      right(heading.queueMs),
    ]),
    rows.map(without),
    marked,
  );
}

function describeRuns(runs: readonly RunSummary[]): CellValue[] {
  const churns = runs.map(connectionChurn);
  const works = runs.flatMap(({ telemetry }) => telemetry!.work ?? []);
  const perRequest = (value: (work: typeof works[number]) => number) =>
    mean(works.map((work) => value(work) / work.requests));
  const poolers = runs.flatMap(({ requests, telemetry }) =>
    telemetry!.pgbouncer === null ? [] : [{ requests, ...telemetry!.pgbouncer }]
  );
  return [
    shown(mean(churns.map((churn) => churn?.sessions))),
    shown(mean(churns.map((churn) => churn?.logins))),
    shown(largest(poolers.map(({ maxClients }) => maxClients))),
    shown(largest(runs.map(({ telemetry }) => telemetry!.postgres?.maxConnections))),
    decimal(perRequest((work) => work.dataStatements)),
    decimal(perRequest((work) => work.rows)),
    decimal(perRequest((work) => work.transactionControl)),
    decimal(perRequest((work) => work.dataMs + work.otherMs)),
    decimal(mean(poolers.map(({ waitUs, requests }) => waitUs / 1000 / requests))),
  ];
}
