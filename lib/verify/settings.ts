/** The settings that PostgreSQL and PgBouncer themselves say are in force. */

import { withConnection } from "../services/database.ts";
import type { RunServices } from "../engine/run_services.ts";
import { PoolscopeError } from "../errors.ts";
import { didYouMean } from "../nearest.ts";
import type { Scenario } from "../scenario.ts";
import { type Server, SERVERS, settingsOfServer } from "../server_settings.ts";
import type { RunInputs } from "../store/manifest.ts";
import { withConsole } from "../telemetry/pgbouncer.ts";

/**
 * What is another with each start by design: ports, paths, and PostgreSQL's readiness for TLS, which
 * it keeps from the first run on that asks for it.
 */
const PER_START: Record<Server, string> = {
  postgres: "config_file data_directory external_pid_file hba_file ident_file port " +
    "ssl ssl_ca_file ssl_cert_file ssl_key_file",
  pgbouncer: "auth_file conffile listen_addr listen_port logfile pidfile client_tls_ca_file " +
    "client_tls_cert_file client_tls_key_file server_tls_ca_file",
};

interface InForce {
  name: string;
  value: string;
  changed: boolean;
  /** Where it comes from, as PostgreSQL says; PgBouncer tells nothing of it. */
  source?: string;
}

/**
 * Reads the settings of a run's PostgreSQL (`pg_settings`) and PgBouncer (`SHOW CONFIG`) that are not
 * at the default of its version, or that the scenario gives by their own names; fails if one of these
 * is not in force.
 */
export async function readSettings(
  services: Pick<RunServices, "postgres" | "pgbouncer">,
  scenario: Scenario,
): Promise<NonNullable<RunInputs["settings"]>> {
  const rows = await withConnection(
    services.postgres,
    (sql) => sql`select name, setting, source from pg_settings order by name`,
  );
  const postgres = rows.map(({ name, setting, source }) => ({
    name,
    value: setting,
    changed: !["default", "client", "session"].includes(source),
    source,
  }));
  const inForce = { postgres: notable("postgres", postgres, scenario) };
  if (services.pgbouncer === null) return inForce;
  const config = await withConsole(
    services.pgbouncer,
    (sql) => sql.unsafe("show config").simple(),
  );
  const pgbouncer = config.map(({ key, value, default: preset }) => ({
    name: key,
    value,
    changed: value !== preset,
  }));
  return { ...inForce, pgbouncer: notable("pgbouncer", pgbouncer, scenario) };
}

/** What is no default, and what was asked for, once that is seen to be in force. */
function notable(
  server: Server,
  settings: readonly InForce[],
  scenario: Scenario,
): Record<string, string> {
  const asked = settingsOfServer(scenario, server);
  for (const [name, value] of Object.entries(asked)) {
    const fault = findFault(server, name, value, settings);
    if (fault !== null) throw new PoolscopeError(`Cannot set ${server}.${name}: ${fault}`);
  }
  const ofStart = PER_START[server].split(" ");
  return Object.fromEntries(
    settings.filter(({ name, changed }) =>
      !ofStart.includes(name) && (changed || Object.hasOwn(asked, name))
    ).map(({ name, value }) => [name, String(value ?? "")]),
  );
}

/** Why a setting that was asked for is not in force; null where it is. */
function findFault(
  server: Server,
  name: string,
  asked: string,
  settings: readonly InForce[],
): string | null {
  // PostgreSQL's own names are in small letters here, whatever it shows.
  const setting = settings.find((one) => one.name.toLowerCase() === name);
  if (setting === undefined) {
    const known = settings.map((one) => one.name);
    return `${SERVERS[server]} has no such setting${didYouMean(name, known)}`;
  }
  const { value, source } = setting;
  const differs = `${asked} was asked for, but ${value} is in force`;
  // PostgreSQL tells the value in a unit of its own, so that where it comes from has to do.
  if (source !== undefined) return source === "command line" ? null : `${differs}, by ${source}`;
  return plain(value) === plain(asked) ? null : differs;
}

/** A value of PgBouncer's without what makes no difference: case, and how a number is written. */
function plain(value: string): string {
  const text = String(value ?? "").toLowerCase();
  return text !== "" && Number.isFinite(Number(text)) ? String(Number(text)) : text;
}
