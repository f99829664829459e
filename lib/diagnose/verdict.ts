/**
 * What limited a scenario: one resource, by rules over what the samplers saw. A resource that is used
 * up makes those that wait for it look used up too: threads that wait for a pool, a pool that waits
 * for the database. So the rules stand in the order of a request's dependence, the root before its
 * symptoms, and the first that applies gives the verdict.
 *
 * @module
 */

import { readApp } from "../apps/app.ts";
import { connectionBudget } from "../connections.ts";
import type { Scenario } from "../scenario.ts";
import { shortCause } from "../stats/summarise.ts";
import type { RunSummary, ScenarioSummary } from "../stats/summary.ts";
import type { AppActivity, PgbouncerActivity, PostgresActivity } from "../stats/telemetry.ts";
import { MAX_GENERATOR_CORES } from "./gates.ts";

/** What can limit a scenario. */
export const BOTTLENECKS = [
  "load_limited",
  "generator",
  "host_cpu",
  "app_cpu",
  "workers",
  "app_pool",
  "pgbouncer_cpu",
  "pgbouncer_queue",
  "database_quota",
  "database_locks",
  "connection_setup",
  "refused_connections",
] as const;
export type Bottleneck = typeof BOTTLENECKS[number];

/**
 * A service at this share of its quota waits for it: the kernel grants a quota in periods of 100 ms,
 * and some of a period is lost whenever a service sleeps within it.
 */
export const USED_UP = 0.9;
/** The generator works ahead of nothing: a quota that holds it back at all delays what it sends. */
export const GENERATOR_HELD = 0.05;
/** A process that runs Python or PgBouncer uses one core; at this share of it, it has no idle time. */
export const ONE_CORE = 0.9;
/**
 * From this share of all cores' time on, more users raise throughput no further: a request goes from
 * service to service, and on few cores one idles now and then while the next is woken. Measured on
 * two cores: 482 requests/s at 0.86, 463 to 493 with two to three times the users.
 */
export const HOST_USED_UP = 0.85;
/** From this share of a request's time on, waiting for one thing is what the request is made of. */
export const WAITING_SHARE = 0.25;
/** From this share of the time between two requests of a user on, relief of a wait is worth a rule. */
export const SETUP_SHARE = 0.15;
/** A gain in throughput that is smaller than this share is not worth a verdict. */
export const WORTHWHILE = 0.1;
/** An open loop of which this share is answered in time has a service that keeps up. */
export const DELIVERED = 0.95;
/** Fewer new connections per request than this are no habit of the app's. */
export const SETUP_CHURN = 0.1;
/**
 * Where the app did not tell how long it opened connections: who opens one for every other request
 * spends more on that than on most requests of the contract, of which a new session costs several.
 */
export const SETUP_HABIT = 0.5;
/** Of the connections that execute, this share stands in a queue for a row or a table. */
export const LOCKED_SHARE = 0.5;
/**
 * Requests in the service for each thread, from which on some wait for a thread all the time:
 * measured concurrency includes the way to the app and back.
 */
export const CROWDED = 1.25;
/** Above this share of failed requests, a run has failed: the refusals are what clients meet. */
export const REFUSED_SHARE = 0.01;

/** What the causes of failed runs say where a limit on connections was met. */
const REFUSED = /refused connections(?: \(too many clients|: max_client_conn)/;

const TITLES: Record<string, string> = {
  postgres: "PostgreSQL",
  pgbouncer: "PgBouncer",
  app: "the app",
};

/** A run as the rules see it. */
interface Seen {
  scenario: Scenario;
  run: RunSummary;
  postgres: PostgresActivity | null;
  pgbouncer: PgbouncerActivity | null;
  app: AppActivity | null;
  /** Mean service time in milliseconds. */
  serviceMs: number;
  /** Requests that were in the service at the same time, by Little's law. */
  inside: number;
}

/** A line of the table. */
export interface VerdictRule {
  verdict: Bottleneck;
  /** What is the matter, in a few words. */
  title: string;
  /** When it applies. */
  fires: string;
  /** How far the evidence is beyond the threshold: 1 at it, 0 where there is none. */
  score: (seen: Seen) => number;
  /** The figures, in a sentence without its full stop. */
  evidence: (seen: Seen) => string;
}

const percent = (share: number) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}%`;
const ms = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
const count = (value: number) => value < 10 ? value.toFixed(1) : String(Math.round(value));
const cores = (value: number) => value.toFixed(2);

function serviceOf({ run }: Seen, name: string) {
  return run.conditions.services.find(({ service }) => service === name);
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

/** Cores in use over the quota; 0 without one. */
function quotaUse(seen: Seen, name: string): number {
  const service = serviceOf(seen, name);
  return service?.quota == null ? 0 : service.cores / service.quota;
}

function describeQuota(seen: Seen, name: string, title: string): string {
  const { cores: used, quota, throttled } = serviceOf(seen, name)!;
  const use = quota === null
    ? `used ${cores(used)} cores under its quota`
    : `used ${cores(used)} of its quota of ${quota} cores`;
  // Each core that has to wait counts.
  const held = throttled > 1
    ? `${throttled.toFixed(1)} s per second`
    : `${percent(throttled)} of the time`;
  return `${title} ${use}, which held it back for ${held}`;
}

/**
 * New connections of the app for each request. An app that keeps its connections opens each of them
 * once, in a slow start within the window: those are no habit of it.
 */
function churn({ run, postgres, pgbouncer, app, scenario }: Seen): number {
  if (run.requests === 0) return 0;
  const once = scenario.reuse === "per_request" ? 0 : connectionBudget(scenario);
  const counted = scenario.path === "pooled" ? pgbouncer?.logins : postgres?.sessions;
  const opened = app === null ? counted ?? 0 : app.connections;
  return Math.max(0, opened - once) / run.requests;
}

/** Waiting for the app's own pool, in milliseconds per request. */
function poolMs({ app, scenario }: Seen): number {
  const pooled = scenario.reuse === "app_pool" && app !== null && app.requests > 0;
  return pooled ? app.poolWaitMs / app.requests : 0;
}

/** Opening connections, in milliseconds per request. */
function connectMs({ app }: Seen): number {
  return app === null || app.requests === 0 ? 0 : app.connectMs / app.requests;
}

/** Waiting in PgBouncer's queue, in milliseconds per request. */
function queueMs({ pgbouncer, run }: Seen): number {
  return pgbouncer === null || run.requests === 0 ? 0 : pgbouncer.waitUs / 1000 / run.requests;
}

/** The part of it of clients that got no server, which is in no answer's service time. */
function starvedMs({ pgbouncer, run }: Seen): number {
  return pgbouncer === null || run.requests === 0 ? 0 : pgbouncer.starvedUs / 1000 / run.requests;
}

/**
 * Whether a client keeps its server for as long as it is connected, and stays connected. Where servers
 * change hands, the queue moves on, and what makes it slow is to blame.
 */
function keepsServers({ scenario: { poolMode, reuse } }: Seen): boolean {
  return poolMode === "session" && reuse !== "per_request";
}

/** By Little's law, where an app's own locustfile decides: users are under way, or think. */
function thinkMs({ scenario, serviceMs, run }: Seen): number {
  const { conditions: { ownUsers, littlesLaw }, rps } = run;
  if (!ownUsers || rps === 0) return 500 * (scenario.thinkTimeMinS + scenario.thinkTimeMaxS);
  // Without those who waited for the whole window.
  const users = littlesLaw?.users ?? scenario.users!;
  return Math.max(0, 1000 * users / rps - serviceMs);
}

/** Threads of a sync app; null where an event loop takes any number of requests. */
function threadsOf({ framework, workers, threads }: Scenario): number | null {
  return readApp(framework).concurrency === "event_loop" ? null : workers * threads;
}

const busiest = ({ run }: Seen) => run.conditions.generator?.busiest ?? 0;
const hostUse = ({ run: { conditions: { host } } }: Seen) =>
  host === null ? 0 : host.busy + host.stolen;

const QUEUE = "PgBouncer's queue";

/** The rules in the order in which they are tried; a verdict may have several. */
export const VERDICT_RULES: readonly VerdictRule[] = [
  {
    verdict: "refused_connections",
    title: "Connections refused",
    fires: `requests failed because PostgreSQL's max_connections or PgBouncer's max_client_conn ` +
      `was reached`,
    score: ({ run }) =>
      run.cause !== null && REFUSED.test(run.cause) ? (run.errorRate ?? 1) / REFUSED_SHARE : 0,
    evidence: ({ run }) => `${shortCause(run)}; ${percent(run.errorRate ?? 1)} of requests failed`,
  },
  {
    verdict: "pgbouncer_queue",
    title: QUEUE,
    fires: `in session mode, clients that never got a server waited for ${
      percent(WAITING_SHARE)
    } of all the time that requests were under way`,
    score: (seen) =>
      keepsServers(seen) ? starvedMs(seen) / (seen.serviceMs + starvedMs(seen)) / WAITING_SHARE : 0,
    evidence: ({ pgbouncer, scenario }) =>
      `session mode shares nothing, ${Math.round(pgbouncer!.meanWaiting)} of ${
        Math.round(pgbouncer!.meanClients)
      } connections never got a server (default_pool_size ${scenario.defaultPoolSize})`,
  },
  {
    verdict: "generator",
    title: "Load generator",
    fires: `its quota held the load generator back for ${percent(GENERATOR_HELD)} of the window, ` +
      `or one of its processes used ${MAX_GENERATOR_CORES} cores`,
    score: (seen) =>
      Math.max(
        (serviceOf(seen, "locust")?.throttled ?? 0) / GENERATOR_HELD,
        fullness(busiest(seen), MAX_GENERATOR_CORES),
      ),
    evidence: (seen) => {
      const throttled = serviceOf(seen, "locust")?.throttled ?? 0;
      return throttled > GENERATOR_HELD
        ? describeQuota(seen, "locust", "the load generator")
        : `a process of the load generator used ${cores(busiest(seen))} of one core`;
    },
  },
  {
    verdict: "load_limited",
    title: "The load",
    fires: `an open loop's requests were all answered, or users thought for so long that without ` +
      `any service time they would ask less than ${percent(WORTHWHILE)} more often`,
    score: (seen) => {
      const { scenario: { arrivalRate }, run, serviceMs } = seen;
      if (arrivalRate !== null) return run.rps / arrivalRate / DELIVERED;
      return WORTHWHILE * thinkMs(seen) / serviceMs;
    },
    evidence: describeLoad,
  },
  {
    verdict: "connection_setup",
    title: "Connection setup",
    fires: `the app opened more than ${SETUP_CHURN} connections per request, and opening them ` +
      `took ${percent(SETUP_SHARE)} of the time between two requests of a user`,
    score: (seen) =>
      seen.app === null ? churn(seen) / SETUP_HABIT : Math.min(
        churn(seen) / SETUP_CHURN,
        connectMs(seen) / (seen.serviceMs + thinkMs(seen)) / SETUP_SHARE,
      ),
    evidence: (seen) => {
      const opened = `the app opened ${count(churn(seen))} connections per request`;
      return seen.app === null
        ? opened
        : `${opened}, for ${ms(connectMs(seen))} of its ${ms(seen.serviceMs)}`;
    },
  },
  {
    verdict: "pgbouncer_cpu",
    title: "PgBouncer's CPU",
    fires: `PgBouncer used ${
      percent(USED_UP)
    } of its quota, or ${ONE_CORE} cores, as it runs on one`,
    score: (seen) =>
      Math.max(
        fullness(quotaUse(seen, "pgbouncer"), USED_UP),
        fullness(serviceOf(seen, "pgbouncer")?.cores ?? 0, ONE_CORE),
      ),
    evidence: (seen) =>
      quotaUse(seen, "pgbouncer") > 0
        ? describeQuota(seen, "pgbouncer", "PgBouncer")
        : `PgBouncer used ${cores(serviceOf(seen, "pgbouncer")!.cores)} of the one core it runs on`,
  },
  {
    verdict: "database_quota",
    title: "The database's CPU quota",
    fires: `PostgreSQL used ${percent(USED_UP)} of its quota`,
    score: (seen) => fullness(quotaUse(seen, "postgres"), USED_UP),
    evidence: (seen) => describeQuota(seen, "postgres", "PostgreSQL"),
  },
  {
    verdict: "app_cpu",
    title: "The app's CPU",
    fires: `the app used ${percent(USED_UP)} of its quota, or ${ONE_CORE} cores per worker, as a ` +
      `worker of CPython runs on one`,
    score: (seen) =>
      Math.max(
        fullness(quotaUse(seen, "app"), USED_UP),
        fullness((serviceOf(seen, "app")?.cores ?? 0) / seen.scenario.workers, ONE_CORE),
      ),
    evidence: (seen) =>
      quotaUse(seen, "app") >= USED_UP
        ? describeQuota(seen, "app", "the app")
        : `the app used ${
          cores(serviceOf(seen, "app")!.cores)
        } cores, and its workers run on one each: ${seen.scenario.workers}`,
  },
  {
    verdict: "database_locks",
    title: "Locks in the database",
    fires: `at least one connection waited for a lock on average, and ${
      percent(LOCKED_SHARE)
    } of those that executed`,
    score: ({ postgres }) =>
      postgres === null || postgres.meanActive === 0 ? 0 : Math.min(
        postgres.meanWaitingLock,
        postgres.meanWaitingLock / postgres.meanActive / LOCKED_SHARE,
      ),
    evidence: ({ postgres }) =>
      `${count(postgres!.meanWaitingLock)} of ${
        count(postgres!.meanActive)
      } executing connections waited for a lock`,
  },
  {
    verdict: "host_cpu",
    title: "The machine's CPU",
    fires: `busy and stolen time were ${percent(HOST_USED_UP)} of all cores' time`,
    score: (seen) => fullness(hostUse(seen), HOST_USED_UP),
    evidence: (seen) => {
      const { cores: all, busy, stolen, others } = seen.run.conditions.host!;
      return `the machine's ${all} cores were in use for ${
        percent(Math.min(1, busy))
      } of the time, ${percent(others)} by other processes${
        stolen < 0.005 ? "" : `, and ${percent(stolen)} was stolen`
      }`;
    },
  },
  {
    verdict: "pgbouncer_queue",
    title: QUEUE,
    fires: `waiting for one of default_pool_size server connections was ${
      percent(WAITING_SHARE)
    } of a request's time`,
    score: (seen) => queueMs(seen) / (seen.serviceMs + starvedMs(seen)) / WAITING_SHARE,
    evidence: (seen) =>
      `a request waited ${ms(queueMs(seen))} of its ${
        ms(seen.serviceMs + starvedMs(seen))
      } in PgBouncer for a server connection; ${
        count(seen.pgbouncer!.meanServersActive)
      } of ${seen.scenario.defaultPoolSize} were in use`,
  },
  {
    verdict: "app_pool",
    title: "The app's own pool",
    fires: `waiting for a connection of the app's own pool was ${
      percent(WAITING_SHARE)
    } of a request's time`,
    score: (seen) => poolMs(seen) / seen.serviceMs / WAITING_SHARE,
    evidence: (seen) =>
      `a request waited ${ms(poolMs(seen))} of its ${ms(seen.serviceMs)} for one of the app's ${
        connectionBudget(seen.scenario)
      } connections`,
  },
  {
    verdict: "workers",
    title: "Workers and threads",
    fires: `requests in the service, by Little's law, were ${CROWDED} times the app's threads`,
    score: ({ scenario, inside }) => {
      const threads = threadsOf(scenario);
      return threads === null ? 0 : inside / threads / CROWDED;
    },
    evidence: ({ scenario: { workers, threads }, inside }) =>
      `${count(inside)} requests at a time met ${
        workers * threads
      } threads (${workers} workers × ${threads})`,
  },
];

/** A verdict; `unknown` where what it needs was not recorded. */
export type Verdict = Bottleneck | "unknown";

/** A rule that is missed, or met, by less than this share of its threshold, may be chance. */
export const CLOSE = 0.1;

/** What limited one run. */
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

/** What is missing of a run's records, or null. */
function findMissing({ telemetry, conditions, measured }: RunSummary): string | null {
  if (!measured) return "no load was measured";
  if (conditions.host === null || conditions.services.length === 0) {
    return "what services and host used was not recorded";
  }
  if (telemetry === null || telemetry.work === null || telemetry.work.requests === 0) {
    return "what the database did was not recorded";
  }
  return null;
}

/** Whether requests may have queued for the app's own pool without anybody having counted that. */
function mayQueueForPool({ app, scenario, inside }: Seen): boolean {
  if (app !== null || scenario.reuse !== "app_pool") return false;
  const most = Math.min(inside, threadsOf(scenario) ?? Infinity);
  return most > scenario.workers * scenario.poolSize;
}

/**
 * What limited a run: the first of {@linkcode VERDICT_RULES} that applies, `load_limited` where none
 * does.
 *
 * @param run The run, with what the samplers saw of it.
 */
export function judgeBottleneck(run: RunSummary): RunVerdict {
  const { telemetry, scenario } = run;
  const work = telemetry?.work ?? null;
  const serviceMs = work === null || work.requests === 0 ? 0 : work.serviceMs / work.requests;
  const seen: Seen = {
    run,
    scenario,
    serviceMs,
    postgres: telemetry?.postgres ?? null,
    pgbouncer: telemetry?.pgbouncer ?? null,
    app: telemetry?.app ?? null,
    inside: run.rps * serviceMs / 1000,
  };
  const missing = findMissing(run);
  let margin = Infinity;
  for (const rule of VERDICT_RULES) {
    // What refused connections is in the run's cause, whatever else was recorded.
    if (missing !== null && rule.verdict !== "refused_connections") continue;
    const score = rule.score(seen);
    if (score >= 1) {
      const { verdict } = rule;
      return { verdict, evidence: rule.evidence(seen), margin: Math.min(margin, score - 1) };
    }
    margin = Math.min(margin, 1 - score);
  }
  if (missing !== null) return { verdict: "unknown", evidence: missing, margin: 0 };
  if (mayQueueForPool(seen)) {
    const evidence = `${count(seen.inside)} requests at a time may have waited for the app's ${
      connectionBudget(scenario)
    } connections, which was not recorded`;
    return { verdict: "unknown", evidence, margin: 0 };
  }
  return { verdict: "load_limited", evidence: describeLoad(seen), margin };
}

/** How much of what there is was used, and what the load asked for. */
function describeLoad(seen: Seen): string {
  const { run, scenario, serviceMs } = seen;
  const used = run.conditions.services
    .filter(({ service, quota }) => quota !== null && service !== "locust")
    .map(({ service }) => `${TITLES[service] ?? service} ${percent(quotaUse(seen, service))}`);
  const quotas = used.length === 0 ? "" : `, of its quota ${used.join(" and ")}`;
  const asked = scenario.users === null
    ? `${scenario.arrivalRate} requests per second were due`
    : `${scenario.users} users waited ${ms(serviceMs)} for an answer and thought for ${
      ms(thinkMs(seen))
    }, and nothing was used up`;
  return `${asked}; the machine was in use for ${
    percent(Math.min(1, hostUse(seen)))
  } of the time${quotas}`;
}

/** How sure a verdict is. */
export type Confidence = "high" | "medium" | "low";

/** What limited a scenario, over its rounds. */
export interface ScenarioVerdict {
  scenario: ScenarioSummary;
  verdict: Verdict;
  /** That of the round whose figures are in the middle of those that agree. */
  evidence: string;
  /**
   * `high`: at least two rounds, and all of them agree, none of them closely. `low`: a single round
   * closely, or less than three quarters agree. Else `medium`.
   */
  confidence: Confidence;
  /** Rounds that agree, and all that were looked at. */
  rounds: number;
  of: number;
}

/** Below this share of agreeing rounds a verdict is little more than a guess. */
const AGREEMENT = 0.75;

/**
 * The verdict of most of some runs; where as many say another, that with the larger margins.
 *
 * @returns Null without runs.
 */
export function agreeOnVerdict(
  runs: readonly RunSummary[],
): Omit<ScenarioVerdict, "scenario"> | null {
  const groups = [...Map.groupBy(runs.map(judgeBottleneck), ({ verdict }) => verdict).values()];
  const total = (group: RunVerdict[]) => group.reduce((sum, { margin }) => sum + margin, 0);
  groups.sort((a, b) => b.length - a.length || total(b) - total(a));
  const [most] = groups;
  if (most === undefined) return null;
  const ordered = most.toSorted((a, b) => a.margin - b.margin);
  const { verdict, evidence } = ordered[ordered.length >> 1]!;
  const close = ordered[0]!.margin < CLOSE;
  const agreement = most.length / runs.length;
  const confidence = verdict === "unknown" || agreement < AGREEMENT || (runs.length < 2 && close)
    ? "low"
    : runs.length < 2 || agreement < 1 || close
    ? "medium"
    : "high";
  return { verdict, evidence, confidence, rounds: most.length, of: runs.length };
}

/**
 * The verdict of each scenario, over its successful runs; over its rejected ones where there is none,
 * as what is used up does not depend on a steady state, and over its failed ones where it has no
 * other.
 *
 * @param study The study's runs and scenarios.
 */
export function scenarioVerdicts(
  { runs, scenarios }: { runs: readonly RunSummary[]; scenarios: readonly ScenarioSummary[] },
): ScenarioVerdict[] {
  return scenarios.flatMap((scenario) => {
    const own = runs.filter(({ scenarioId }) => scenarioId === scenario.scenarioId);
    const byStatus = (status: RunSummary["status"]) => own.filter((run) => run.status === status);
    const [counted = []] = (["ok", "rejected", "failed"] as const).map(byStatus)
      .filter((group) => group.length > 0);
    const agreed = agreeOnVerdict(counted);
    return agreed === null ? [] : [{ scenario, ...agreed }];
  });
}

/** A verdict in words. */
export function verdictTitle(verdict: Verdict): string {
  if (verdict === "unknown") return "Not known";
  return VERDICT_RULES.find((rule) => rule.verdict === verdict)!.title;
}
