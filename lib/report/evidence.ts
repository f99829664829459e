/**
 * What may be claimed of the pooler in each pair, with its evidence.
 *
 * @module
 */

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
import { claimWords } from "../wording/claims.ts";
import { atLevels, formatNumber, formatPercent, formatRatio } from "../wording/format.ts";
import { heading } from "../wording/tables.ts";
import { poolerWords as say } from "../wording/telemetry.ts";
import { type CellValue, left, Markdown, right, Table } from "./display.ts";
import type { Study } from "./study.ts";
import { checkStamp } from "./tables.ts";

function claimsOf({ pair, claims, traces, rounds }: PairEvidence): string {
  if (rounds === 0) return pair.missing ?? say.notRecorded;
  return claims.length > 0 ? claims.join(", ") : say.onlyHop(traces);
}

/**
 * Reads which of the three claims each pair supports.
 *
 * @param study The study.
 */
export function readEvidence(study: Study): Markdown {
  const all = pairEvidence(study);
  if (all.length === 0) return new Markdown(say.noPair);
  const groups = new Map<string, string[]>();
  for (const evidence of all) {
    const claims = claimsOf(evidence);
    const name = claimWords.cell(pairName(evidence.pair), [evidence.pair]);
    groups.set(claims, [...(groups.get(claims) ?? []), name]);
  }
  const meaning = say.claims({
    churn: CHURN,
    churnLeft: CHURN_LEFT,
    queuedMs: QUEUED_MS,
    queuedShare: QUEUED_SHARE,
    cheaper: CHEAPER,
    rounds: CHEAPER_ROUNDS,
  });
  const lines = [...groups].map(([claims, names]) => say.line(claims, names));
  return new Markdown(`${meaning}\n\n${lines.join("\n")}`);
}

/** The figures of a claim in one pair. */
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

/**
 * PgBouncer's part in what was measured, a text for each kind of it, with the figures of the highest
 * load; of a gain without a claim, that nothing explains it. See `judgeGain`.
 *
 * @param evidence The evidence of some pairs.
 */
export function explainPairs(evidence: readonly PairEvidence[]): string[] {
  const told = evidence.filter(({ pair, claims }) => claims.length > 0 || isAhead(pair));
  return [...Map.groupBy(told, claimsOf)].map(([claims, own]) => {
    const at = atLevels(own.map(({ pair }) => pair));
    const last = own.at(-1)!;
    switch (judgeGain(last)) {
      case "explained":
        return say.explained(
          at,
          claims,
          describeClaims(last),
          own.length === 1 ? null : atLevels([last.pair]),
        );
      case "unexplained":
        return say.unexplained(at);
      case "unrecorded":
        return say.unrecorded(at);
    }
  });
}

/**
 * The counts behind {@linkcode readEvidence}: medians over the rounds.
 *
 * @param study The study.
 */
export function evidenceTable(study: Study): Table {
  const shown = (value: number | null) => value === null ? null : formatNumber(value);
  return new Table(
    checkStamp(study) + say.table,
    [
      left(heading.framework),
      left(heading.reuse),
      right(heading.load),
      right(heading.sessionsDirect),
      right(heading.sessionsPooled),
      right(heading.logins),
      right(heading.maxClients),
      right(heading.maxServers),
      right(heading.waitMs),
      right(heading.waitShare),
      right(heading.cpuRatio),
      left(heading.supports),
    ],
    pairEvidence(study).map((one): CellValue[] => [
      one.pair.label,
      one.pair.reuse,
      levelLabel(one.pair),
      shown(one.sessionsDirect),
      shown(one.sessionsPooled),
      shown(one.logins),
      shown(one.maxClients),
      shown(one.maxServers),
      shown(one.waitMs),
      one.waitShare && formatPercent(one.waitShare),
      one.cpuRatio && formatRatio(one.cpuRatio),
      claimsOf(one),
    ]),
  );
}
