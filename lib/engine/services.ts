/**
 * The one place that maps a scenario to the environment of each service. Names of an app's
 * settings come from its `app.json`; everything else about an app is its own business.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { serverLimits } from "../connections.ts";
import { UsageError } from "../errors.ts";
import {
  armName,
  type Framework,
  type Leg,
  legsOf,
  type Reuse,
  REUSES,
  type Scenario,
} from "../scenario.ts";
import { ROOT } from "../store/layout.ts";

/** The scenario's fields and the run's values that an app is told. */
export const APP_SETTINGS = [
  "workers",
  "threads",
  "poolSize",
  "reuse",
  "preparedStatements",
  "listenBacklog",
  "appDelayMs",
  "host",
  "port",
  "nonce",
  "timings",
  "databaseHost",
  "databasePort",
  "databaseName",
  "databaseUser",
  "databaseTls",
  "databaseCa",
] as const;

/** One of {@linkcode APP_SETTINGS}. */
export type AppSetting = typeof APP_SETTINGS[number];

/** An app's own description, `apps/<name>_app/app.json`. */
export interface AppDefinition {
  /** The framework's name in scenarios. */
  name: Framework;
  /** The framework's name for people. */
  title: string;
  /** Driver, ORM and server, in one line. */
  stack: string;
  /** Program and arguments, the same for every scenario. */
  command: string[];
  /** The path that answers without the database. */
  healthPath: string;
  /** How this app can keep its connections. */
  reuse: Reuse[];
  /** The environment variable and default of each setting; an app has `threads` or it has none. */
  settings:
    & Record<Exclude<AppSetting, "threads">, Setting>
    & Partial<Record<"threads", Setting>>;
}

interface Setting {
  env: string;
  default: string | number | boolean;
}

/** The folder of an app. */
export function appFolder(framework: Framework, root: string = ROOT): string {
  return join(root, "apps", `${framework}_app`);
}

/**
 * Reads and checks an app's description.
 *
 * @throws {UsageError} If the file is missing, is not JSON, or lacks a field; the message names
 * file and field.
 */
export function readApp(framework: Framework, root: string = ROOT): AppDefinition {
  const file = `apps/${framework}_app/app.json`;
  let text: string;
  try {
    text = readFileSync(join(root, file), "utf8");
  } catch (error) {
    throw new UsageError(
      `Cannot read ${file}: ${(error as NodeJS.ErrnoException).code}; restore the file`,
    );
  }
  return parseApp(text, file, framework);
}

/**
 * Checks the text of an `app.json`.
 *
 * @throws {UsageError} Naming the file and the field.
 */
export function parseApp(text: string, file: string, framework: Framework): AppDefinition {
  const fail = (what: string): never => {
    throw new UsageError(`Cannot read ${file}: ${what}`);
  };
  let app: AppDefinition;
  try {
    app = JSON.parse(text);
  } catch (error) {
    return fail(`it is not JSON (${(error as Error).message})`);
  }
  if (typeof app !== "object" || app === null) return fail("it is not an object");
  const isText = (value: unknown) => typeof value === "string" && value.length > 0;
  if (app.name !== framework) fail(`"name" is ${JSON.stringify(app.name)}, must be "${framework}"`);
  if (!isText(app.title)) fail(`"title" must be a text`);
  if (!isText(app.stack)) fail(`"stack" must be a text`);
  if (!Array.isArray(app.command) || app.command.length === 0 || !app.command.every(isText)) {
    fail(`"command" must be a list of texts`);
  }
  if (!isText(app.healthPath) || !app.healthPath.startsWith("/")) {
    fail(`"healthPath" must be a path that starts with /`);
  }
  if (!Array.isArray(app.reuse) || !app.reuse.every((value) => REUSES.includes(value))) {
    fail(`"reuse" must be a list of ${REUSES.join(", ")}`);
  }
  for (const setting of APP_SETTINGS) {
    const optional = setting === "threads" && app.settings?.threads === undefined;
    if (!optional && !isText(app.settings?.[setting]?.env)) {
      fail(`"settings.${setting}.env" must be a text`);
    }
  }
  return app;
}

/** Where a run's app listens and which database it is sent to. */
export type AppPlacement = {
  host: string;
  port: number;
  nonce: string;
  /** The folder that receives what requests spend their time on. */
  timings: string;
  databaseHost: string;
  databasePort: number;
  databaseName: string;
  databaseUser: string;
  /** The file of the authority that the database's certificate is held against; "" without TLS. */
  databaseCa: string;
};

/**
 * What the scenario says to an app, by the names of its environment variables: its driver options.
 *
 * @throws {UsageError} If the app cannot keep connections in the way that the scenario asks for, or
 * would lose its prepared statements.
 */
export function appOptions(app: AppDefinition, scenario: Scenario): Record<string, string> {
  if (!app.reuse.includes(scenario.reuse)) {
    throw new UsageError(
      `Cannot run ${app.title} with reuse "${scenario.reuse}": it supports ${app.reuse.join(", ")}`,
    );
  }
  checkPrepared(scenario);
  const { workers, threads, poolSize, reuse, preparedStatements } = scenario;
  const { listenBacklog, appDelayMs } = scenario;
  const databaseTls = sslMode(legsOf(scenario)[0]!.tls);
  return named(app, {
    ...{ workers, threads, poolSize, reuse, preparedStatements, listenBacklog, appDelayMs },
    databaseTls,
  });
}

/** A server connection that clients share by turns has the statements of them all, unless followed. */
function checkPrepared(scenario: Scenario): void {
  const { path, poolMode, preparedStatements, maxPreparedStatements } = scenario;
  if (path === "direct" || poolMode === "session") return;
  if (preparedStatements && maxPreparedStatements === 0) {
    throw new UsageError(
      `Cannot run ${
        armName(scenario)
      } with maxPreparedStatements 0 in pool_mode ${poolMode}: clients would lose their prepared statements to each other; set maxPreparedStatements=200, poolMode=session or preparedStatements=false`,
    );
  }
}

/** Where an app finds its port and its database, by the names of its environment variables. */
export function appPlacement(app: AppDefinition, placement: AppPlacement): Record<string, string> {
  return named(app, placement);
}

/** Who encrypts also makes sure of whom it speaks to: certificate and host name are checked. */
function sslMode(tls: boolean): "verify-full" | "disable" {
  return tls ? "verify-full" : "disable";
}

/** Plain clients are let in as well, such as the sampler; what the app does is read back. */
function clientTls({ tlsAppPgbouncer }: Scenario): "allow" | "disable" {
  return tlsAppPgbouncer ? "allow" : "disable";
}

function named(
  app: AppDefinition,
  values: Partial<Record<AppSetting, string | number | boolean>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([setting, value]) => {
      const env = app.settings[setting as AppSetting]?.env;
      return env === undefined ? [] : [[env, String(value)]];
    }),
  );
}

/** PostgreSQL's settings that differ from its own defaults, as `-c` takes them. */
export function postgresSettings(scenario: Scenario): Record<string, string> {
  const { max_connections, superuser_reserved_connections } = serverLimits(scenario);
  return {
    max_connections: String(max_connections),
    superuser_reserved_connections: String(superuser_reserved_connections),
    // Times go out in UTC whatever the machine's zone, so that every framework sends the same text.
    timezone: "UTC",
    log_timezone: "UTC",
    password_encryption: "scram-sha-256",
    scram_iterations: String(scenario.scramIterations),
    // Counts statements for the samplers; what it costs is the same for every arm.
    shared_preload_libraries: "pg_stat_statements",
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
    LISTEN_BACKLOG: String(scenario.listenBacklog),
    DB_HOST: placement.databaseHost,
    DB_PORT: String(placement.databasePort),
    DB_NAME: placement.databaseName,
    USERLIST: placement.userlist,
    POOL_MODE: scenario.poolMode,
    DEFAULT_POOL_SIZE: String(scenario.defaultPoolSize),
    MAX_CLIENT_CONN: String(serverLimits(scenario).max_client_conn),
    QUERY_WAIT_TIMEOUT: String(scenario.queryWaitTimeoutS),
    MAX_PREPARED_STATEMENTS: String(scenario.maxPreparedStatements),
  };
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
  ...{ control: 7000, appDb: 7001, appPgbouncer: 7002, pgbouncerDb: 7003 },
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

/**
 * The values of the variables in `compose/`, all of them but those of building images: no default
 * of a compose file is left to decide anything.
 */
export function composeVariables(
  scenario: Scenario,
  { nonce, cpuSets }: ComposePlacement,
): Record<string, string> {
  // As for Docker itself, 0 is no limit.
  const cpus = (value: number | null) => String(value ?? 0);
  const memory = (value: number | null) => value === null ? "0" : `${value}M`;
  const limits = serverLimits(scenario);
  const legs = legsOf(scenario);
  const database = entryOf(legs.at(-1)!);
  const pooler = entryOf(
    legs.find(({ name }) => name === "appPgbouncer") ??
      { name: "appPgbouncer", rttMs: 0, tls: false },
  );
  const onTls = (file: string, tls: boolean) => tls ? file : "";
  return {
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
    DB_CPUS: cpus(scenario.dbCpus),
    DB_MEMORY: memory(scenario.dbMemoryMiB),
    DB_CPUSET: cpuSets.postgres ?? "",
    MAX_CONNECTIONS: String(limits.max_connections),
    SUPERUSER_RESERVED_CONNECTIONS: String(limits.superuser_reserved_connections),
    SCRAM_ITERATIONS: String(scenario.scramIterations),
    PGBOUNCER_CPUS: cpus(scenario.pgbouncerCpus),
    PGBOUNCER_MEMORY: memory(scenario.pgbouncerMemoryMiB),
    PGBOUNCER_CPUSET: cpuSets.pgbouncer ?? "",
    POOL_MODE: scenario.poolMode,
    DEFAULT_POOL_SIZE: String(scenario.defaultPoolSize),
    MAX_CLIENT_CONN: String(limits.max_client_conn),
    QUERY_WAIT_TIMEOUT: String(scenario.queryWaitTimeoutS),
    MAX_PREPARED_STATEMENTS: String(scenario.maxPreparedStatements),
    APP_CPUS: cpus(scenario.appCpus),
    APP_MEMORY: memory(scenario.appMemoryMiB),
    APP_CPUSET: cpuSets.app ?? "",
    WORKERS: String(scenario.workers),
    THREADS: String(scenario.threads),
    POOL_SIZE: String(scenario.poolSize),
    REUSE: scenario.reuse,
    PREPARED_STATEMENTS: String(scenario.preparedStatements),
    APP_DELAY_MS: String(scenario.appDelayMs),
    NONCE: nonce,
    APP_TIMINGS: CONTAINER_TIMINGS,
    LISTEN_BACKLOG: String(scenario.listenBacklog),
    LOCUST_CPUSET: cpuSets.locust ?? "",
    // Any free one.
    ...Object.fromEntries(
      ["POSTGRES", "PGBOUNCER", "FASTAPI", "DJANGO", "FLASK", "LOCUST"].map((name) => [
        `${name}_PORT`,
        "0",
      ]),
    ),
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
