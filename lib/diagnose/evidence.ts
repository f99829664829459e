/**
 * What a difference between the direct and the pooled arm may be ascribed to, and by what evidence.
 * A pooler can help in three ways, each of which leaves its trace; where there is none of them, the
 * cell measures only the extra hop.
 *
 * @module
 */

import { connectionBudget } from "../scenario.ts";
import { median } from "../stats/percentile.ts";
import type { PathRatio, RunSummary } from "../stats/summary.ts";

/** From so many new PostgreSQL sessions per 1,000 requests of the direct arm on, there is churn. */
export const CHURN = 10;
/** The pooled arm must have at most this share of them, or PgBouncer has not taken the churn away. */
export const CHURN_LEFT = 0.5;
/**
 * From this mean wait per transaction on, clients have queued for a server connection: a tenth of
 * what a request of the contract takes at the least.
 */
export const QUEUED_MS = 0.1;

/** What a claim says. */
export const CLAIMS = ["reuse", "multiplexing", "queueing"] as const;
export type Claim = typeof CLAIMS[number];

/**
 * What was counted in the windows of a pair, medians over the rounds in which neither run failed: a
 * window that gates reject for its latencies still counts connections.
 */
export interface PairEvidence {
  pair: PathRatio;
  /** The rounds that it is from; 0 where nothing was recorded. */
  rounds: number;
  /** New PostgreSQL sessions per 1,000 requests; null where not recorded. */
  sessionsDirect: number | null;
  sessionsPooled: number | null;
  /** Logins at PgBouncer per 1,000 requests; null where it does not tell. */
  logins: number | null;
  /** High-water marks of client and server connections at PgBouncer. */
  maxClients: number | null;
  maxServers: number | null;
  /** Mean wait of a transaction for a server connection, in milliseconds. */
  waitMs: number | null;
  /** The claims that the evidence supports; none: only the extra hop is measured. */
  claims: Claim[];
}

/** Medians over the runs that have a value. */
function over(runs: readonly RunSummary[], pick: (run: RunSummary) => number | null | undefined) {
  const values = runs.map(pick).filter((value) => value != null);
  return values.length === 0 ? null : median(values);
}

function perThousand(run: RunSummary, count: number | null | undefined): number | null {
  return count == null || run.requests === 0 ? null : 1000 * count / run.requests;
}

/** What was counted of one pair. */
function evidenceOf(pair: PathRatio, runs: readonly RunSummary[]): PairEvidence {
  const counting = (id: string) =>
    runs.filter((run) =>
      run.scenarioId === id && run.status !== "failed" && run.telemetry !== null
    );
  const [directs, pooleds] = [counting(pair.direct), counting(pair.pooled)];
  const rounds = directs.filter((a) => pooleds.some((b) => b.round === a.round)).length;
  const sessions = (run: RunSummary) => perThousand(run, run.telemetry!.postgres?.sessions);
  const pooler = (run: RunSummary) => run.telemetry!.pgbouncer;
  const evidence = {
    sessionsDirect: over(directs, sessions),
    sessionsPooled: over(pooleds, sessions),
    logins: over(pooleds, (run) => perThousand(run, pooler(run)?.logins)),
    maxClients: over(pooleds, (run) => pooler(run)?.maxClients),
    maxServers: over(pooleds, (run) => pooler(run)?.maxServers),
    waitMs: over(pooleds, (run) => {
      const seen = pooler(run);
      return seen === null || seen.transactions === 0 ? null : seen.waitUs / 1000 /
        seen.transactions;
    }),
  };
  const { sessionsDirect, sessionsPooled, maxClients, maxServers, waitMs } = evidence;
  // Clients that come and go are more than there ever are at once: what counts is what the app keeps.
  const mayShare = pooleds.some(({ scenario }) =>
    connectionBudget(scenario) > scenario.defaultPoolSize
  );
  const holds: Record<Claim, boolean> = {
    reuse: sessionsDirect !== null && sessionsPooled !== null && sessionsDirect >= CHURN &&
      sessionsPooled <= CHURN_LEFT * sessionsDirect,
    multiplexing: maxClients !== null && maxServers !== null && maxClients > maxServers && mayShare,
    queueing: waitMs !== null && waitMs >= QUEUED_MS,
  };
  return { pair, rounds, ...evidence, claims: CLAIMS.filter((claim) => holds[claim]) };
}

/**
 * The evidence of each pair of a study, in the order of its ratios.
 *
 * @param study The study's ratios and runs.
 */
export function pairEvidence(
  { ratios, runs }: { ratios: readonly PathRatio[]; runs: readonly RunSummary[] },
): PairEvidence[] {
  return ratios.map((pair) => evidenceOf(pair, runs));
}
