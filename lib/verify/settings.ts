/**
 * The settings that PostgreSQL and PgBouncer themselves say are in force.
 *
 * @module
 */

import { connect } from "../engine/database.ts";
import type { RunServices } from "../engine/engine.ts";
import { PoolscopeError } from "../errors.ts";
import { didYouMean } from "../nearest.ts";
import type { Scenario } from "../scenario.ts";
import { type Server, SERVERS, settingsOfServer } from "../server_settings.ts";
import type { RunInputs } from "../store/manifest.ts";
import { openConsole } from "../telemetry/pgbouncer.ts";

/**
 * What is another with each start by design, and no input: ports, paths, and PostgreSQL's readiness
 * for TLS, which it keeps from the first run on that asks for it (the manifest's `network` has what a
 * run's connections really do).
 */
const PER_START: Record<string, string[]> = {
  postgres: [
    "config_file",
    "data_directory",
    "external_pid_file",
    "hba_file",
    "ident_file",
    "port",
    "ssl",
    "ssl_ca_file",
    "ssl_cert_file",
    "ssl_key_file",
  ],
  pgbouncer: [
    "auth_file",
    "conffile",
    "listen_addr",
    "listen_port",
    "logfile",
    "pidfile",
    "client_tls_ca_file",
    "client_tls_cert_file",
    "client_tls_key_file",
    "server_tls_ca_file",
  ],
};

/** A setting as a server tells it. */
interface InForce {
  value: string;
  /** Whether it is not at the default of its version. */
  changed: boolean;
  /** Where it comes from, as PostgreSQL says; PgBouncer tells nothing of it. */
  source?: string;
}

/**
 * Reads the settings of a run's PostgreSQL (`pg_settings`) and PgBouncer (`SHOW CONFIG`) that are not
 * at the default of its version, or that the scenario gives by their own names.
 *
 * @param services The run's services.
 * @param scenario What was asked for.
 * @returns The settings by service; no `pgbouncer` where the path is direct.
 * @throws {PoolscopeError} If one that was asked for is not in force.
 */
export async function readSettings(
  services: Pick<RunServices, "postgres" | "pgbouncer">,
  scenario: Scenario,
): Promise<NonNullable<RunInputs["settings"]>> {
  const database = connect(services.postgres);
  const pooler = services.pgbouncer && openConsole(services.pgbouncer);
  try {
    const rows = await database`select name, setting, source from pg_settings order by name`;
    const postgres = new Map(rows.map(({ name, setting, source }): [string, InForce] => [
      name,
      { value: setting, changed: !["default", "client", "session"].includes(source), source },
    ]));
    const inForce = { postgres: notable("postgres", postgres, scenario) };
    if (pooler === null) return inForce;
    const config = await pooler.unsafe("show config").simple();
    const pgbouncer = new Map(config.map((row): [string, InForce] => [
      row.key,
      { value: row.value, changed: row.value !== row.default },
    ]));
    return { ...inForce, pgbouncer: notable("pgbouncer", pgbouncer, scenario) };
  } finally {
    await Promise.all([database.end({ timeout: 1 }), pooler?.end({ timeout: 1 })]);
  }
}

/** What is no default, and what was asked for, once that is seen to be in force. */
function notable(
  server: Server,
  settings: Map<string, InForce>,
  scenario: Scenario,
): Record<string, string> {
  const asked = settingsOfServer(scenario, server);
  for (const [name, value] of Object.entries(asked)) {
    checkInForce(server, name, value, settings);
  }
  return Object.fromEntries(
    [...settings].filter(([name, { changed }]) =>
      !PER_START[server]!.includes(name) && (changed || Object.hasOwn(asked, name))
    ).map(([name, { value }]) => [name, String(value ?? "")]),
  );
}

function checkInForce(
  server: Server,
  name: string,
  asked: string,
  settings: Map<string, InForce>,
): void {
  const fail = (why: string) => {
    throw new PoolscopeError(`Cannot set ${server}.${name}: ${why}`);
  };
  const known = [...settings.keys()];
  // PostgreSQL's own names are in small letters here, whatever it shows.
  const theirs = known.find((one) => one.toLowerCase() === name);
  if (theirs === undefined) {
    return fail(`${SERVERS[server]} has no such setting${didYouMean(name, known)}`);
  }
  const { value, source } = settings.get(theirs)!;
  if (source !== undefined && source !== "command line") {
    fail(`${asked} was asked for, but ${value} is in force, by ${source}`);
  }
  // PostgreSQL tells the value in a unit of its own, so that where it comes from has to do.
  if (source === undefined && plain(value) !== plain(asked)) {
    fail(`${asked} was asked for, but ${value} is in force`);
  }
}

/** A value of PgBouncer's without what makes no difference: case, and how a number is written. */
function plain(value: string): string {
  const text = String(value ?? "").toLowerCase();
  return text !== "" && Number.isFinite(Number(text)) ? String(Number(text)) : text;
}
