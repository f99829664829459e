/**
 * What may be claimed of the pooler in each pair, with its evidence.
 *
 * @module
 */

import {
  CHEAPER,
  CHEAPER_ROUNDS,
  CHURN,
  type Claim,
  isAhead,
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
} from "../wording/format.ts";
import { levelLabel } from "../scenario.ts";
import { type CellValue, Markdown, Table } from "./display.ts";
import type { Study } from "./study.ts";
import { checkStamp } from "./tables.ts";

/** What each claim means: its trace, and after "and" its consequence. */
const MEANING: Record<Claim, string> = {
  reuse: `reuse: PgBouncer spared PostgreSQL new sessions (direct opens at least ${CHURN} per ` +
    "1,000 requests, pooled at most half of them), and there was a gain",
  multiplexing:
    "multiplexing: more client than server connections at their high-water marks, in a " +
    "mode that shares them, and there was a gain, or more clients than max_connections has room for",
  queueing: `queueing: clients waited for a server connection, at least ${QUEUED_MS} ms per ` +
    `transaction, and that was at least ${formatPercent(QUEUED_SHARE)} of a request's time`,
};
const GAIN = `A gain is a higher throughput, or ${CHEAPER_ROUNDS} rounds or more in all of which ` +
  `PostgreSQL's CPU time per answer was at most ${formatPercent(CHEAPER)} of direct's.`;

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
    }. ${GAIN} Where there is no claim, the pair measures only the extra hop.\n\n${
      lines.join("\n")
    }`,
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
  queueing: ({ waitMs, waitShare, starving }) =>
    `${
      (starving ?? 0) >= 1 ? `${Math.round(starving!)} client connections never got a server; ` : ""
    }for each transaction clients waited ${formatNumber(waitMs!)} ms for a server connection, ${
      formatPercent(waitShare!)
    } of a request's time`,
};

/** The figures of a pair's claims, and of the gain that is no throughput. */
function describeClaims(evidence: PairEvidence): string {
  const { claims, cpuRatio } = evidence;
  const cheaper = cpuRatio !== null && cpuRatio <= CHEAPER
    ? [`PostgreSQL's CPU time per answer was at most ${formatPercent(cpuRatio)} of direct's`]
    : [];
  return [...claims.map((claim) => FIGURES[claim](evidence)), ...cheaper].join("; ");
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
        return `PgBouncer's part ${at} was ${claims} (${
          own.length === 1 ? "" : `${atLevels([last.pair])} `
        }${describeClaims(last)})`;
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
