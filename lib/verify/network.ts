/** The network of a run, read back before the load. */

import type postgres from "postgres";
import { readApp } from "../apps/app.ts";
import type { RunServices } from "../engine/run_services.ts";
import type { Access } from "../services/database.ts";
import type { NetworkAccount } from "../services/network.ts";
import { PoolscopeError } from "../errors.ts";
import { type Leg, legsOf, type Scenario } from "../scenario.ts";
import type { Server } from "../server_settings.ts";
import type { Deliveries, NetworkInForce } from "../store/manifest.ts";
import { withConsole } from "../telemetry/pgbouncer.ts";
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

const LEGS: Record<Leg["name"], string> = {
  appDb: "app and PostgreSQL",
  appPgbouncer: "app and PgBouncer",
  pgbouncerDb: "PgBouncer and PostgreSQL",
};

/** Reads the network back, with no deliveries yet; fails if a leg is not as the scenario asks. */
export async function verifyNetwork(
  services: RunServices,
  scenario: Scenario,
): Promise<NetworkInForce> {
  const legs: NetworkInForce["legs"] = {};
  const probe = probeRoute(await resolveRoutes(readApp(scenario.framework), services.postgres));
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
    measured = await measureAdded([straight, { ...straight, ...entry }], question, rttMs);
    if (Math.abs(measured - rttMs) <= allowed) return round(measured);
  }
  const added = `${measured.toFixed(2)} ms`;
  throw new PoolscopeError(
    `the network between ${LEGS[name]} adds ${added} to a question, not the ${rttMs} ms asked for`,
  );
}

/**
 * Milliseconds that questions take longer on the second way than on the first, asked in turns. Of the
 * lower quartiles: whatever else the machine does makes some of them longer, and none shorter.
 */
async function measureAdded(ways: Access[], question: string, rttMs: number): Promise<number> {
  const [straight, through] = ways as [Access, Access];
  const measure = async (...consoles: postgres.Sql[]) => {
    const ask = (sql: postgres.Sql) => sql.unsafe(question).simple();
    await Promise.all(consoles.map(ask));
    const count = Math.max(5, Math.min(QUESTIONS, Math.ceil(QUESTIONS_MS / rttMs)));
    const tookMs: number[][] = consoles.map(() => []);
    for (let i = 0; i < count; i++) {
      for (const [way, sql] of consoles.entries()) {
        const begun = performance.now();
        await ask(sql);
        tookMs[way]!.push(performance.now() - begun);
      }
    }
    const [shorter, longer] = tookMs.map((all) =>
      all.toSorted((a, b) => a - b)[Math.floor(count / 4)]!
    );
    return longer! - shorter!;
  };
  return await withConsole(straight, (a) => withConsole(through, (b) => measure(a, b)));
}

/** Protocol and cipher of a leg's connections; null where they are not encrypted. */
async function checkTls(
  services: RunServices,
  { name, tls }: Leg,
  probe: LoadRoute,
): Promise<string | null> {
  const server = name === "appPgbouncer" ? "pgbouncer" : "postgres";
  const kinds = await observe(services, server, probe);
  const wrong = kinds.find((kind) => (kind !== null) !== tls);
  if (wrong !== undefined) {
    const state = wrong === null ? "not encrypted" : `encrypted (${wrong})`;
    throw new PoolscopeError(
      `a connection between ${LEGS[name]} is ${state}, the scenario asks for ${
        tls ? "TLS" : "none"
      }`,
    );
  }
  return kinds[0]!;
}

/** By server: a statement that lists connections, and how a row tells of their encryption. */
const CLIENTS: Record<Server, { statement: string; kind: (row: postgres.Row) => string | null }> = {
  postgres: {
    statement: `select datname as database, version, cipher
      from pg_stat_activity join pg_stat_ssl using (pid) where usename = 'app'`,
    kind: ({ version, cipher }) => version === null ? null : `${version} ${cipher}`,
  },
  pgbouncer: {
    statement: "show clients",
    kind: ({ tls }) => tls === "" ? null : String(tls).replaceAll("/", " "),
  },
};

/** Looks at a server's clients while the app works: its connections may live for one request only. */
async function observe(
  services: RunServices,
  server: Server,
  probe: LoadRoute,
): Promise<(string | null)[]> {
  const { statement, kind } = CLIENTS[server];
  let looking = true;
  const { path, ...request } = firstRequest(probe);
  const work = async () => {
    while (looking) await askApp(services.appUrl + path, request);
  };
  // An app that no longer answers shows as a connection that is not seen.
  const working = work().catch(() => {});
  const look = async (sql: postgres.Sql) => {
    const end = performance.now() + SEEN_TIMEOUT_MS;
    while (performance.now() < end) {
      const rows = await sql.unsafe(statement).simple();
      const own = rows.filter(({ database }) => database === services.postgres.database);
      if (own.length > 0) return own.map(kind);
    }
    return null;
  };
  try {
    const seen = await withConsole(services[server]!, look);
    if (seen !== null) return seen;
  } finally {
    looking = false;
    await working;
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
