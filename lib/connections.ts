/** Connections: how many an app and PgBouncer may open, the servers leave, and Poolscope needs. */

import { readApp } from "./apps/app.ts";
import type { Scenario } from "./scenario.ts";

/** PostgreSQL's default of `superuser_reserved_connections`. */
const SUPERUSER_RESERVED = 3;

/**
 * Connections that Poolscope itself has open at once, at most, on top of the limits that a scenario
 * asks for: the sampler's, and one that comes and goes.
 */
export const OWN_CONNECTIONS = { postgres: 2, pgbouncer: 2 } as const;

/**
 * The limits on connections as the servers are given them.
 *
 * PostgreSQL refuses the app when fewer than `superuser_reserved_connections` slots are free, whoever
 * uses the others. So `max_connections` is raised by our connections once for those that are kept free
 * and once for those in use: the app gets what the scenario's `maxConnections` would leave it.
 */
export function serverLimits({ maxConnections, maxClientConn }: Scenario) {
  const ours = ownShares(OWN_CONNECTIONS);
  return {
    max_connections: maxConnections + ours.max_connections,
    superuser_reserved_connections: SUPERUSER_RESERVED + ours.superuser_reserved_connections,
    max_client_conn: maxClientConn + ours.max_client_conn,
  };
}

function ownShares({ postgres, pgbouncer }: { postgres: number; pgbouncer: number }) {
  return {
    max_connections: 2 * postgres,
    superuser_reserved_connections: postgres,
    max_client_conn: pgbouncer,
  };
}

/**
 * A setting that was read back, in words: what the scenario asked for, and what is there for ours.
 *
 * @param own Poolscope's own connections by the run's manifest; undefined where it had none on top.
 */
export function describeInForce(
  name: string,
  value: string,
  own: { postgres: number; pgbouncer: number } | undefined,
): string {
  const ours = own && Object.entries(ownShares(own)).find(([setting]) => setting === name)?.[1];
  return ours === undefined ? value : `${Number(value) - ours} + ${ours} for Poolscope`;
}

/** Connections that a scenario's `max_connections` leaves to the app or PgBouncer. */
export function connectionsLeft({ path, maxConnections, idleConnections }: Scenario): number {
  const others = path === "direct" ? idleConnections : 0;
  return maxConnections - SUPERUSER_RESERVED - others;
}

/** What PgBouncer may open, beside what PostgreSQL leaves it. */
export function comparePool(scenario: Scenario): string {
  const { defaultPoolSize, maxConnections } = scenario;
  return `PgBouncer may open ${defaultPoolSize}, PostgreSQL leaves ${
    connectionsLeft(scenario)
  } (default_pool_size ${defaultPoolSize}, max_connections ${maxConnections})`;
}

/**
 * Connections that the app may open at once: its threads, or its workers' pools.
 * Unbounded (`Infinity`) where an event loop opens one for each request.
 *
 * @example
 * ```ts
 * import { connectionBudget, createScenario } from "poolscope";
 *
 * const scenario = createScenario({ framework: "node", path: "direct", users: 10 });
 * console.assert(connectionBudget(scenario) === 64);
 * ```
 */
export function connectionBudget(scenario: Scenario): number {
  if (readApp(scenario.framework).concurrency === "event_loop") {
    return scenario.reuse === "per_request" ? Infinity : scenario.workers * scenario.poolSize;
  }
  const perWorker = scenario.reuse === "app_pool"
    ? Math.min(scenario.threads, scenario.poolSize)
    : scenario.threads;
  return scenario.workers * perWorker;
}

/** Whether PgBouncer may serve an app's connections by fewer of its own: in session mode, each has one. */
export function canShare(scenario: Scenario): boolean {
  return scenario.poolMode !== "session" && connectionBudget(scenario) > scenario.defaultPoolSize;
}
