/**
 * What a difference between the direct and the pooled arm may be ascribed to. A pooler can help in
 * three ways. Each leaves a trace, and a claim needs that trace and a consequence, as what happens
 * without one is no reason to use a pooler. Without a claim, the pair measures only the extra hop, and
 * a gain is not explained.
 */

import { canShare, connectionsLeft } from "../connections.ts";
import type { Scenario } from "../scenario.ts";
import { median } from "../stats/percentile.ts";
import type { PathRatio, RunSummary } from "../stats/summary.ts";
import { connectionChurn, cpuPerAnswer } from "../stats/telemetry.ts";
import type { UnequalWork } from "./equal_work.ts";

/** From so many new PostgreSQL sessions per 1,000 requests of the direct arm on, there is churn. */
export const CHURN = 10;
/** The pooled arm must have at most this share of them, or PgBouncer has not taken the churn away. */
export const CHURN_LEFT = 0.5;
/** From this mean wait per transaction on, clients have queued: a tenth of the shortest request. */
export const QUEUED_MS = 0.1;
/** A wait of less than this share of a request's time changes nothing that anybody would notice. */
export const QUEUED_SHARE = 0.05;
/** A larger share of direct's CPU time per answer is within what differs from run to run. */
export const CHEAPER = 0.9;
/** Fewer rounds than this tell nothing of CPU time. */
export const CHEAPER_ROUNDS = 3;

const CLAIMS = ["reuse", "multiplexing", "queueing"] as const;
export type Claim = typeof CLAIMS[number];

function over(runs: readonly RunSummary[], pick: (run: RunSummary) => number | null | undefined) {
  return median(runs.map(pick).filter((value) => value != null));
}

/** The share of a request's time for which it waited in PgBouncer; what starved is on top of it. */
function waitShareOf({ requests, telemetry }: RunSummary): number | null {
  const { pgbouncer, work } = telemetry!;
  if (pgbouncer === null || work === null || work.requests === 0 || requests === 0) return null;
  const per = (us: number) => us / 1000 / requests;
  const serviceMs = work.serviceMs / work.requests;
  return per(pgbouncer.waitUs) / (serviceMs + per(pgbouncer.starvedUs));
}

function largestCpuRatio(directs: readonly RunSummary[], pooleds: readonly RunSummary[]) {
  const ratios = directs.flatMap((direct) => {
    const pooled = pooleds.find(({ round }) => round === direct.round);
    const cpuOf = (run: RunSummary) => cpuPerAnswer(run, "postgres");
    const [base, other] = [cpuOf(direct), pooled && cpuOf(pooled)];
    return base && other != null ? [other / base] : [];
  });
  return ratios.length < CHEAPER_ROUNDS ? null : Math.max(...ratios);
}

/** What was counted in the windows of a pair, in medians over the rounds; null where not recorded. */
function countPair(directs: readonly RunSummary[], pooleds: readonly RunSummary[]) {
  const sessions = (run: RunSummary) => connectionChurn(run)?.sessions;
  const pooler = (run: RunSummary) => run.telemetry!.pgbouncer;
  return {
    /** New PostgreSQL sessions per 1,000 requests. */
    sessionsDirect: over(directs, sessions),
    sessionsPooled: over(pooleds, sessions),
    /** Logins at PgBouncer per 1,000 requests. */
    logins: over(pooleds, (run) => connectionChurn(run)?.logins),
    /** High-water marks of client and server connections at PgBouncer. */
    maxClients: over(pooleds, (run) => pooler(run)?.maxClients),
    maxServers: over(pooleds, (run) => pooler(run)?.maxServers),
    /** Mean wait of a transaction for a server connection, in milliseconds. */
    waitMs: over(pooleds, (run) => {
      const { waitUs, transactions } = pooler(run) ?? { waitUs: 0, transactions: 0 };
      return transactions === 0 ? null : waitUs / 1000 / transactions;
    }),
    /** How many clients, on average, waited without ever getting a server; 0 where none starved. */
    starving: over(pooleds, (run) => {
      const seen = pooler(run);
      return seen && (seen.starvedUs > 0 ? seen.meanWaiting * seen.starvedUs / seen.waitUs : 0);
    }),
    /** The share of a request's mean time that it waited for a server connection, 0 to 1. */
    waitShare: over(pooleds, waitShareOf),
    /** PostgreSQL's CPU time per answer, pooled over direct: the largest of the rounds of both. */
    cpuRatio: largestCpuRatio(directs, pooleds),
  };
}

type Counts = ReturnType<typeof countPair>;

export type PairEvidence = ReturnType<typeof evidenceOf>;

function evidenceOf(pair: PathRatio, runs: readonly RunSummary[]) {
  const counting = (id: string) =>
    runs.filter((run) =>
      run.scenarioId === id && run.status !== "failed" && run.telemetry !== null
    );
  const [directs, pooleds] = [counting(pair.direct), counting(pair.pooled)];
  const counts = countPair(directs, pooleds);
  const settings = pooleds.map(({ scenario }) => scenario);
  const traces = CLAIMS.filter((claim) => RULES[claim].trace(counts, settings));
  const gained = isAhead(pair) || (counts.cpuRatio ?? 1) <= CHEAPER;
  return {
    pair,
    /** The pooled arm's rounds that it is from; 0 where nothing was recorded, or may be compared. */
    rounds: pooleds.length,
    ...counts,
    /** What left a trace, of whatever consequence. */
    traces,
    /** The claims that the evidence supports; none: only the extra hop is measured. */
    claims: traces.filter((claim) => RULES[claim].consequence(counts, settings, gained)),
  };
}

/** Whether pooled throughput is higher: by the ratio, or by what rejected runs bear. */
export function isAhead({ verdict, bound }: PathRatio): boolean {
  return verdict === "higher" || bound?.ahead === "other";
}

/**
 * Trace and consequence of each claim. There is a gain where pooled throughput is ahead, or PostgreSQL
 * is cheaper in every round; in one or two it may be chance.
 */
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
    // PostgreSQL may have no room for so many clients.
    consequence: ({ maxClients }, pooled, gained) =>
      gained || pooled.some((scenario) => maxClients! > connectionsLeft(scenario)),
  },
  queueing: {
    trace: ({ waitMs }) => (waitMs ?? 0) >= QUEUED_MS,
    consequence: ({ waitShare }) => (waitShare ?? 0) >= QUEUED_SHARE,
  },
};

/** The evidence of each pair of a study; none where an arm did other work than the contract's. */
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

/**
 * What a gain of the pooled arm rests on: `explained` by a claim; `unexplained` where chance, drift or
 * another difference of the arms is as likely; or `unrecorded`.
 */
export function judgeGain(
  { claims, rounds }: PairEvidence,
): "explained" | "unexplained" | "unrecorded" {
  return claims.length > 0 ? "explained" : rounds > 0 ? "unexplained" : "unrecorded";
}

/** Whether PgBouncer is of use beside throughput: by a claim other than that clients queue in it. */
export function sparesPostgres({ claims }: PairEvidence): boolean {
  return claims.some((claim) => claim !== "queueing");
}
