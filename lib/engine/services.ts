/**
 * The one place that maps a scenario to the settings of PostgreSQL and of PgBouncer;
 * app_environment.ts does the same for the app.
 *
 * @module
 */

import { serverLimits } from "../connections.ts";
import { UsageError } from "../errors.ts";
import type { Scenario } from "../scenario.ts";
import { settingsOfServer } from "../server_settings.ts";
import { settingsFor, type SettingValue } from "../settings.ts";
import { sslMode } from "./app_environment.ts";
import { iniLines } from "./server_programs.ts";

/** Plain clients are let in as well, such as the sampler; what the app does is read back. */
function clientTls({ tlsAppPgbouncer }: Scenario): "allow" | "disable" {
  return tlsAppPgbouncer ? "allow" : "disable";
}

/** PostgreSQL's settings that differ from its own defaults, as `-c` takes them. */
export function postgresSettings(scenario: Scenario): Record<string, string> {
  const { max_connections, superuser_reserved_connections } = serverLimits(scenario);
  return {
    ...texts(settingsFor(scenario, "postgres")),
    max_connections: String(max_connections),
    superuser_reserved_connections: String(superuser_reserved_connections),
    // Times go out in UTC whatever the machine's zone, so that every framework sends the same text.
    timezone: "UTC",
    log_timezone: "UTC",
    password_encryption: "scram-sha-256",
    // Counts statements for the samplers; what it costs is the same for every arm.
    shared_preload_libraries: "pg_stat_statements",
    ...settingsOfServer(scenario, "postgres"),
  };
}

/** What the templates in `pgbouncer/` are filled with. */
export interface PgbouncerPlacement {
  host: string;
  port: number;
  databaseHost: string;
  databasePort: number;
  databaseName: string;
  userlist: string;
  /** PgBouncer's key and certificate, and the authority of PostgreSQL's; "" where TLS is off. */
  tlsKey: string;
  tlsCertificate: string;
  tlsCa: string;
}

/** The values of the placeholders in `pgbouncer/pgbouncer.ini`. */
export function pgbouncerValues(
  scenario: Scenario,
  placement: PgbouncerPlacement,
): Record<string, string> {
  return {
    CLIENT_TLS_SSLMODE: clientTls(scenario),
    SERVER_TLS_SSLMODE: sslMode(scenario.tlsPgbouncerDb),
    TLS_KEY_FILE: placement.tlsKey,
    TLS_CERT_FILE: placement.tlsCertificate,
    TLS_CA_FILE: placement.tlsCa,
    LISTEN_ADDR: placement.host,
    LISTEN_PORT: String(placement.port),
    DB_HOST: placement.databaseHost,
    DB_PORT: String(placement.databasePort),
    DB_NAME: placement.databaseName,
    USERLIST: placement.userlist,
    ...inCapitals(settingsFor(scenario, "pgbouncer")),
    MAX_CLIENT_CONN: String(serverLimits(scenario).max_client_conn),
    PGBOUNCER_SETTINGS: iniLines(settingsOfServer(scenario, "pgbouncer")),
  };
}

function texts(values: Record<string, SettingValue>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
}

function inCapitals(values: Record<string, SettingValue>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts(values)).map(([name, value]) => [name.toUpperCase(), value]),
  );
}

/**
 * Fills in `${NAME}`.
 *
 * @throws {UsageError} If a name in the text has no value.
 */
export function fillTemplate(text: string, values: Record<string, string>, file: string): string {
  return text.replace(/\$\{([A-Z_]+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) {
      throw new UsageError(`Cannot fill ${file}: there is no value for \${${name}}`);
    }
    return value;
  });
}
