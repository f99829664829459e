/**
 * What must hold before any load: it is our app that answers, it answers as the contract says, it
 * works on our database, and its way there is the scenario's path.
 *
 * @module
 */

import type postgres from "postgres";
import { type App, readApp } from "../apps/app.ts";
import { APP_USER, connect } from "../engine/database.ts";
import type { RunServices } from "../engine/engine.ts";
import { waitUntil } from "../engine/wait.ts";
import { PoolscopeError } from "../errors.ts";
import type { Scenario } from "../scenario.ts";
import type { Verification } from "../store/manifest.ts";
import { openConsole, samplePgbouncer } from "../telemetry/pgbouncer.ts";
import { askApp } from "./ask.ts";
import { checkContract, checkRoutes, readContract } from "./contract.ts";
import { firstRequest, type LoadRoute, probeRoute, resolveRoutes } from "./routes.ts";

/** Seconds that the app may take until every worker has answered. */
export const READY_TIMEOUT_S = 30;

/** Options of {@linkcode verifyApp}. */
export interface VerifyOptions {
  /** Ends the verification. */
  signal?: AbortSignal;
  /** How long the app may take to answer, in seconds. @default {@linkcode READY_TIMEOUT_S} */
  readyTimeoutS?: number;
  /** The app's routes. @default read from its folder */
  routes?: readonly LoadRoute[];
}

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
  const app = readApp(scenario.framework);
  const nonceMatched = app.settings.nonce === undefined ? null : true;
  if (nonceMatched) await waitForWorkers(services, scenario.workers, options);
  else await waitForListener(services, options);
  const routes = options.routes ?? await resolveRoutes(app, services.postgres);
  const database = connect(services.postgres);
  const pooler = services.pgbouncer && openConsole(services.pgbouncer);
  try {
    const before = await countStatements(services);
    const contractRequests = await checkAnswers(services, app, routes, signal);
    await checkDatabase(database, app, before < await countStatements(services));
    const probe = probeRoute(routes);
    const pgbouncerQueries = pooler && await countQueries(services, pooler, probe);
    const throughPgbouncer = await checkPath(services, database);
    return { ok: true, contractRequests, nonceMatched, pgbouncerQueries, throughPgbouncer };
  } finally {
    await Promise.all([database.end({ timeout: 1 }), pooler?.end({ timeout: 1 })]);
  }
}

/** The cases of a contract where the app has one, else each of its routes once. */
async function checkAnswers(
  { appUrl, nonce }: RunServices,
  app: App,
  routes: readonly LoadRoute[],
  signal: AbortSignal | undefined,
): Promise<number> {
  const cases = readContract(app);
  if (cases.length === 0) return await checkRoutes(appUrl, routes, signal);
  return await checkContract(appUrl, cases, { app: app.name, nonce }, signal);
}

/**
 * Waits until the health path answers, from a process that Poolscope started: there is no nonce by
 * which the app itself could tell.
 */
async function waitForListener(
  services: RunServices,
  { signal, readyTimeoutS = READY_TIMEOUT_S }: VerifyOptions,
): Promise<void> {
  const { port, pathname } = new URL(services.healthUrl);
  let answered = "nothing";
  await waitUntil(async () => {
    const { status } = await askApp(services.healthUrl, { signal: AbortSignal.timeout(2000) });
    answered = `nothing but status ${status}`;
    return status >= 200 && status < 300 || null;
  }, {
    what: `the app to answer ${pathname} on port ${port}`,
    timeoutS: readyTimeoutS,
    hopeless: () => findEnded(services),
    signal,
  }).catch((error) => {
    signal?.throwIfAborted();
    throw findEnded(services) === null ? notReady(services, answered, readyTimeoutS) : error;
  });
  if (!await services.isAppListening()) {
    throw new PoolscopeError(
      `another program answers on the app's port ${port}: none of the processes that were started has it open`,
    );
  }
}

/** What one service that has ended or is unhealthy says; null while all others run. */
function findEnded({ services }: RunServices): string | null {
  for (const service of services.values()) {
    if (service.name === "locust") continue;
    if (service.exit !== null) {
      return `${service.name} exited with code ${service.exit.code} (${service.logTail(1)})`;
    }
    if (service.unhealthy !== null) {
      return `${service.name} became unhealthy (${service.unhealthy})`;
    }
  }
  return null;
}

function notReady(services: RunServices, answered: string, seconds: number): PoolscopeError {
  const { port } = new URL(services.healthUrl);
  const lines = services.services.get("app")!.logTail(3).split("\n").map((line) => line.trim())
    .filter(Boolean);
  return new PoolscopeError(
    `${answered} answered on port ${port} within ${seconds} s; the app's log ${
      lines.length === 0 ? "is empty" : `ends with: ${lines.join(" / ")}`
    }`,
  );
}

/**
 * Waits until every worker has answered the health path with this run's nonce. A worker that came
 * up later would find the users' connections taken, and stand idle for the whole run.
 */
async function waitForWorkers(
  services: RunServices,
  workers: number,
  { signal, readyTimeoutS = READY_TIMEOUT_S }: VerifyOptions,
): Promise<void> {
  const { port, pathname } = new URL(services.healthUrl);
  const ended = () => findEnded(services);
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
    throw notReady(services, answered, readyTimeoutS);
  }
}

/** Statements of the app's role in the run's database so far. */
async function countStatements({ postgres: access }: RunServices): Promise<number> {
  const sql = connect({ ...access, database: "postgres" });
  try {
    const [row] = await sql`
      select coalesce(sum(calls), 0)::float8 as calls from pg_stat_statements(false)
      where dbid = (select oid from pg_database where datname = ${access.database})
        and userid = ${APP_USER}::regrole::oid`;
    return Number(row!.calls);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** What the contract's last request wrote must stand in this run's database, if it wrote anything. */
async function checkDatabase(
  database: postgres.Sql,
  { contract: { written } }: App,
  worked: boolean,
): Promise<void> {
  const fail = (what: string): never => {
    throw new PoolscopeError(`the app does not work on this run's database: ${what}`);
  };
  if (!worked) fail("its routes gave PostgreSQL no statement");
  if (written === undefined) return;
  const [row] = await database.unsafe(written).values();
  if (row?.[0] !== true) fail("what it confirmed is not there");
}

/** PgBouncer's query count before and after one request; it must have risen. */
async function countQueries(
  services: RunServices,
  pooler: postgres.Sql,
  probe: LoadRoute,
): Promise<{ before: number; after: number }> {
  const count = async () =>
    Number((await samplePgbouncer(pooler, services.postgres.database)).total_query_count);
  const before = await count();
  const { path, ...request } = firstRequest(probe);
  await askApp(services.appUrl + path, request);
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
    where datname = current_database() and usename = ${APP_USER} and client_port is not null`;
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
