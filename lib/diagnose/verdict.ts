/**
 * What limited a scenario: one resource, by rules over what the samplers saw. A resource that is used
 * up makes those that wait for it look used up too: threads that wait for a pool, a pool that waits
 * for the database. So the rules stand in the order of a request's dependence, the root before its
 * symptoms, and the first that applies gives the verdict.
 */

import { readApp } from "../apps/app.ts";
import type { Bottleneck } from "../bottlenecks.ts";
import { connectionBudget } from "../connections.ts";
import { shortCause } from "../stats/summarise.ts";
import type { RunSummary, ScenarioSummary } from "../stats/summary.ts";
import { heldScore, heldTransactions } from "../stats/telemetry.ts";
import {
  formatCores,
  formatCount,
  formatList,
  formatMean,
  formatMs,
  formatPart,
  formatPercent,
  formatUse,
  nounFor,
} from "../wording/format.ts";
import { titleOf } from "../wording/services.ts";
import { MAX_GENERATOR_CORES } from "./gate_table.ts";

/** A service at this share waits for its quota: some of each period of 100 ms is lost in sleep. */
const USED_UP = 0.9;
/** The generator works ahead of nothing: a quota that holds it back at all delays what it sends. */
const GENERATOR_HELD = 0.05;
/** A process that runs Python or PgBouncer uses one core; at this share of it, it has no idle time. */
const ONE_CORE = 0.9;
/**
 * From this share of all cores' time on, more users raise throughput no further. Measured on two
 * cores: 482 requests/s at 0.86, 463 to 493 with two to three times the users.
 */
const HOST_USED_UP = 0.85;
/** From this share of a request's time on, waiting for one thing is what the request is made of. */
const WAITING_SHARE = 0.25;
/** From this share of the time between two requests of a user on, relief of a wait is worth a rule. */
const SETUP_SHARE = 0.15;
/** A gain in throughput that is smaller than this share is not worth a verdict. */
const WORTHWHILE = 0.1;
/** An open loop of which this share is answered in time has a service that keeps up. */
const DELIVERED = 0.95;
/** Fewer new connections per request than this are no habit of the app's. */
const SETUP_CHURN = 0.1;
/** The same where the app did not tell how long it opened connections: one for every other request. */
const SETUP_HABIT = 0.5;
/** Of the connections that execute, this share stands in a queue for a row or a table. */
const LOCKED_SHARE = 0.5;
/** Requests per thread from which on some always wait: the way to the app and back is in them. */
const CROWDED = 1.25;
/** Above this share of failed requests, a run has failed: the refusals are what clients meet. */
const REFUSED_SHARE = 0.01;

/** What the causes of failed runs say where a limit on connections was met. */
const REFUSED = /refused connections(?: \(too many clients|: max_client_conn)/;

/** A run as the rules see it; times are in milliseconds per request. */
function lookAt(run: RunSummary) {
  const { scenario, requests, rps, telemetry, conditions } = run;
  const { host, services, generator, ownUsers, littlesLaw } = conditions;
  const { postgres, pgbouncer, app, work } = telemetry ??
    { postgres: null, pgbouncer: null, app: null, work: null };
  const per = (total: number, count: number) => count === 0 ? 0 : total / count;
  const serviceMs = work === null ? 0 : per(work.serviceMs, work.requests);
  // Where an app's own locustfile decides, by Little's law: users are under way, or think, but for
  // those who waited for the whole window.
  const users = littlesLaw?.users ?? scenario.users!;
  const thinkMs = ownUsers && rps > 0
    ? Math.max(0, 1000 * users / rps - serviceMs)
    : 500 * (scenario.thinkTimeMinS + scenario.thinkTimeMaxS);
  // An app that keeps its connections opens each once, in a slow start within the window: no habit.
  const once = scenario.reuse === "per_request" ? 0 : connectionBudget(scenario);
  const counted = scenario.path === "pooled" ? pgbouncer?.logins : postgres?.sessions;
  const isLoop = readApp(scenario.framework).concurrency === "event_loop";
  return {
    run,
    scenario,
    postgres,
    pgbouncer,
    app,
    serviceMs,
    thinkMs,
    /** Requests that were in the service at the same time, by Little's law. */
    inside: rps * serviceMs / 1000,
    /** Threads of a sync app; unbounded where an event loop takes any number of requests. */
    threads: isLoop ? Infinity : scenario.workers * scenario.threads,
    /** New connections of the app for each request. */
    churn: per(Math.max(0, (app?.connections ?? counted ?? 0) - once), requests),
    /** Waiting for the app's own pool, and opening connections. */
    poolMs: app !== null && scenario.reuse === "app_pool" ? per(app.poolWaitMs, app.requests) : 0,
    connectMs: app === null ? 0 : per(app.connectMs, app.requests),
    /** Waiting in PgBouncer's queue, and that of clients that got no server, which no answer has. */
    queueMs: per((pgbouncer?.waitUs ?? 0) / 1000, requests),
    starvedMs: per((pgbouncer?.starvedUs ?? 0) / 1000, requests),
    /** How long a request's transaction waited for the app. */
    held: heldTransactions(run),
    busiest: generator?.busiest ?? 0,
    /** The share of all cores' time that is used or stolen. */
    hostUse: host === null ? 0 : host.busy + host.stolen,
    /** A service's use of cores, with the share of its quota; nothing where it was not recorded. */
    of(name: string) {
      const { cores = 0, quota = null, throttled = 0 } =
        services.find(({ service }) => service === name) ?? {};
      return { name, cores, quota, throttled, share: quota === null ? 0 : cores / quota };
    },
  };
}

type Seen = ReturnType<typeof lookAt>;

interface VerdictRule {
  verdict: Bottleneck;
  /** How far the evidence is beyond the threshold: 1 at it, 0 where there is none. */
  score: (seen: Seen) => number;
  /** The figures, in a sentence without its full stop. */
  evidence: (seen: Seen) => string;
}

/** Nothing is used up more than this: samples of a full resource are a little above or below it. */
const MIN_IDLE = 0.005;

/**
 * How far beyond a threshold the use of a resource is, by what it leaves idle: from nine tenths to
 * all there is a long way, from six tenths to seven is none.
 */
function fullness(use: number, threshold: number): number {
  return (1 - threshold) / Math.max(MIN_IDLE, 1 - use);
}

/** How a quota held a service back, as in `PostgreSQL used 0.49 of its quota of 0.5 cores, …`. */
function describeQuota({ name, cores, quota, throttled }: ReturnType<Seen["of"]>): string {
  const used = quota === null
    ? `used ${formatCores(cores)} cores, and its quota`
    : `used ${formatCores(cores)} of its quota of ${quota} ${nounFor(quota, "core")}, which`;
  // Each core that has to wait counts.
  const held = throttled > 1
    ? `${throttled.toFixed(1)} s per second`
    : `${formatUse(throttled)} of the time`;
  return `${titleOf(name)} ${used} held it back for ${held}`;
}

function describeLoad({ run, scenario, of, serviceMs, thinkMs, hostUse }: Seen): string {
  const asked = scenario.users === null
    ? `the arrival rate was ${scenario.arrivalRate}/s`
    : `${formatCount(scenario.users, "user")} waited ${formatMs(serviceMs)} for an answer and ` +
      `thought for ${formatMs(thinkMs)}, and nothing was used up`;
  const quotas = run.conditions.services
    .filter(({ service, quota }) => quota !== null && service !== "locust")
    .map(({ service }) => `${titleOf(service)} used ${formatUse(of(service).share)} of its quota`);
  return `${asked}; the machine was in use for ${formatUse(Math.min(1, hostUse))} of the time` +
    (quotas.length === 0 ? "" : `; ${formatList(quotas)}`);
}

/** The rules in the order in which they are tried; a verdict may have several. */
const RULES: readonly VerdictRule[] = [
  {
    verdict: "refused_connections",
    score: ({ run: { cause, errorRate } }) =>
      cause !== null && REFUSED.test(cause) ? (errorRate ?? 1) / REFUSED_SHARE : 0,
    evidence: ({ run }) =>
      `${shortCause(run)}; ${formatPercent(run.errorRate ?? 1)} of requests failed`,
  },
  {
    verdict: "pgbouncer_queue",
    // Where a client keeps its server for as long as it is connected, and stays connected. Where
    // servers change hands, the queue moves on, and what makes it slow is to blame.
    score: ({ scenario: { poolMode, reuse }, starvedMs, serviceMs }) =>
      poolMode === "session" && reuse !== "per_request"
        ? starvedMs / (serviceMs + starvedMs) / WAITING_SHARE
        : 0,
    evidence: ({ pgbouncer, scenario }) => {
      const [waiting, clients] = [pgbouncer!.meanWaiting, pgbouncer!.meanClients].map(Math.round);
      return `in session mode ${formatPart(waiting!, clients!, "connection")} never got a server ` +
        `(default_pool_size ${scenario.defaultPoolSize})`;
    },
  },
  {
    verdict: "generator",
    score: ({ of, busiest }) =>
      Math.max(of("locust").throttled / GENERATOR_HELD, fullness(busiest, MAX_GENERATOR_CORES)),
    evidence: ({ of, busiest }) =>
      of("locust").throttled > GENERATOR_HELD
        ? describeQuota(of("locust"))
        : `a process of the load generator used ${formatCores(busiest)} of one core`,
  },
  {
    verdict: "load_limited",
    // Without any service time, users who think for long would send hardly more requests.
    score: ({ scenario: { arrivalRate }, run, thinkMs, serviceMs }) =>
      arrivalRate === null ? WORTHWHILE * thinkMs / serviceMs : run.rps / arrivalRate / DELIVERED,
    evidence: describeLoad,
  },
  {
    verdict: "connection_setup",
    score: ({ app, churn, connectMs, serviceMs, thinkMs }) =>
      app === null ? churn / SETUP_HABIT : Math.min(
        churn / SETUP_CHURN,
        connectMs / (serviceMs + thinkMs) / SETUP_SHARE,
      ),
    evidence: ({ app, churn, connectMs, serviceMs }) =>
      `the app opened ${formatMean(churn)} connections per request` +
      (app === null ? "" : `, which took ${formatMs(connectMs)} of its ${formatMs(serviceMs)}`),
  },
  {
    verdict: "pgbouncer_cpu",
    // It runs on one core.
    score: ({ of }) =>
      Math.max(
        fullness(of("pgbouncer").share, USED_UP),
        fullness(of("pgbouncer").cores, ONE_CORE),
      ),
    evidence: ({ of }) =>
      of("pgbouncer").share > 0
        ? describeQuota(of("pgbouncer"))
        : `PgBouncer used ${formatCores(of("pgbouncer").cores)} of the one core it runs on`,
  },
  {
    verdict: "database_quota",
    score: ({ of }) => fullness(of("postgres").share, USED_UP),
    evidence: ({ of }) => describeQuota(of("postgres")),
  },
  {
    verdict: "app_cpu",
    // A worker of CPython runs on one core.
    score: ({ of, scenario: { workers } }) =>
      Math.max(fullness(of("app").share, USED_UP), fullness(of("app").cores / workers, ONE_CORE)),
    evidence: ({ of, scenario: { workers } }) => {
      if (of("app").share >= USED_UP) return describeQuota(of("app"));
      const each = workers === 1 ? "" : " each";
      return `the app used ${formatCores(of("app").cores)} cores, and its ` +
        `${formatCount(workers, "worker")} can use one core${each}`;
    },
  },
  {
    verdict: "database_locks",
    score: ({ postgres }) =>
      postgres === null || postgres.meanActive === 0 ? 0 : Math.min(
        postgres.meanWaitingLock,
        postgres.meanWaitingLock / postgres.meanActive / LOCKED_SHARE,
      ),
    evidence: ({ postgres }) =>
      `${formatMean(postgres!.meanWaitingLock)} of ${formatMean(postgres!.meanActive)} executing ` +
      "connections waited for a lock",
  },
  {
    verdict: "host_cpu",
    score: ({ hostUse }) => fullness(hostUse, HOST_USED_UP),
    evidence: ({ run }) => {
      const { cores, busy, stolen, others } = run.conditions.host!;
      return `the machine (${formatCount(cores, "core")}) was in use for ` +
        `${formatUse(Math.min(1, busy))} of the time` +
        (others === null ? "" : `, ${formatUse(others)} by other processes`) +
        (stolen < 0.005 ? "" : `, and ${formatUse(stolen)} was stolen`);
    },
  },
  {
    verdict: "held_transactions",
    // What a request waits for is a connection that others have and do not use.
    score: ({ queueMs, poolMs, serviceMs, starvedMs, held }) =>
      Math.min((queueMs + poolMs) / (serviceMs + starvedMs) / WAITING_SHARE, heldScore(held)),
    evidence: ({ queueMs, poolMs, held, postgres }) =>
      `a request waited ${formatMs(queueMs + poolMs)} for a connection, and then had one for ` +
      `${formatMs(held!.occupiedMs)}, for ${formatMs(held!.heldMs)} of which its transaction ` +
      "waited for the app" +
      (postgres === null
        ? ""
        : ` (${formatMean(postgres.meanIdleInTransaction)} of PostgreSQL's connections idle in ` +
          "transaction)"),
  },
  {
    verdict: "pgbouncer_queue",
    score: ({ queueMs, serviceMs, starvedMs }) => queueMs / (serviceMs + starvedMs) / WAITING_SHARE,
    evidence: ({ queueMs, serviceMs, starvedMs, pgbouncer, scenario }) =>
      `a request waited ${formatMs(queueMs)} of its ${formatMs(serviceMs + starvedMs)} in ` +
      `PgBouncer for a server connection, with ${formatMean(pgbouncer!.meanServersActive)} of ` +
      `${scenario.defaultPoolSize} in use`,
  },
  {
    verdict: "app_pool",
    score: ({ poolMs, serviceMs }) => poolMs / serviceMs / WAITING_SHARE,
    evidence: ({ poolMs, serviceMs, scenario }) =>
      `a request waited ${formatMs(poolMs)} of its ${formatMs(serviceMs)} for the app's own pool ` +
      `of ${formatCount(connectionBudget(scenario), "connection")}`,
  },
  {
    verdict: "workers",
    score: ({ inside, threads }) => inside / threads / CROWDED,
    evidence: ({ inside, threads, scenario }) =>
      `${formatMean(inside)} requests at a time met ${formatCount(threads, "thread")} ` +
      `(${formatCount(scenario.workers, "worker")} × ${scenario.threads})`,
  },
];

/** A verdict; `unknown` where what it needs was not recorded. */
export type Verdict = Bottleneck | "unknown";

/** A rule that is missed, or met, by less than this share of its threshold, may be chance. */
const CLOSE = 0.1;

export interface RunVerdict {
  verdict: Verdict;
  /** One sentence with the figures, without its full stop. */
  evidence: string;
  /**
   * How far the figures are from those of another verdict: by which share of its threshold the rule
   * was met and all before it were missed, whichever is less.
   */
  margin: number;
}

function findMissing({ telemetry, conditions, measured }: RunSummary): string | null {
  if (!measured) return "no load was measured";
  if (conditions.host === null || conditions.services.length === 0) {
    return "what services and host used was not recorded";
  }
  return telemetry?.work?.requests ? null : "what the database did was not recorded";
}

/** What tells that requests may have queued for the app's own pool without being counted, or null. */
function findUncounted({ app, scenario, inside, threads }: Seen): string | null {
  const { reuse, workers, poolSize } = scenario;
  if (app !== null || reuse !== "app_pool") return null;
  return Math.min(inside, threads) <= workers * poolSize
    ? null
    : `${formatMean(inside)} requests ` +
      "at a time may have waited for the app's own pool of " +
      `${formatCount(connectionBudget(scenario), "connection")}, which was not recorded`;
}

/** What limited a run: the first of the rules that applies, `load_limited` where none does. */
export function judgeBottleneck(run: RunSummary): RunVerdict {
  const seen = lookAt(run);
  const missing = findMissing(run);
  let margin = Infinity;
  for (const { verdict, score: scoreOf, evidence } of RULES) {
    // What refused connections is in the run's cause, whatever else was recorded.
    if (missing !== null && verdict !== "refused_connections") continue;
    const score = scoreOf(seen);
    if (score >= 1) {
      return { verdict, evidence: evidence(seen), margin: Math.min(margin, score - 1) };
    }
    margin = Math.min(margin, 1 - score);
  }
  const unknown = missing ?? findUncounted(seen);
  return unknown === null
    ? { verdict: "load_limited", evidence: describeLoad(seen), margin }
    : { verdict: "unknown", evidence: unknown, margin: 0 };
}

/** Below this share of agreeing rounds a verdict is little more than a guess. */
const AGREEMENT = 0.75;

/** The verdict of most runs; where as many say another, that with the larger margins. */
export function agreeOnVerdict(runs: readonly RunSummary[]) {
  const groups = [...Map.groupBy(runs.map(judgeBottleneck), ({ verdict }) => verdict).values()];
  const total = (group: RunVerdict[]) => group.reduce((sum, { margin }) => sum + margin, 0);
  groups.sort((a, b) => b.length - a.length || total(b) - total(a));
  const [most] = groups;
  if (most === undefined) return null;
  const ordered = most.toSorted((a, b) => a.margin - b.margin);
  const { verdict, evidence } = ordered[ordered.length >> 1]!;
  const close = ordered[0]!.margin < CLOSE;
  const agreement = most.length / runs.length;
  const isLow = verdict === "unknown" || agreement < AGREEMENT || (runs.length < 2 && close);
  const isHigh = runs.length > 1 && agreement === 1 && !close;
  return {
    verdict,
    /** That of the round whose figures are in the middle of those that agree. */
    evidence,
    confidence: isLow ? "low" as const : isHigh ? "high" as const : "medium" as const,
    /** Rounds that agree, and all that were looked at. */
    rounds: most.length,
    of: runs.length,
  };
}

export type ScenarioVerdict = ReturnType<typeof scenarioVerdicts>[number];

/**
 * The verdict of each scenario, over its successful runs; over its rejected ones where there is none,
 * as what is used up does not depend on a steady state, and else over its failed ones.
 */
export function scenarioVerdicts(
  { runs, scenarios }: { runs: readonly RunSummary[]; scenarios: readonly ScenarioSummary[] },
) {
  return scenarios.flatMap((scenario) => {
    const own = runs.filter(({ scenarioId }) => scenarioId === scenario.scenarioId);
    const byStatus = (status: RunSummary["status"]) => own.filter((run) => run.status === status);
    const [counted = []] = (["ok", "rejected", "failed"] as const).map(byStatus)
      .filter((group) => group.length > 0);
    const agreed = agreeOnVerdict(counted);
    return agreed === null ? [] : [{ scenario, ...agreed }];
  });
}
