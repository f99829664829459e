/**
 * The one place that maps a scenario to the environment of PostgreSQL, of PgBouncer and of compose/;
 * app_environment.ts does the same for the app.
 *
 * @module
 */

import type { App } from "../apps/app.ts";
import { serverLimits } from "../connections.ts";
import { UsageError } from "../errors.ts";
import { type Leg, legsOf, type Scenario } from "../scenario.ts";
import { settingsOfServer } from "../server_settings.ts";
import { SCENARIO_KEYS, settingOf, settingsFor, type SettingValue } from "../settings.ts";
import { appOptions, appPlacement, sslMode } from "./app_environment.ts";
import { APP_USER, DATABASE } from "./database.ts";
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

/** Where a container finds the certificates that it is given. */
export const CONTAINER_TLS = {
  ca: "/run/poolscope-tls/ca.crt",
  certificate: "/run/poolscope-tls/server.crt",
  key: "/run/poolscope-tls/server.key",
};

/** Where the workers of an app in a container write what their requests spend their time on. */
export const CONTAINER_TIMINGS = "/tmp/poolscope-timings";

/** The ports of the container that stands between the others, by leg. */
export const NETWORK_PORTS: Record<Leg["name"] | "control", number> = {
  control: 7000,
  appDb: 7001,
  appPgbouncer: 7002,
  pgbouncerDb: 7003,
};

/** The address at which a container enters a leg: the service's own where it takes no time. */
function entryOf({ name, rttMs }: Leg): { host: string; port: number } {
  if (rttMs > 0) return { host: "network", port: NETWORK_PORTS[name] };
  return name === "appPgbouncer"
    ? { host: "pgbouncer", port: 6432 }
    : { host: "postgres", port: 5432 };
}

/** What a run's containers are told beside the scenario. */
export interface ComposePlacement {
  nonce: string;
  /** The cores of each service, as in `{ app: "2-3" }`; empty where they share all. */
  cpuSets: Record<string, string>;
}

/** The scenario's settings by the variables of `compose/`; as for Docker itself, 0 is no limit. */
function composeSettings(scenario: Scenario): Record<string, string> {
  return Object.fromEntries(SCENARIO_KEYS.flatMap((key) => {
    const { compose, limit } = settingOf(key)!;
    if (compose === undefined) return [];
    const unit = limit?.resource === "memoryMiB" && scenario[key] !== null ? "M" : "";
    return [[compose, `${scenario[key] ?? 0}${unit}`]];
  }));
}

/** Where the app of an image of the reader's own finds the password file. */
export const CONTAINER_PASSFILE = "/run/poolscope-secrets/pgpass";

/**
 * The service of an app that compose/ does not have, as a compose file beside it.
 *
 * @param app The app.
 * @param scenario The scenario.
 * @param placement As of {@linkcode composeVariables}; and the app's password, for a URL.
 * @param image The app's image.
 */
export function composeApp(
  app: App,
  scenario: Scenario,
  { nonce, cpuSets, password }: ComposePlacement & { password: string },
  image: string,
): { name: string; text: string } {
  const [leg] = legsOf(scenario);
  const { host, port } = entryOf(leg!);
  const { APP_CPUS, APP_MEMORY, LISTEN_BACKLOG } = composeSettings(scenario);
  const service = {
    image,
    environment: {
      ...appOptions(app, scenario),
      ...appPlacement(app, {
        host: "0.0.0.0",
        port: app.containerPort,
        nonce,
        timings: CONTAINER_TIMINGS,
        databaseHost: host,
        databasePort: port,
        databaseName: DATABASE,
        databaseUser: APP_USER,
        databasePassword: password,
        databaseCa: leg!.tls ? CONTAINER_TLS.ca : "",
      }),
      PGPASSFILE: CONTAINER_PASSFILE,
    },
    sysctls: { "net.core.somaxconn": LISTEN_BACKLOG },
    ports: [`127.0.0.1:0:${app.containerPort}`],
    cpuset: cpuSets.app ?? "",
    deploy: { resources: { limits: { cpus: APP_CPUS, memory: APP_MEMORY } } },
  };
  // A dollar sign would begin a variable.
  const text = JSON.stringify({ services: { [app.name]: service } }).replaceAll("$", "$$$$");
  return { name: `the service of ${app.name}`, text };
}

/** The variables of the ports that a compose file publishes on this machine: any free one. */
export function publishedPorts(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/127\.0\.0\.1:\$\{(\w+)/g)].map(([, name]) => [name!, "0"]),
  );
}

/**
 * The values of the variables in `compose/`, all of them but those of building images and the
 * {@linkcode publishedPorts}: no default of a compose file is left to decide anything.
 */
export function composeVariables(
  scenario: Scenario,
  { nonce, cpuSets }: ComposePlacement,
): Record<string, string> {
  const limits = serverLimits(scenario);
  const legs = legsOf(scenario);
  const database = entryOf(legs.at(-1)!);
  const pooler = entryOf(
    legs.find(({ name }) => name === "appPgbouncer") ??
      { name: "appPgbouncer", rttMs: 0, tls: false },
  );
  const onTls = (file: string, tls: boolean) => tls ? file : "";
  return {
    ...composeSettings(scenario),
    // Of the last leg, which leads to PostgreSQL, and of the one that leads to PgBouncer.
    DB_HOST: database.host,
    DB_PORT: String(database.port),
    POOLER_HOST: pooler.host,
    POOLER_PORT: String(pooler.port),
    APP_SSLMODE: sslMode(legs[0]!.tls),
    APP_CA: onTls(CONTAINER_TLS.ca, legs[0]!.tls),
    CLIENT_TLS_SSLMODE: clientTls(scenario),
    SERVER_TLS_SSLMODE: sslMode(scenario.tlsPgbouncerDb),
    TLS_KEY_FILE: onTls(CONTAINER_TLS.key, scenario.tlsAppPgbouncer),
    TLS_CERT_FILE: onTls(CONTAINER_TLS.certificate, scenario.tlsAppPgbouncer),
    TLS_CA_FILE: onTls(
      CONTAINER_TLS.ca,
      scenario.tlsAppPgbouncer || scenario.tlsPgbouncerDb,
    ),
    DB_CPUSET: cpuSets.postgres ?? "",
    MAX_CONNECTIONS: String(limits.max_connections),
    SUPERUSER_RESERVED_CONNECTIONS: String(limits.superuser_reserved_connections),
    PGBOUNCER_CPUSET: cpuSets.pgbouncer ?? "",
    MAX_CLIENT_CONN: String(limits.max_client_conn),
    PGBOUNCER_SETTINGS: iniLines(settingsOfServer(scenario, "pgbouncer")),
    APP_CPUSET: cpuSets.app ?? "",
    NONCE: nonce,
    APP_TIMINGS: CONTAINER_TIMINGS,
    LOCUST_CPUSET: cpuSets.locust ?? "",
    // A check costs the measured services CPU, and one that a busy app answers late has not failed.
    HEALTH_INTERVAL: "10s",
    HEALTH_TIMEOUT: "30s",
    HEALTH_RETRIES: "2",
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
