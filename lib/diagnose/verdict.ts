/**
 * What limited a scenario: one resource, by rules over what the samplers saw. A resource that is used
 * up makes those that wait for it look used up too: threads that wait for a pool, a pool that waits
 * for the database. So the rules stand in the order of a request's dependence, the root before its
 * symptoms, and the first that applies gives the verdict.
 *
 * @module
 */

import { readApp } from "../apps/app.ts";
import type { Bottleneck } from "../bottlenecks.ts";
import { connectionBudget } from "../connections.ts";
import type { Scenario } from "../scenario.ts";
import { shortCause } from "../stats/summarise.ts";
import type { RunSummary, ScenarioSummary } from "../stats/summary.ts";
import type { AppActivity, PgbouncerActivity, PostgresActivity } from "../stats/telemetry.ts";
import { ruleWords as say, verdictTitles } from "../wording/bottlenecks.ts";
import { MAX_GENERATOR_CORES } from "./gates.ts";

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

function quotaOf(seen: Seen, name: string) {
  const { cores, quota, throttled } = serviceOf(seen, name)!;
  return [name, cores, quota, throttled] as const;
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

/** The rules in the order in which they are tried; a verdict may have several. */
const RULES: readonly Omit<VerdictRule, "title">[] = [
  {
    verdict: "refused_connections",
    fires: say.refused_connections.fires,
    score: ({ run }) =>
      run.cause !== null && REFUSED.test(run.cause) ? (run.errorRate ?? 1) / REFUSED_SHARE : 0,
    evidence: ({ run }) => say.refused_connections.saw(shortCause(run), run.errorRate ?? 1),
  },
  {
    verdict: "pgbouncer_queue",
    fires: say.starved_clients.fires(WAITING_SHARE),
    score: (seen) =>
      keepsServers(seen) ? starvedMs(seen) / (seen.serviceMs + starvedMs(seen)) / WAITING_SHARE : 0,
    evidence: ({ pgbouncer, scenario }) => {
      const { meanWaiting, meanClients } = pgbouncer!;
      return say.starved_clients.saw(meanWaiting, meanClients, scenario.defaultPoolSize);
    },
  },
  {
    verdict: "generator",
    fires: say.generator.fires(GENERATOR_HELD, MAX_GENERATOR_CORES),
    score: (seen) =>
      Math.max(
        (serviceOf(seen, "locust")?.throttled ?? 0) / GENERATOR_HELD,
        fullness(busiest(seen), MAX_GENERATOR_CORES),
      ),
    evidence: (seen) =>
      (serviceOf(seen, "locust")?.throttled ?? 0) > GENERATOR_HELD
        ? say.generator.saw.quota(...quotaOf(seen, "locust"))
        : say.generator.saw.core(busiest(seen)),
  },
  {
    verdict: "load_limited",
    fires: say.load_limited.fires(DELIVERED, WORTHWHILE),
    score: (seen) => {
      const { scenario: { arrivalRate }, run, serviceMs } = seen;
      if (arrivalRate !== null) return run.rps / arrivalRate / DELIVERED;
      return WORTHWHILE * thinkMs(seen) / serviceMs;
    },
    evidence: describeLoad,
  },
  {
    verdict: "connection_setup",
    fires: say.connection_setup.fires(SETUP_CHURN, SETUP_SHARE),
    score: (seen) =>
      seen.app === null ? churn(seen) / SETUP_HABIT : Math.min(
        churn(seen) / SETUP_CHURN,
        connectMs(seen) / (seen.serviceMs + thinkMs(seen)) / SETUP_SHARE,
      ),
    evidence: (seen) => {
      const times = { connectMs: connectMs(seen), serviceMs: seen.serviceMs };
      return say.connection_setup.saw(churn(seen), seen.app === null ? null : times);
    },
  },
  {
    verdict: "pgbouncer_cpu",
    fires: say.pgbouncer_cpu.fires(USED_UP, ONE_CORE),
    score: (seen) =>
      Math.max(
        fullness(quotaUse(seen, "pgbouncer"), USED_UP),
        fullness(serviceOf(seen, "pgbouncer")?.cores ?? 0, ONE_CORE),
      ),
    evidence: (seen) =>
      quotaUse(seen, "pgbouncer") > 0
        ? say.pgbouncer_cpu.saw.quota(...quotaOf(seen, "pgbouncer"))
        : say.pgbouncer_cpu.saw.core(serviceOf(seen, "pgbouncer")!.cores),
  },
  {
    verdict: "database_quota",
    fires: say.database_quota.fires(USED_UP),
    score: (seen) => fullness(quotaUse(seen, "postgres"), USED_UP),
    evidence: (seen) => say.database_quota.saw(...quotaOf(seen, "postgres")),
  },
  {
    verdict: "app_cpu",
    fires: say.app_cpu.fires(USED_UP, ONE_CORE),
    score: (seen) =>
      Math.max(
        fullness(quotaUse(seen, "app"), USED_UP),
        fullness((serviceOf(seen, "app")?.cores ?? 0) / seen.scenario.workers, ONE_CORE),
      ),
    evidence: (seen) =>
      quotaUse(seen, "app") >= USED_UP
        ? say.app_cpu.saw.quota(...quotaOf(seen, "app"))
        : say.app_cpu.saw.workers(serviceOf(seen, "app")!.cores, seen.scenario.workers),
  },
  {
    verdict: "database_locks",
    fires: say.database_locks.fires(LOCKED_SHARE),
    score: ({ postgres }) =>
      postgres === null || postgres.meanActive === 0 ? 0 : Math.min(
        postgres.meanWaitingLock,
        postgres.meanWaitingLock / postgres.meanActive / LOCKED_SHARE,
      ),
    evidence: ({ postgres }) =>
      say.database_locks.saw(postgres!.meanWaitingLock, postgres!.meanActive),
  },
  {
    verdict: "host_cpu",
    fires: say.host_cpu.fires(HOST_USED_UP),
    score: (seen) => fullness(hostUse(seen), HOST_USED_UP),
    evidence: (seen) => {
      const { cores, busy, stolen, others } = seen.run.conditions.host!;
      return say.host_cpu.saw(cores, Math.min(1, busy), others, stolen);
    },
  },
  {
    verdict: "pgbouncer_queue",
    fires: say.pgbouncer_queue.fires(WAITING_SHARE),
    score: (seen) => queueMs(seen) / (seen.serviceMs + starvedMs(seen)) / WAITING_SHARE,
    evidence: (seen) =>
      say.pgbouncer_queue.saw(
        queueMs(seen),
        seen.serviceMs + starvedMs(seen),
        seen.pgbouncer!.meanServersActive,
        seen.scenario.defaultPoolSize,
      ),
  },
  {
    verdict: "app_pool",
    fires: say.app_pool.fires(WAITING_SHARE),
    score: (seen) => poolMs(seen) / seen.serviceMs / WAITING_SHARE,
    evidence: (seen) =>
      say.app_pool.saw(poolMs(seen), seen.serviceMs, connectionBudget(seen.scenario)),
  },
  {
    verdict: "workers",
    fires: say.workers.fires(CROWDED),
    score: ({ scenario, inside }) => {
      const threads = threadsOf(scenario);
      return threads === null ? 0 : inside / threads / CROWDED;
    },
    evidence: ({ scenario: { workers, threads }, inside }) =>
      say.workers.saw(inside, workers, threads),
  },
];

/** The rules with the titles of their verdicts. */
export const VERDICT_RULES: readonly VerdictRule[] = RULES.map((rule) => ({
  ...rule,
  title: verdictTitle(rule.verdict),
}));

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
  if (!measured) return say.unknown.load;
  if (conditions.host === null || conditions.services.length === 0) {
    return say.unknown.resources;
  }
  if (telemetry === null || telemetry.work === null || telemetry.work.requests === 0) {
    return say.unknown.database;
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
    const evidence = say.unknown.pool(seen.inside, connectionBudget(scenario));
    return { verdict: "unknown", evidence, margin: 0 };
  }
  return { verdict: "load_limited", evidence: describeLoad(seen), margin };
}

/** How much of what there is was used, and what the load asked for. */
function describeLoad(seen: Seen): string {
  const { run, scenario, serviceMs } = seen;
  const quotas = run.conditions.services
    .filter(({ service, quota }) => quota !== null && service !== "locust")
    .map(({ service }) => ({ service, use: quotaUse(seen, service) }));
  const { arrivals, users, used } = say.load_limited.saw;
  const asked = scenario.users === null
    ? arrivals(scenario.arrivalRate!)
    : users(scenario.users, serviceMs, thinkMs(seen));
  return used(asked, Math.min(1, hostUse(seen)), quotas);
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
  return verdictTitles[verdict];
}
