/**
 * What may be claimed of the pooler in each pair, with its evidence.
 *
 * @module
 */

import {
  CHEAPER,
  CHURN,
  type Claim,
  judgeGain,
  type PairEvidence,
  pairEvidence,
  QUEUED_MS,
  QUEUED_SHARE,
} from "../diagnose/evidence.ts";
import { pairName } from "../figures/claims.ts";
import {
  atLevels,
  formatList,
  formatNumber,
  formatPercent,
  formatRatio,
} from "../figures/format.ts";
import { levelLabel } from "../scenario.ts";
import { type CellValue, Markdown, Table } from "./display.ts";
import type { Study } from "./study.ts";
import { checkStamp } from "./tables.ts";

const GAINED = `higher throughput, or PostgreSQL's CPU time per answer at most ${
  formatPercent(CHEAPER)
} of direct's in every round`;

/** What each claim means: its trace, and after "with" its consequence. */
const MEANING: Record<Claim, string> = {
  reuse: `reuse: PgBouncer spared PostgreSQL new sessions (direct opens at least ${CHURN} per ` +
    `1,000 requests, pooled at most half of them), with ${GAINED}`,
  multiplexing:
    "multiplexing: more client than server connections at their high-water marks, in a " +
    `mode that shares them, with ${GAINED}, or more clients than max_connections has room for`,
  queueing: `queueing: clients waited for a server connection, at least ${QUEUED_MS} ms per ` +
    `transaction, with at least ${formatPercent(QUEUED_SHARE)} of a request's time`,
};

function claimsOf({ pair, claims, traces, rounds }: PairEvidence): string {
  if (rounds === 0) return pair.missing ?? "not recorded";
  if (claims.length > 0) return claims.join(", ");
  const hop = "measures only the extra hop";
  return traces.length === 0 ? hop : `${hop}: ${formatList(traces)} of no measured consequence`;
}

/**
 * Reads which of the three claims each pair supports.
 *
 * @param study The study.
 */
export function readEvidence(study: Study): Markdown {
  const all = pairEvidence(study);
  if (all.length === 0) return new Markdown("No pair of paths: nothing can be said of the pooler.");
  const groups = new Map<string, string[]>();
  for (const evidence of all) {
    const claims = claimsOf(evidence);
    const name = `${pairName(evidence.pair)} at ${levelLabel(evidence.pair)}`;
    groups.set(claims, [...(groups.get(claims) ?? []), name]);
  }
  const lines = [...groups].map(([claims, names]) => `- **${claims}**: ${formatList(names)}`);
  return new Markdown(
    `A difference between the paths may be ascribed to the pooler only where its trace was counted and had a consequence: ${
      Object.values(MEANING).join("; ")
    }. Where there is none, the pair measures only the extra hop.\n\n${lines.join("\n")}`,
  );
}

/** The figures of a claim in one pair. */
const FIGURES: Record<Claim, (evidence: PairEvidence) => string> = {
  reuse: ({ sessionsDirect, sessionsPooled }) =>
    `${formatNumber(sessionsDirect!)} new sessions per 1,000 requests direct, ${
      formatNumber(sessionsPooled!)
    } pooled`,
  multiplexing: ({ maxClients, maxServers }) =>
    `${maxClients} client connections shared ${maxServers} server connections`,
  queueing: ({ waitMs, waitShare }) =>
    `a transaction waited ${formatNumber(waitMs!)} ms for a server connection, ${
      formatPercent(waitShare!)
    } of a request's time`,
};

/**
 * What gains of the pooled arm rest on, a text for each kind of explanation; see `judgeGain`.
 *
 * @param gains The evidence of pairs of which the pooled arm was ahead.
 */
export function explainGains(gains: readonly PairEvidence[]): string[] {
  return [...Map.groupBy(gains, claimsOf)].map(([claims, own]) => {
    const at = atLevels(own.map(({ pair }) => pair));
    switch (judgeGain(own[0]!)) {
      case "explained":
        return `PgBouncer's part ${at} was ${claims} (${
          own[0]!.claims.map((claim) => FIGURES[claim](own.at(-1)!)).join("; ")
        })`;
      case "unexplained":
        return `${at} pooled was higher, but PgBouncer left no trace that explains it`;
      case "unrecorded":
        return `what PgBouncer did ${at} was not recorded`;
    }
  });
}

/**
 * The counts behind {@linkcode readEvidence}: medians over the rounds.
 *
 * @param study The study.
 */
export function evidenceTable(study: Study): Table {
  const right = (header: string) => ({ header, align: "right" as const });
  const shown = (value: number | null) => value === null ? null : formatNumber(value);
  return new Table(
    `${checkStamp(study)}What a difference between the paths can be ascribed to`,
    [
      { header: "framework" },
      { header: "reuse" },
      right("load"),
      right("new sessions per 1,000 requests, direct"),
      right("pooled"),
      right("logins at PgBouncer"),
      right("most client connections"),
      right("most server connections"),
      right("wait per transaction, ms"),
      right("of a request's time"),
      right("PostgreSQL's CPU per answer, pooled over direct"),
      { header: "supports" },
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
