/**
 * Where the time of a mean request went. Only means add up, so only means are broken down.
 *
 * @module
 */

import type { LoadLevel } from "../scenario.ts";
import type { RunSummary, ScenarioSummary } from "./summary.ts";

/** Stages of a request, in the order in which it meets them. */
export const STAGES = [
  "generator_lag",
  "http",
  "rest",
  "app",
  "app_pool",
  "connect",
  "pgbouncer_queue",
  "pgbouncer_starved",
  "pgbouncer_server",
  "database_wait",
  "execution",
] as const;

/**
 * - `generator_lag`: the load generator was late to see the answer.
 * - `http`: all that lies between generator and app: the way there and back, the server's own work,
 *   waiting for a worker or thread.
 * - `app`: the app's own code, its framework and driver, and its waiting for a core.
 * - `app_pool`: waiting for a connection of the app's own pool.
 * - `connect`: opening connections.
 * - `pgbouncer_queue`: waiting in PgBouncer for a server connection.
 * - `pgbouncer_starved`: the same of requests that got none, and no answer: it is in no service time,
 *   and comes on top of the mean.
 * - `database_wait`: the app waited for the database's answer while PostgreSQL executed nothing for it
 *   and PgBouncer did not have it queue: on the way there and back, through PgBouncer, or waiting for
 *   the database's CPU.
 * - `execution`: PostgreSQL executed; its waiting for locks and for CPU within a statement is in it.
 *
 * Of runs in which the app did not tell what its requests took:
 *
 * - `pgbouncer_server`: a server connection was busy with the request's queries while PostgreSQL
 *   executed none.
 * - `rest`: everything else: `generator_lag` to `connect` and, when direct, `database_wait`.
 */
export type Stage = typeof STAGES[number];

/** A part of the mean service time. */
export interface WaterfallPart {
  stage: Stage;
  /** Milliseconds per request. */
  ms: number;
  /** False for what is left when all measured parts are taken off. */
  measured: boolean;
}

/**
 * The parts of a run's mean service time, in the order in which a request meets them; together they
 * are the mean, but for `pgbouncer_starved`, which comes on top. Each is a sum over the window, of the
 * clock of whoever saw it, over the number of requests; the app's own over those that it measured,
 * which of a busy app is each n-th.
 *
 * @returns Null where a part that the path has was not recorded.
 */
export function latencyParts(
  { telemetry, scenario, conditions }: Pick<RunSummary, "telemetry" | "scenario" | "conditions">,
): WaterfallPart[] | null {
  const work = telemetry?.work ?? null;
  const pgbouncer = telemetry?.pgbouncer ?? null;
  const app = telemetry?.app ?? null;
  if (work === null || work.requests === 0) return null;
  if (scenario.path === "pooled" && pgbouncer === null) return null;
  const per = (ms: number) => ms / work.requests;
  const service = per(work.serviceMs);
  const execution = per(work.dataMs + work.otherMs);
  const starved = pgbouncer && per(pgbouncer.starvedUs / 1000);
  const queue = pgbouncer && per((pgbouncer.waitUs - pgbouncer.starvedUs) / 1000);
  const measured: [Stage, number][] = [];
  const left = () => service - measured.reduce((sum, [, ms]) => sum + ms, 0);
  if (queue !== null) measured.push(["pgbouncer_queue", queue]);
  measured.push(["execution", execution]);
  if (app !== null && app.requests > 0) {
    const own = (ms: number) => ms / app.requests;
    const [handler, database] = [own(app.handlerMs), own(app.databaseMs)];
    const [pool, connect] = [own(app.poolWaitMs), own(app.connectMs)];
    const { generator } = conditions;
    if (generator !== null) {
      const lag = Math.min(generator.lagMeanMs, Math.max(0, service - handler));
      measured.push(["generator_lag", lag]);
    }
    measured.push(["app", Math.max(0, handler - pool - connect - database)]);
    if (scenario.reuse === "app_pool") measured.push(["app_pool", pool]);
    measured.push(["connect", scenario.reuse === "app_pool" ? connect : connect + pool]);
    // Three programs' clocks: what is executed and queued is within what the app waits for.
    const wait = Math.max(0, database - (queue ?? 0) - execution);
    // Requests that PgBouncer gave up are among the app's, and not among the answers.
    const most = starved ? Math.max(0, left()) : Infinity;
    measured.push(["database_wait", Math.min(wait, most)]);
  } else if (pgbouncer !== null) {
    const server = Math.max(0, per(pgbouncer.queryUs / 1000) - execution);
    measured.push(["pgbouncer_server", server]);
  }
  const remainder = app !== null && app.requests > 0 ? "http" as const : "rest" as const;
  const parts = [
    ...measured.map(([stage, ms]) => ({ stage, ms, measured: true })),
    { stage: remainder, ms: left(), measured: false },
  ];
  if (starved !== null) parts.push({ stage: "pgbouncer_starved", ms: starved, measured: true });
  return parts.sort((a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage));
}

/** Where the time of a scenario's mean request went. */
export interface Waterfall extends LoadLevel {
  scenarioId: string;
  /** The arm's label within its study. */
  arm: string;
  /** Means over the runs, in the order in which a request meets them. */
  parts: WaterfallPart[];
  /** Their sum in milliseconds: the mean service time, and `pgbouncer_starved` on top. */
  totalMs: number;
  /** Runs behind it. */
  n: number;
}

/**
 * The waterfall of each scenario that has one: the mean over its successful runs, of those alone that
 * know the most parts of it. Where gates rejected all that did not fail it is of these, and the arm's
 * label says so: what they spent their time on is often why.
 *
 * @param study The study, or scenarios and runs of one; the scenarios' order is kept.
 */
export function waterfalls(
  { scenarios, runs }: {
    scenarios: readonly Pick<ScenarioSummary, "scenarioId">[];
    runs: readonly RunSummary[];
  },
): Waterfall[] {
  return scenarios.flatMap(({ scenarioId }) => {
    const withStatus = (status: RunSummary["status"]) =>
      runs.filter((run) => run.scenarioId === scenarioId && run.status === status);
    const accepted = withStatus("ok");
    const counted = accepted.length > 0 ? accepted : withStatus("rejected");
    const told = counted.map(latencyParts).filter((parts) => parts !== null);
    if (told.length === 0) return [];
    const most = Math.max(...told.map(({ length }) => length));
    const known = told.filter(({ length }) => length === most);
    const mean = (i: number) => known.reduce((sum, parts) => sum + parts[i]!.ms, 0) / known.length;
    const parts = known[0]!.map((part, i) => ({ ...part, ms: mean(i) }));
    const { arm, scenario: { users, arrivalRate } } = counted[0]!;
    return {
      scenarioId,
      arm: accepted.length > 0 ? arm : `${arm} (rejected)`,
      users,
      arrivalRate,
      parts,
      totalMs: parts.reduce((sum, { ms }) => sum + ms, 0),
      n: known.length,
    };
  });
}
