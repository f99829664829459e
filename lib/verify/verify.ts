/**
 * What must hold before any load: it is our app that answers, it answers as the contract says, it
 * works on our database, and its way there is the scenario's path.
 *
 * @module
 */

import type postgres from "postgres";
import { connect } from "../engine/database.ts";
import type { RunServices } from "../engine/engine.ts";
import { waitUntil } from "../engine/wait.ts";
import { PoolscopeError } from "../errors.ts";
import type { Scenario } from "../scenario.ts";
import type { Verification } from "../store/manifest.ts";
import { openConsole, readPgbouncer } from "../telemetry/pgbouncer.ts";
import { askApp } from "./ask.ts";
import { checkContract, readContract } from "./contract.ts";

/** Seconds that the app may take until every worker has answered. */
export const READY_TIMEOUT_S = 30;

/** Options of {@linkcode verifyApp}. */
export interface VerifyOptions {
  /** Ends the verification. */
  signal?: AbortSignal;
  /** How long the app may take to answer, in seconds. @default {@linkcode READY_TIMEOUT_S} */
  readyTimeoutS?: number;
}

/** A request that costs exactly one data statement. */
const PROBE = "/users/1";

/**
 * Waits for the app and verifies it.
 *
 * @throws {PoolscopeError} If a check does not hold; the message says which, and what was seen.
 */
export async function verifyApp(
  services: RunServices,
  scenario: Scenario,
  options: VerifyOptions = {},
): Promise<Verification> {
  const { signal } = options;
  await waitForApp(services, scenario.workers, options);
  const identity = { app: scenario.framework, nonce: services.nonce };
  const cases = readContract();
  const contractRequests = await checkContract(services.appUrl, cases, identity, signal);
  const database = connect(services.postgres);
  const pooler = services.pgbouncer && openConsole(services.pgbouncer);
  try {
    await checkDatabase(database);
    const pgbouncerQueries = pooler && await countQueries(services, pooler);
    const throughPgbouncer = await checkPath(services, database);
    return { ok: true, contractRequests, nonceMatched: true, pgbouncerQueries, throughPgbouncer };
  } finally {
    await Promise.all([database.end({ timeout: 1 }), pooler?.end({ timeout: 1 })]);
  }
}

/**
 * Waits until every worker has answered the health path with this run's nonce. A worker that came
 * up later would find the users' connections taken, and stand idle for the whole run.
 */
async function waitForApp(
  services: RunServices,
  workers: number,
  { signal, readyTimeoutS = READY_TIMEOUT_S }: VerifyOptions,
): Promise<void> {
  const app = services.services.get("app")!;
  const { port, pathname } = new URL(services.healthUrl);
  const ended = () => {
    for (const service of services.services.values()) {
      if (service.name === "locust") continue;
      if (service.exit !== null) {
        return `${service.name} exited with code ${service.exit.code} (${service.logTail(1)})`;
      }
      if (service.unhealthy !== null) {
        return `${service.name} became unhealthy (${service.unhealthy})`;
      }
    }
    return null;
  };
  let stranger: string | null = null;
  const seen = new Set<number>();
  const ask = async () => {
    const { status, text } = await askApp(services.healthUrl, {
      signal: AbortSignal.timeout(2000),
    });
    if (text.includes(services.nonce)) seen.add(JSON.parse(text).worker);
    else {
      const answer = `${status} ${text.replace(/\s+/g, " ").trim().slice(0, 80)}`;
      stranger =
        `another program answers on the app's port ${port}, without this run's nonce (${answer})`;
    }
  };
  try {
    // Before anything else: whoever answers while the app has ended is the reason why it has.
    await ask().catch(() => {});
    await waitUntil(async () => {
      await Promise.all(Array.from({ length: 4 * (workers - seen.size) }, ask));
      return seen.size >= workers || null;
    }, {
      what: `all ${workers} workers of the app to answer ${pathname} on port ${port}`,
      timeoutS: readyTimeoutS,
      // Who has taken the port is also why the app ended.
      hopeless: () => stranger ?? ended(),
      signal,
    });
  } catch (error) {
    signal?.throwIfAborted();
    if (ended() !== null || stranger !== null) throw error;
    const answered = seen.size === 0 ? "no worker" : `${seen.size} of ${workers} workers`;
    const lines = app.logTail(3).split("\n").map((line) => line.trim()).filter(Boolean);
    throw new PoolscopeError(
      `${answered} answered on port ${port} within ${readyTimeoutS} s; the app's log ${
        lines.length === 0 ? "is empty" : `ends with: ${lines.join(" / ")}`
      }`,
    );
  }
}

/** The contract's last request wrote a post: it must stand in this run's database. */
async function checkDatabase(database: postgres.Sql): Promise<void> {
  const [row] = await database`select max(id) > 50000 as written from posts`;
  if (row?.written !== true) {
    throw new PoolscopeError(
      "the app does not work on this run's database: the post that it confirmed is not there",
    );
  }
}

/** PgBouncer's query count before and after one request; it must have risen. */
async function countQueries(
  services: RunServices,
  pooler: postgres.Sql,
): Promise<{ before: number; after: number }> {
  const count = async () =>
    Number((await readPgbouncer(pooler, services.postgres.database)).total_query_count);
  const before = await count();
  await askApp(services.appUrl + PROBE);
  const after = await count();
  if (after <= before) {
    throw new PoolscopeError(
      `the app goes past PgBouncer: a request left total_query_count at ${after}`,
    );
  }
  return { before, after };
}

/** Who holds the app's connections to PostgreSQL must be PgBouncer when pooled, and never else. */
async function checkPath(services: RunServices, database: postgres.Sql): Promise<boolean> {
  const pooled = services.pgbouncer !== null;
  const backends = await database`
    select host(client_addr) as address, client_port as port from pg_stat_activity
    where datname = current_database() and usename = 'app' and client_port is not null`;
  for (const { address, port } of backends) {
    const seen = await services.isPgbouncerSocket({ address, port });
    if (seen !== pooled) {
      throw new PoolscopeError(
        pooled
          ? "the app goes past PgBouncer: it holds a connection to PostgreSQL of its own"
          : "the app goes through PgBouncer although its path is direct",
      );
    }
  }
  return pooled;
}
