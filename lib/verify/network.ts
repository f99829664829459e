/**
 * The network of a run, read back before the load: how much time each leg takes, and whether its
 * connections are encrypted.
 *
 * @module
 */

import type postgres from "postgres";
import { readApp } from "../apps/app.ts";
import type { Access, RunServices } from "../engine/engine.ts";
import type { NetworkAccount } from "../engine/network.ts";
import { PoolscopeError } from "../errors.ts";
import { type Leg, legsOf, type Scenario } from "../scenario.ts";
import type { Deliveries, NetworkInForce } from "../store/manifest.ts";
import { openConsole } from "../telemetry/pgbouncer.ts";
import { askApp } from "./ask.ts";
import { firstRequest, type LoadRoute, probeRoute, resolveRoutes } from "./routes.ts";

/** A leg that is further off than both of these is not what was asked for. */
const TOLERANCE = 0.1;
const TOLERANCE_MS = 0.25;
/** A machine that is busy with something else gets this many chances. */
const ATTEMPTS = 5;
/** Questions for one figure, fewer where they take long. */
const QUESTIONS = 25;
const QUESTIONS_MS = 500;

/** How long a connection of the app's is looked for, which may live for one request only. */
const SEEN_TIMEOUT_MS = 3000;

/** How a leg's connections are called in errors. */
const LEGS: Record<Leg["name"], string> = {
  appDb: "app and PostgreSQL",
  appPgbouncer: "app and PgBouncer",
  pgbouncerDb: "PgBouncer and PostgreSQL",
};

/**
 * Reads the network back.
 *
 * @returns What is in force, with no deliveries yet.
 * @throws {PoolscopeError} If a leg is not as the scenario asks.
 */
export async function verifyNetwork(
  services: RunServices,
  scenario: Scenario,
): Promise<NetworkInForce> {
  const legs: NetworkInForce["legs"] = {};
  const routes = await resolveRoutes(readApp(scenario.framework), services.postgres);
  const probe = probeRoute(routes);
  for (const leg of legsOf(scenario)) {
    legs[leg.name] = {
      rttMs: { asked: leg.rttMs, measured: await checkRtt(services, leg) },
      tls: { asked: leg.tls, inForce: await checkTls(services, leg, probe) },
    };
  }
  return { method: services.network?.method ?? null, legs, deliveries: {} };
}

async function checkRtt(services: RunServices, { name, rttMs }: Leg): Promise<number | null> {
  const entry = services.network?.entries[name];
  if (entry === undefined) return null;
  const [straight, question] = name === "appPgbouncer"
    ? [services.pgbouncer!, "show version"]
    : [services.postgres, "select 1"];
  const allowed = Math.max(rttMs * TOLERANCE, TOLERANCE_MS);
  let measured = NaN;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    measured = await measureAdded(straight, { ...straight, ...entry }, question, rttMs);
    if (Math.abs(measured - rttMs) <= allowed) return round(measured);
  }
  throw new PoolscopeError(
    `the network between ${LEGS[name]} adds ${
      measured.toFixed(2)
    } ms to a question, not the ${rttMs} ms asked for`,
  );
}

/**
 * Milliseconds that questions take longer on one way than on another, asked in turns. Of the lower
 * quartiles: whatever else the machine does makes some of them longer, and none shorter.
 */
async function measureAdded(
  straight: Access,
  through: Access,
  question: string,
  rttMs: number,
): Promise<number> {
  const ways = [straight, through].map(openConsole);
  try {
    const ask = (sql: postgres.Sql) => sql.unsafe(question).simple();
    await Promise.all(ways.map(ask));
    const count = Math.max(5, Math.min(QUESTIONS, Math.ceil(QUESTIONS_MS / rttMs)));
    const took: number[][] = [[], []];
    for (let i = 0; i < count; i++) {
      for (const [way, sql] of ways.entries()) {
        const begun = performance.now();
        await ask(sql);
        took[way]!.push(performance.now() - begun);
      }
    }
    return lowerQuartile(took[1]!) - lowerQuartile(took[0]!);
  } finally {
    await Promise.all(ways.map((sql) => sql.end({ timeout: 1 })));
  }
}

function lowerQuartile(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 4)]!;
}

/** Protocol and cipher of a leg's connections; null where they are not encrypted. */
async function checkTls(
  services: RunServices,
  { name, tls }: Leg,
  probe: LoadRoute,
): Promise<string | null> {
  const kinds = [
    ...new Set(
      name === "appPgbouncer"
        ? await observe(services, services.pgbouncer!, PGBOUNCER_CLIENTS, probe)
        : await observe(services, services.postgres, POSTGRES_CLIENTS, probe),
    ),
  ];
  const wrong = kinds.find((kind) => (kind !== null) !== tls);
  if (wrong !== undefined) {
    throw new PoolscopeError(
      `a connection between ${LEGS[name]} is ${
        wrong === null ? "not encrypted" : `encrypted (${wrong})`
      }, the scenario asks for ${tls ? "TLS" : "none"}`,
    );
  }
  return kinds[0]!;
}

/** A statement that lists connections, and what its rows say of their encryption. */
interface Look {
  statement: string;
  kind: (row: postgres.Row, database: string) => string | null | undefined;
}

const POSTGRES_CLIENTS: Look = {
  statement: `select version, cipher from pg_stat_activity join pg_stat_ssl using (pid)
    where datname = current_database() and usename = 'app'`,
  kind: ({ version, cipher }) => version === null ? null : `${version} ${cipher}`,
};

const PGBOUNCER_CLIENTS: Look = {
  statement: "show clients",
  kind: ({ database, tls }, own) =>
    database !== own ? undefined : tls === "" ? null : String(tls).replaceAll("/", " "),
};

/** Looks at a server's clients while the app works: its connections may live for one request only. */
async function observe(
  services: RunServices,
  access: Access,
  { statement, kind }: Look,
  probe: LoadRoute,
): Promise<(string | null)[]> {
  const sql = openConsole(access);
  let looking = true;
  const { path, ...request } = firstRequest(probe);
  const work = async () => {
    while (looking) await askApp(services.appUrl + path, request);
  };
  // An app that no longer answers shows as a connection that is not seen.
  const working = work().catch(() => {});
  try {
    const end = performance.now() + SEEN_TIMEOUT_MS;
    while (performance.now() < end) {
      const rows = await sql.unsafe(statement).simple();
      const kinds = rows.map((row) => kind(row, services.postgres.database))
        .filter((found) => found !== undefined);
      if (kinds.length > 0) return kinds;
    }
  } finally {
    looking = false;
    await Promise.all([working, sql.end({ timeout: 1 })]);
  }
  throw new PoolscopeError(
    `no connection of the app's was seen within ${SEEN_TIMEOUT_MS / 1000} s`,
  );
}

/** What the network has handed on between two accounts of it, by leg. */
export function deliveriesBetween(
  before: NetworkAccount,
  after: NetworkAccount,
): NetworkInForce["deliveries"] {
  return Object.fromEntries(after.legs.map((leg, i): [string, Deliveries] => {
    const first = before.legs[i]!;
    const chunks = leg.chunks - first.chunks;
    const counts = leg.lateCounts.map((count, power) => count - first.lateCounts[power]!);
    let below = 0;
    const p99 = counts.findIndex((count) => (below += count) >= chunks * 0.99);
    return [leg.name, {
      chunks,
      roundTrips: leg.roundTrips - first.roundTrips,
      lateMeanMs: chunks === 0 ? 0 : round((leg.lateMs - first.lateMs) / chunks),
      lateP99Ms: chunks === 0 ? 0 : 2 ** p99 / 1000,
    }];
  }));
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
