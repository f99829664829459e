/**
 * The settings that PostgreSQL and PgBouncer themselves say are in force.
 *
 * @module
 */

import { connect } from "../engine/database.ts";
import type { RunServices } from "../engine/engine.ts";
import type { RunInputs } from "../store/manifest.ts";
import { openConsole } from "../telemetry/pgbouncer.ts";

/**
 * What is another with each start by design, and no input: ports, paths, and PostgreSQL's readiness
 * for TLS, which it keeps from the first run on that asks for it (the manifest's `network` has what a
 * run's connections really do).
 */
const PER_START: Record<string, string[]> = {
  postgres: [
    ...["config_file", "data_directory", "external_pid_file", "hba_file", "ident_file", "port"],
    ...["ssl", "ssl_ca_file", "ssl_cert_file", "ssl_key_file"],
  ],
  pgbouncer: [
    ...["auth_file", "conffile", "listen_addr", "listen_port", "logfile", "pidfile"],
    ...["client_tls_ca_file", "client_tls_cert_file", "client_tls_key_file", "server_tls_ca_file"],
  ],
};

/**
 * Reads the settings of a run's PostgreSQL (`pg_settings`) and PgBouncer (`SHOW CONFIG`) that are not
 * at the default of its version.
 *
 * @param services The run's services.
 * @returns The settings by service; no `pgbouncer` where the path is direct.
 */
export async function readSettings(
  services: Pick<RunServices, "postgres" | "pgbouncer">,
): Promise<NonNullable<RunInputs["settings"]>> {
  const database = connect(services.postgres);
  const pooler = services.pgbouncer && openConsole(services.pgbouncer);
  try {
    const inForce = await database`
      select name, setting from pg_settings
      where source not in ('default', 'client', 'session') order by name`;
    const config = pooler === null ? null : await pooler.unsafe("show config").simple();
    const own = (service: string, pairs: [string, unknown][]) =>
      Object.fromEntries(
        pairs.filter(([name]) => !PER_START[service]!.includes(name))
          .map(([name, value]) => [name, String(value ?? "")]),
      );
    return {
      postgres: own("postgres", inForce.map(({ name, setting }) => [name, setting])),
      ...(config !== null && {
        pgbouncer: own(
          "pgbouncer",
          config.filter((row) => row.value !== row.default).map(({ key, value }) => [key, value]),
        ),
      }),
    };
  } finally {
    await Promise.all([database.end({ timeout: 1 }), pooler?.end({ timeout: 1 })]);
  }
}
