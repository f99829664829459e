/**
 * What must hold before any load: our app answers, as the contract says, on our database and path.
 */

import type postgres from "postgres";
import { type App, readApp } from "../apps/app.ts";
import { APP_USER, withConnection } from "../services/database.ts";
import type { RunServices } from "../engine/run_services.ts";
import { waitUntil } from "../hosts/wait.ts";
import { PoolscopeError } from "../errors.ts";
import type { Scenario } from "../scenario.ts";
import type { Verification } from "../store/manifest.ts";
import { samplePgbouncer, withConsole } from "../telemetry/pgbouncer.ts";
import { askApp } from "./ask.ts";
import { checkContract, checkRoutes, isSuccess } from "./contract.ts";
import { firstRequest, type LoadRoute, probeRoute, resolveRoutes } from "./routes.ts";

export interface VerifyOptions {
  signal?: AbortSignal;
  /** How long the app may take until every worker has answered, in seconds. @default 30 */
  readyTimeoutS?: number;
  /** The app's routes. @default read from its folder */
  routes?: readonly LoadRoute[];
}

/** Waits for the app and verifies it; an error says which check does not hold, and what was seen. */
export async function verifyApp(
  services: RunServices,
  scenario: Scenario,
  options: VerifyOptions = {},
): Promise<Verification> {
  const { signal } = options;
  const { appUrl, nonce } = services;
  const app = readApp(scenario.framework);
  const { cases } = app.contract;
  const nonceMatched = app.settings.nonce === undefined ? null : true;
  await waitForApp(services, nonceMatched && scenario.workers, options);
  const routes = options.routes ?? await resolveRoutes(app, services.postgres);
  const before = await countStatements(services);
  const contractRequests = cases.length === 0
    ? await checkRoutes(appUrl, routes, signal)
    : await checkContract(appUrl, cases, { app: app.name, nonce }, signal);
  const worked = before < await countStatements(services);
  return await withConnection(services.postgres, async (database) => {
    await checkDatabase(database, app, worked);
    const pgbouncerQueries = await countQueries(services, probeRoute(routes));
    const throughPgbouncer = await checkPath(services, database);
    return { ok: true, contractRequests, nonceMatched, pgbouncerQueries, throughPgbouncer };
  });
}

/** What one service that has ended says; null while all others run. */
function findEnded({ services }: RunServices): string | null {
  for (const service of services.values()) {
    const { name, exit } = service;
    if (name === "locust") continue;
    if (exit !== null) return `${name} exited with code ${exit.code} (${service.logTail(1)})`;
  }
  return null;
}

/**
 * Waits until every worker has answered the health path with this run's nonce: one that came up later
 * would find the users' connections taken, and stand idle for the whole run. Of an app that knows no
 * nonce (`workers` is null) any answer will do, from a process that Poolscope started.
 */
async function waitForApp(
  services: RunServices,
  workers: number | null,
  { signal, readyTimeoutS: timeoutS = 30 }: VerifyOptions,
): Promise<void> {
  const { healthUrl, nonce } = services;
  const { port, pathname } = new URL(healthUrl);
  const stranger = `another program answers on the app's port ${port}`;
  const seen = new Set<number>();
  let answered = workers === null ? "nothing" : "no worker";
  let foreign: string | null = null;
  const ask = async () => {
    const { status, text } = await askApp(healthUrl, { signal: AbortSignal.timeout(2000) });
    if (workers === null) {
      answered = `nothing but status ${status}`;
      if (isSuccess(status)) seen.add(0);
    } else if (text.includes(nonce)) {
      seen.add(JSON.parse(text).worker);
      answered = `${seen.size} of ${workers} workers`;
    } else {
      const answer = `${status} ${text.replace(/\s+/g, " ").trim().slice(0, 80)}`;
      foreign = `${stranger}, without this run's nonce (${answer})`;
    }
  };
  // Who has taken the port is also why the app ended.
  const hopeless = () => foreign ?? findEnded(services);
  // Before anything else: whoever answers while the app has ended is the reason why it has.
  await ask().catch(() => {});
  await waitUntil(async () => {
    const questions = workers === null ? 1 : 4 * (workers - seen.size);
    await Promise.all(Array.from({ length: questions }, ask));
    return seen.size >= (workers ?? 1) || null;
  }, {
    what: `${workers === null ? "the app" : `all ${workers} workers of the app`} to answer ` +
      `${pathname} on port ${port}`,
    timeoutS,
    hopeless,
    signal,
  }).catch((error) => {
    signal?.throwIfAborted();
    if (hopeless() !== null) throw error;
    const log = services.services.get("app")!.logTail(3).split("\n").map((line) => line.trim())
      .filter(Boolean).join(" / ");
    const tail = log === "" ? "is empty" : `ends with: ${log}`;
    const why = `${answered} answered on port ${port} within ${timeoutS} s`;
    throw new PoolscopeError(`${why}; the app's log ${tail}`, { cause: error });
  });
  if (workers === null && !await services.isAppListening()) {
    throw new PoolscopeError(
      `${stranger}: none of the processes that were started has it open`,
    );
  }
}

/** Statements of the app's role in the run's database so far. */
async function countStatements({ postgres: access }: RunServices): Promise<number> {
  const [row] = await withConnection(
    { ...access, database: "postgres" },
    (sql) =>
      sql`
        select coalesce(sum(calls), 0)::float8 as calls from pg_stat_statements(false)
        where dbid = (select oid from pg_database where datname = ${access.database})
          and userid = ${APP_USER}::regrole::oid`,
  );
  return Number(row!.calls);
}

/** What the contract's last request wrote must stand in this run's database, if it wrote anything. */
async function checkDatabase(
  database: postgres.Sql,
  { contract: { written } }: App,
  worked: boolean,
): Promise<void> {
  const failed = "the app does not work on this run's database";
  if (!worked) throw new PoolscopeError(`${failed}: its routes gave PostgreSQL no statement`);
  if (written === undefined) return;
  const [row] = await database.unsafe(written).values();
  if (row?.[0] !== true) throw new PoolscopeError(`${failed}: what it confirmed is not there`);
}

/** PgBouncer's query count before and after one request; it must have risen. Null without PgBouncer. */
async function countQueries(
  services: RunServices,
  probe: LoadRoute,
): Promise<{ before: number; after: number } | null> {
  const { pgbouncer, postgres: { database } } = services;
  if (pgbouncer === null) return null;
  const count = async () => {
    const row = await withConsole(pgbouncer, (sql) => samplePgbouncer(sql, database));
    return Number(row.total_query_count);
  };
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
    select host(client_addr) as host, client_port as port from pg_stat_activity
    where datname = current_database() and usename = ${APP_USER} and client_port is not null`;
  for (const { host, port } of backends) {
    const seen = await services.isPgbouncerSocket({ host, port });
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
