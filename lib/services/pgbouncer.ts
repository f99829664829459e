/** PgBouncer: what a scenario sets, filled into the templates of `pgbouncer/`, and its start. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { serverLimits } from "../connections.ts";
import { UsageError } from "../errors.ts";
import type { Address, Host, Instance, InstanceOptions } from "../hosts/host.ts";
import type { Scenario } from "../scenario.ts";
import { settingsOfServer } from "../server_settings.ts";
import { settingsFor } from "../settings.ts";
import { sslMode } from "./app.ts";
import { type Access, ADMIN_USER, APP_USER, DATABASE, randomPassword } from "./database.ts";
import { iniLines } from "./settings_text.ts";
import { CERTIFICATE_FILES, certificateFiles, type Certificates } from "./tls.ts";

/** The port on which PgBouncer listens where it is alone. */
export const PGBOUNCER_PORT = 6432;

/** What the templates in `pgbouncer/` are filled with. */
export interface PgbouncerPlacement extends Address {
  databaseHost: string;
  databasePort: number;
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
  const settings = Object.entries(settingsFor(scenario, "pgbouncer"));
  return {
    // Plain clients are let in as well, such as the sampler; what the app does is read back.
    CLIENT_TLS_SSLMODE: scenario.tlsAppPgbouncer ? "allow" : "disable",
    SERVER_TLS_SSLMODE: sslMode(scenario.tlsPgbouncerDb),
    TLS_KEY_FILE: placement.tlsKey,
    TLS_CERT_FILE: placement.tlsCertificate,
    TLS_CA_FILE: placement.tlsCa,
    LISTEN_ADDR: placement.host,
    LISTEN_PORT: String(placement.port),
    DB_HOST: placement.databaseHost,
    DB_PORT: String(placement.databasePort),
    DB_NAME: DATABASE,
    USERLIST: placement.userlist,
    ...Object.fromEntries(settings.map(([name, value]) => [name.toUpperCase(), String(value)])),
    MAX_CLIENT_CONN: String(serverLimits(scenario).max_client_conn),
    PGBOUNCER_SETTINGS: iniLines(settingsOfServer(scenario, "pgbouncer")),
  };
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

/** Room for PgBouncer beside others of a run. */
export function placePgbouncer(
  host: Host,
  place: Omit<InstanceOptions, "service" | "ports">,
): Instance {
  const ports = [PGBOUNCER_PORT];
  return host.place({ ...place, service: "pgbouncer", ports, stopSignal: "QUIT" });
}

/** What a start of PgBouncer needs. */
export interface PgbouncerStart {
  /** The folder of its templates. */
  templates: string;
  /** Where it finds PostgreSQL. */
  database: Address;
  /** The app's login as the server keeps it. */
  appSecret: string;
  /** Null where none of its connections is encrypted. */
  certificates: Certificates | null;
  cores?: string;
}

/**
 * Starts PgBouncer; it is not waited for.
 *
 * @returns The way to its console.
 * @throws {UsageError} If a template has a name without a value.
 */
export async function startPgbouncer(
  instance: Instance,
  scenario: Scenario,
  { templates, database, appSecret, certificates, cores }: PgbouncerStart,
): Promise<Access> {
  const password = randomPassword();
  const fill = (file: string, values: Record<string, string>) =>
    fillTemplate(readFileSync(join(templates, file), "utf8"), values, `pgbouncer/${file}`);
  const tls = (part: keyof Certificates) =>
    certificates === null ? "" : instance.path(CERTIFICATE_FILES[part]);
  const ini = fill(
    "pgbouncer.ini",
    pgbouncerValues(scenario, {
      ...instance.binds(PGBOUNCER_PORT),
      databaseHost: database.host,
      databasePort: database.port,
      userlist: instance.path("userlist.txt"),
      tlsKey: tls("key"),
      tlsCertificate: tls("certificate"),
      tlsCa: tls("ca"),
    }),
  );
  // The server's own secret serves PgBouncer for both logins, and spares it the key derivation that a
  // plain password would cost for every client.
  const users = { APP_USER, APP_SECRET: appSecret, STATS_PASSWORD: password };
  await instance.start({
    args: [instance.path("pgbouncer.ini")],
    files: [
      { name: "pgbouncer.ini", content: ini },
      { name: "userlist.txt", content: fill("userlist.txt", users) },
      ...certificateFiles(certificates),
    ],
    listenBacklog: scenario.listenBacklog,
    cores,
  });
  const address = await instance.address(PGBOUNCER_PORT);
  return { ...address, database: "pgbouncer", username: ADMIN_USER, password };
}
