/**
 * What may be claimed of the pooler in each pair, with its evidence.
 *
 * @module
 */

import {
  CHURN,
  type Claim,
  type PairEvidence,
  pairEvidence,
  QUEUED_MS,
} from "../diagnose/evidence.ts";
import { pairName } from "../figures/claims.ts";
import { formatList, formatNumber } from "../figures/format.ts";
import { levelLabel } from "../scenario.ts";
import { type CellValue, Markdown, Table } from "./display.ts";
import type { Study } from "./study.ts";
import { checkStamp } from "./tables.ts";

/** What each claim means. */
const MEANING: Record<Claim, string> = {
  reuse: `reuse: PgBouncer spared PostgreSQL new sessions (direct opens at least ${CHURN} per ` +
    `1,000 requests, pooled at most half of them)`,
  multiplexing: "multiplexing: more client than server connections at their high-water marks",
  queueing: `queueing: clients waited for a server connection, at least ${QUEUED_MS} ms per ` +
    `transaction by total_wait_time`,
};

function claimsOf({ claims, rounds }: PairEvidence): string {
  if (rounds === 0) return "not recorded";
  return claims.length === 0 ? "measures only the extra hop" : claims.join(", ");
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
    `A difference between the paths may be ascribed to the pooler only where its trace was counted: ${
      Object.values(MEANING).join("; ")
    }. Where there is none, the pair measures only the extra hop.\n\n${lines.join("\n")}`,
  );
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
      claimsOf(one),
    ]),
  );
}
