/** What of the load reached the database, and what may be claimed of the pooler in each pair. */

import {
  CHEAPER,
  CHEAPER_ROUNDS,
  CHURN,
  CHURN_LEFT,
  type Claim,
  isAhead,
  judgeGain,
  type PairEvidence,
  pairEvidence,
  QUEUED_MS,
  QUEUED_SHARE,
} from "../diagnose/evidence.ts";
import { pairName } from "../figures/claims.ts";
import { levelLabel } from "../scenario.ts";
import { momentsOf } from "../stats/interval.ts";
import { connectionChurn } from "../stats/telemetry.ts";
import type { Work } from "../stats/work.ts";
import { claimWords } from "../wording/claims.ts";
import { atLevels, formatPercent, formatRatio } from "../wording/format.ts";
import { poolerWords as say, telemetryWords } from "../wording/telemetry.ts";
import { joinTexts, Markdown, numeric, right, type Table, tableOf } from "./display.ts";
import type { Study } from "./study.ts";
import { checkStamp } from "./tables.ts";

/** A statistic of the values that there are; null without any. */
function over(
  values: readonly (number | null | undefined)[],
  summarise: (...known: number[]) => number = (...known) => momentsOf(known).mean,
): number | null {
  const known = values.filter((value) => value != null);
  return known.length === 0 ? null : summarise(...known);
}

/** Means over the runs, of maxima the largest; a run that gates reject counts too. */
function countScenarios({ scenarios, runs }: Study) {
  return scenarios.flatMap((scenario) => {
    const own = runs.filter(({ scenarioId, status, telemetry }) =>
      scenarioId === scenario.scenarioId && status !== "failed" && telemetry !== null
    );
    const churns = own.map(connectionChurn);
    const works = own.flatMap(({ telemetry }) => telemetry!.work ?? []);
    const perRequest = (pick: (work: Work) => number) =>
      over(works.map((work) => pick(work) / work.requests));
    const pooled = own.flatMap(({ requests, telemetry }) =>
      telemetry!.pgbouncer === null ? [] : [{ requests, ...telemetry!.pgbouncer }]
    );
    return own.length === 0 ? [] : [{
      ...scenario,
      sessions: over(churns.map((churn) => churn?.sessions)),
      logins: over(churns.map((churn) => churn?.logins)),
      maxClients: over(pooled.map(({ maxClients }) => maxClients), Math.max),
      maxConnections: over(
        own.map(({ telemetry }) => telemetry!.postgres?.maxConnections),
        Math.max,
      ),
      statements: perRequest(({ dataStatements }) => dataStatements),
      rows: perRequest(({ rows }) => rows),
      control: perRequest(({ transactionControl }) => transactionControl),
      executionMs: perRequest(({ dataMs, otherMs }) => dataMs + otherMs),
      waitMs: over(pooled.map(({ waitUs, requests }) => waitUs / 1000 / requests)),
    }];
  });
}

/**
 * Reads the table of {@linkcode telemetryTable} in a sentence or two: where connections were opened
 * most and least often, and what a request had the database do.
 */
export function readTelemetry(study: Study): Markdown {
  const opened = countScenarios(study).flatMap((scenario) => {
    const { arm, sessions } = scenario;
    return sessions === null ? [] : [{ arm: claimWords.cell(arm, [scenario]), sessions }];
  }).sort((a, b) => a.sessions - b.sessions);
  const [least, most] = [opened[0], opened.at(-1)];
  if (least === undefined || most === undefined) return new Markdown(telemetryWords.nothing);
  const perRequest = study.runs.flatMap(({ status, telemetry }) => {
    const work = telemetry?.work;
    return status === "failed" || work == null || work.requests === 0
      ? []
      : [work.dataStatements / work.requests];
  });
  return new Markdown(joinTexts(
    " ",
    telemetryWords.sessions(most, most === least ? null : least),
    perRequest.length > 0 && telemetryWords.statements(perRequest),
  ));
}

const decimal = (value: number) => value.toFixed(2);

/**
 * New connections, the most connections of any moment, and the work for the database, of each
 * scenario beside its throughput: means over the runs that did not fail, of maxima the largest.
 */
export function telemetryTable(study: Study): Table {
  const unequal = new Set(study.unequalWork.map(({ arm }) => arm));
  const isUnequal = ({ arm }: { arm: string }) => unequal.has(arm);
  const rows = countScenarios(study);
  const caption = rows.some(isUnequal) ? telemetryWords.captionMarked : telemetryWords.caption;
  // A functional check compares neither throughput nor times.
  const compares = !study.context.functionalCheck;
  return tableOf(checkStamp(study) + caption, rows, [
    ["arm", ({ arm }) => arm],
    right("load", levelLabel),
    compares && numeric("RPS", ({ rps }) => rps?.value),
    numeric("new sessions per 1,000 requests", ({ sessions }) => sessions),
    numeric("logins to PgBouncer per 1,000", ({ logins }) => logins),
    numeric("most client connections", ({ maxClients }) => maxClients),
    numeric("most connections to PostgreSQL", ({ maxConnections }) => maxConnections),
    numeric("data statements per request", ({ statements }) => statements, decimal),
    numeric("rows per request", ({ rows }) => rows, decimal),
    numeric("BEGIN, COMMIT … per request", ({ control }) => control, decimal),
    compares && numeric("execution, ms per request", ({ executionMs }) => executionMs, decimal),
    compares && numeric("wait in PgBouncer, ms per request", ({ waitMs }) => waitMs, decimal),
  ], isUnequal);
}

function claimsOf({ pair, claims, traces, rounds }: PairEvidence): string {
  if (rounds === 0) return pair.missing ?? say.notRecorded;
  return claims.length > 0 ? claims.join(", ") : say.onlyHop(traces);
}

/** Reads which of the three claims each pair supports. */
export function readEvidence(study: Study): Markdown {
  const all = pairEvidence(study);
  if (all.length === 0) return new Markdown(say.noPair);
  const meaning = say.claims({
    churn: CHURN,
    churnLeft: CHURN_LEFT,
    queuedMs: QUEUED_MS,
    queuedShare: QUEUED_SHARE,
    cheaper: CHEAPER,
    rounds: CHEAPER_ROUNDS,
  });
  const lines = [...Map.groupBy(all, claimsOf)].map(([claims, own]) =>
    say.line(claims, own.map(({ pair }) => claimWords.cell(pairName(pair), [pair])))
  );
  return new Markdown(`${meaning}\n\n${lines.join("\n")}`);
}

const FIGURES: Record<Claim, (evidence: PairEvidence) => string> = {
  reuse: ({ sessionsDirect, sessionsPooled }) => say.reuse(sessionsDirect!, sessionsPooled!),
  multiplexing: ({ maxClients, maxServers }) => say.multiplexing(maxClients!, maxServers!),
  queueing: ({ waitMs, waitShare, starving }) => say.queueing(waitMs!, waitShare!, starving ?? 0),
};

/** The figures of a pair's claims, and of the gain that is no throughput. */
function describeClaims(evidence: PairEvidence): string[] {
  const { claims, cpuRatio } = evidence;
  const cheaper = cpuRatio !== null && cpuRatio <= CHEAPER ? [say.cheaper(cpuRatio)] : [];
  return [...claims.map((claim) => FIGURES[claim](evidence)), ...cheaper];
}

/** PgBouncer's part in what was measured, a text for each kind, with figures of the highest load. */
export function explainPairs(evidence: readonly PairEvidence[]): string[] {
  const told = evidence.filter(({ pair, claims }) => claims.length > 0 || isAhead(pair));
  return [...Map.groupBy(told, claimsOf)].map(([claims, own]) => {
    const at = atLevels(own.map(({ pair }) => pair));
    const last = own.at(-1)!;
    const figuresAt = own.length === 1 ? null : atLevels([last.pair]);
    switch (judgeGain(last)) {
      case "explained":
        return say.explained(at, claims, describeClaims(last), figuresAt);
      case "unexplained":
        return say.unexplained(at);
      case "unrecorded":
        return say.unrecorded(at);
    }
  });
}

/** The counts behind {@linkcode readEvidence}: medians over the rounds. */
export function evidenceTable(study: Study): Table {
  return tableOf(checkStamp(study) + say.table, pairEvidence(study), [
    ["framework", ({ pair }) => pair.label],
    ["reuse", ({ pair }) => pair.reuse],
    right("load", ({ pair }) => levelLabel(pair)),
    numeric("new sessions per 1,000 requests, direct", ({ sessionsDirect }) => sessionsDirect),
    numeric("pooled", ({ sessionsPooled }) => sessionsPooled),
    numeric("logins to PgBouncer per 1,000", ({ logins }) => logins),
    numeric("most client connections", ({ maxClients }) => maxClients),
    numeric("most server connections", ({ maxServers }) => maxServers),
    numeric("wait per transaction, ms", ({ waitMs }) => waitMs),
    numeric("of a request's time", ({ waitShare }) => waitShare, formatPercent),
    numeric(
      "PostgreSQL's CPU per answer, pooled over direct",
      ({ cpuRatio }) => cpuRatio,
      formatRatio,
    ),
    ["supports", claimsOf],
  ]);
}
