/**
 * What a difference between the direct and the pooled arm may be ascribed to, and by what evidence.
 * A pooler can help in three ways. Each of them leaves a trace, and a claim needs that trace and a
 * consequence, as what happens without one is no reason to use a pooler. Where there is no claim, the
 * pair measures only the extra hop, and a gain is not explained.
 *
 * | claim | trace | consequence, one of |
 * | --- | --- | --- |
 * | reuse | direct opens at least {@linkcode CHURN} sessions per 1,000 requests, pooled at most {@linkcode CHURN_LEFT} of them | pooled throughput is higher; PostgreSQL is cheaper |
 * | multiplexing | more client than server connections at their high-water marks, in a mode that shares servers, of an app that may keep more than the pool has | pooled throughput is higher; PostgreSQL is cheaper; more clients than `max_connections` has room for |
 * | queueing | transactions waited {@linkcode QUEUED_MS} for a server connection on average | that is {@linkcode QUEUED_SHARE} of a request's mean time |
 *
 * "Higher" is the verdict of the study's family: the corrected interval of the ratio lies above 1; or
 * that of rejected runs, of which pooled answered so many times as much that no drift turns it round.
 * "Cheaper": PostgreSQL's CPU time per answer is at most {@linkcode CHEAPER} of direct's in each of
 * {@linkcode CHEAPER_ROUNDS} rounds or more; in one round it may be chance.
 *
 * @module
 */

import { canShare, connectionsLeft } from "../connections.ts";
import type { Scenario } from "../scenario.ts";
import { median } from "../stats/percentile.ts";
import type { PathRatio, RunSummary } from "../stats/summary.ts";
import type { UnequalWork } from "./equal_work.ts";

/** From so many new PostgreSQL sessions per 1,000 requests of the direct arm on, there is churn. */
export const CHURN = 10;
/** The pooled arm must have at most this share of them, or PgBouncer has not taken the churn away. */
export const CHURN_LEFT = 0.5;
/**
 * From this mean wait per transaction on, clients have queued for a server connection: a tenth of
 * what a request of the contract takes at the least.
 */
export const QUEUED_MS = 0.1;
/** A wait of less than this share of a request's time changes nothing that anybody would notice. */
export const QUEUED_SHARE = 0.05;
/** A larger share of direct's CPU time per answer is within what differs from run to run. */
export const CHEAPER = 0.9;
/** Fewer rounds than this tell nothing of CPU time. */
export const CHEAPER_ROUNDS = 3;

/** What a claim says. */
export const CLAIMS = ["reuse", "multiplexing", "queueing"] as const;
export type Claim = typeof CLAIMS[number];

/**
 * What was counted in the windows of a pair, medians over the rounds in which the run did not fail: a
 * window that gates reject for its latencies still counts connections.
 */
export interface PairEvidence {
  pair: PathRatio;
  /** The pooled arm's rounds that it is from; 0 where nothing was recorded, or may be compared. */
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
  /** How many clients, on average, waited without ever getting a server; 0 where none starved. */
  starving: number | null;
  /** The share of a request's mean time that it waited for a server connection, 0 to 1. */
  waitShare: number | null;
  /**
   * PostgreSQL's CPU time per answer, pooled over direct: the largest of the rounds that both arms
   * have; null with fewer than {@linkcode CHEAPER_ROUNDS}.
   */
  cpuRatio: number | null;
  /** What left a trace, of whatever consequence. */
  traces: Claim[];
  /** The claims that the evidence supports; none: only the extra hop is measured. */
  claims: Claim[];
}

/** What the rules look at. */
type Counts = Omit<PairEvidence, "pair" | "rounds" | "traces" | "claims">;

/** Medians over the runs that have a value. */
function over(runs: readonly RunSummary[], pick: (run: RunSummary) => number | null | undefined) {
  const values = runs.map(pick).filter((value) => value != null);
  return values.length === 0 ? null : median(values);
}

function perThousand(run: RunSummary, count: number | null | undefined): number | null {
  return count == null || run.requests === 0 ? null : 1000 * count / run.requests;
}

/** The share of a request's time for which it waited in PgBouncer; what starved is on top of it. */
function waitShareOf({ requests, telemetry }: RunSummary): number | null {
  const { pgbouncer, work } = telemetry!;
  if (pgbouncer === null || work === null || work.requests === 0 || requests === 0) return null;
  const per = (us: number) => us / 1000 / requests;
  const serviceMs = work.serviceMs / work.requests;
  return per(pgbouncer.waitUs) / (serviceMs + per(pgbouncer.starvedUs));
}

/** PostgreSQL's CPU seconds per answer. */
function cpuOf({ conditions, rps, failuresPerS }: RunSummary): number | null {
  const database = conditions.services.find(({ service }) => service === "postgres");
  const answers = rps + failuresPerS;
  return database === undefined || answers === 0 ? null : database.cores / answers;
}

function largestCpuRatio(directs: readonly RunSummary[], pooleds: readonly RunSummary[]) {
  const ratios = directs.flatMap((direct) => {
    const pooled = pooleds.find(({ round }) => round === direct.round);
    const [base, other] = [cpuOf(direct), pooled === undefined ? null : cpuOf(pooled)];
    return base === null || base === 0 || other === null ? [] : [other / base];
  });
  return ratios.length < CHEAPER_ROUNDS ? null : Math.max(...ratios);
}

/** What was counted of one pair. */
function evidenceOf(pair: PathRatio, runs: readonly RunSummary[]): PairEvidence {
  const counting = (id: string) =>
    runs.filter((run) =>
      run.scenarioId === id && run.status !== "failed" && run.telemetry !== null
    );
  const [directs, pooleds] = [counting(pair.direct), counting(pair.pooled)];
  const sessions = (run: RunSummary) => perThousand(run, run.telemetry!.postgres?.sessions);
  const pooler = (run: RunSummary) => run.telemetry!.pgbouncer;
  const counts: Counts = {
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
    starving: over(pooleds, (run) => {
      const seen = pooler(run);
      return seen && (seen.starvedUs > 0 ? seen.meanWaiting * seen.starvedUs / seen.waitUs : 0);
    }),
    waitShare: over(pooleds, waitShareOf),
    cpuRatio: largestCpuRatio(directs, pooleds),
  };
  const settings = pooleds.map(({ scenario }) => scenario);
  const traces = CLAIMS.filter((claim) => RULES[claim].trace(counts, settings));
  const gained = isAhead(pair) || (counts.cpuRatio ?? 1) <= CHEAPER;
  const claims = traces.filter((claim) => RULES[claim].consequence(counts, settings, gained));
  return { pair, rounds: pooleds.length, ...counts, traces, claims };
}

/** Whether pooled throughput is higher: by the ratio, or by what rejected runs bear. */
export function isAhead({ verdict, bound }: PathRatio): boolean {
  return verdict === "higher" || bound?.ahead === "other";
}

/** Trace and consequence of each claim: the table above. */
const RULES: Record<Claim, {
  trace: (counts: Counts, pooled: readonly Scenario[]) => boolean;
  consequence: (counts: Counts, pooled: readonly Scenario[], gained: boolean) => boolean;
}> = {
  reuse: {
    trace: ({ sessionsDirect, sessionsPooled }) =>
      sessionsDirect !== null && sessionsPooled !== null && sessionsDirect >= CHURN &&
      sessionsPooled <= CHURN_LEFT * sessionsDirect,
    consequence: (_counts, _pooled, gained) => gained,
  },
  multiplexing: {
    // Clients that come and go are more than there ever are at once: what counts is what the app keeps.
    trace: ({ maxClients, maxServers }, pooled) =>
      maxClients !== null && maxServers !== null && maxClients > maxServers &&
      pooled.some(canShare),
    consequence: ({ maxClients }, pooled, gained) =>
      gained ||
      pooled.some((scenario) => maxClients! > connectionsLeft(scenario)),
  },
  queueing: {
    trace: ({ waitMs }) => (waitMs ?? 0) >= QUEUED_MS,
    consequence: ({ waitShare }) => (waitShare ?? 0) >= QUEUED_SHARE,
  },
};

/**
 * The evidence of each pair of a study, in the order of its ratios; nothing counts of a pair of which
 * an arm did other work than the contract's.
 *
 * @param study The study's ratios, runs and arms of unequal work.
 */
export function pairEvidence(
  { ratios, runs, unequalWork }: {
    ratios: readonly PathRatio[];
    runs: readonly RunSummary[];
    unequalWork: readonly UnequalWork[];
  },
): PairEvidence[] {
  const unequal = new Set(unequalWork.map(({ arm }) => arm));
  return ratios.map((pair) => {
    const own = runs.filter(({ scenarioId }) => [pair.direct, pair.pooled].includes(scenarioId));
    return evidenceOf(pair, own.some(({ arm }) => unequal.has(arm)) ? [] : own);
  });
}

/** See {@linkcode judgeGain}. */
export type Gain = "explained" | "unexplained" | "unrecorded";

/**
 * What a gain of the pooled arm rests on: `explained` by a claim; `unexplained` where PgBouncer left no
 * trace of consequence, so that chance, drift or another difference of the arms is as likely; or
 * `unrecorded`.
 */
export function judgeGain({ claims, rounds }: PairEvidence): Gain {
  return claims.length > 0 ? "explained" : rounds > 0 ? "unexplained" : "unrecorded";
}

/** Whether PgBouncer is of use beside throughput: by a claim other than that clients queue in it. */
export function sparesPostgres({ claims }: PairEvidence): boolean {
  return claims.some((claim) => claim !== "queueing");
}
