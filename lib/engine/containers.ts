/**
 * What the container of each service is made of. The Docker engine fills it with a scenario's values,
 * `deno task compose` with variables of Docker Compose.
 *
 * @module
 */

import type { App } from "../apps/app.ts";
import { FRAMEWORKS } from "../plan.ts";
import { type Leg, legsOf, type Scenario } from "../scenario.ts";
import { appOptions, appPlacement } from "./app_environment.ts";
import { APP_USER, DATABASE } from "./database.ts";
import { postgresArguments } from "./server_programs.ts";
import { pgbouncerValues, postgresSettings } from "./services.ts";

/** The ports on which containers listen. */
export const POSTGRES_PORT = 5432;
export const PGBOUNCER_PORT = 6432;

/** The ports of the container that stands between the others, by leg. */
export const NETWORK_PORTS: Record<Leg["name"] | "control", number> = {
  control: 7000,
  appDb: 7001,
  appPgbouncer: 7002,
  pgbouncerDb: 7003,
};

/** Where a container finds the certificates that it is given. */
export const CONTAINER_TLS = {
  ca: "/run/poolscope-tls/ca.crt",
  certificate: "/run/poolscope-tls/server.crt",
  key: "/run/poolscope-tls/server.key",
};

/** Where the workers of an app in a container write what their requests spend their time on. */
export const CONTAINER_TIMINGS = "/tmp/poolscope-timings";

/** Where the app of an image of the reader's own finds the password file. */
export const CONTAINER_PASSFILE = "/run/poolscope-secrets/pgpass";

/** A container of one service; limits and cores are put in force by whoever starts it. */
export interface ContainerSpec {
  /** The name by which the other containers reach it. */
  name: string;
  /** Its command. @default that of the image */
  command?: string[];
  environment: Record<string, string>;
  /** The passwords that it finds below `/run/secrets/`. */
  secrets: string[];
  /** Listeners may have a queue of this length. */
  listenBacklog: string;
  port: number;
  /** A program that succeeds as long as the container works. @default that of the image */
  check?: string[];
  /** Whether it takes minutes until the check succeeds, as when it builds a data folder. */
  startsSlowly?: true;
}

/** PostgreSQL with these settings. */
export function postgresContainer(
  settings: Record<string, string>,
  listenBacklog: string,
): ContainerSpec {
  return {
    name: "postgres",
    command: ["postgres", ...postgresArguments(settings)],
    environment: {
      POSTGRES_USER: "poolscope",
      POSTGRES_PASSWORD_FILE: "/run/secrets/admin_password",
      POSTGRES_DB: "postgres",
      POSTGRES_INITDB_ARGS: "--encoding=UTF8 --locale=C",
    },
    secrets: ["admin_password", "app_password"],
    listenBacklog,
    port: POSTGRES_PORT,
    // Over TCP: while the database is being built, the server listens on its socket file only.
    check: ["pg_isready", "-q", "-h", "127.0.0.1", "-U", "poolscope", "-d", DATABASE],
    startsSlowly: true,
  };
}

/** PgBouncer, whose template is filled with these values. */
export function pgbouncerContainer(
  { USERLIST: _, ...values }: Record<string, string>,
  listenBacklog: string,
): ContainerSpec {
  return {
    name: "pgbouncer",
    environment: { ...values, APP_USER },
    secrets: ["admin_password", "app_password"],
    listenBacklog,
    port: PGBOUNCER_PORT,
    check: `pg_isready -q -h 127.0.0.1 -p ${PGBOUNCER_PORT} -U ${APP_USER} -d ${DATABASE}`.split(
      " ",
    ),
  };
}

/** An app. The images of our own apps write the password file themselves, of a secret. */
export function appContainer(
  app: App,
  appEnvironment: Record<string, string>,
  listenBacklog: string,
): ContainerSpec {
  const { name, containerPort: port } = app;
  const isOurs = FRAMEWORKS.some((framework) => framework === name);
  const environment = isOurs
    ? appEnvironment
    : { ...appEnvironment, PGPASSFILE: CONTAINER_PASSFILE };
  if (!isOurs) return { name, environment, secrets: [], listenBacklog, port };
  const url = `http://127.0.0.1:${port}${app.healthPath}`;
  const check = ["python", "-c", `import urllib.request; urllib.request.urlopen("${url}")`];
  return { name, environment, secrets: ["app_password"], listenBacklog, port, check };
}

/** The address at which a container enters a leg: the service's own where it takes no time. */
function entryOf({ name, rttMs }: Leg): { host: string; port: number } {
  if (rttMs > 0) return { host: "network", port: NETWORK_PORTS[name] };
  return name === "appPgbouncer"
    ? { host: "pgbouncer", port: PGBOUNCER_PORT }
    : { host: "postgres", port: POSTGRES_PORT };
}

/** What a run's containers are told beside the scenario. */
export interface ContainerPlacement {
  nonce: string;
  /** The app's password, for an app that wants it in a URL. */
  password: string;
}

/** The containers of a scenario that its settings decide on. */
export type ScenarioContainers = Record<"postgres" | "pgbouncer" | "app", ContainerSpec>;

/** The containers of a scenario. */
export function containersOf(
  app: App,
  scenario: Scenario,
  { nonce, password }: ContainerPlacement,
): ScenarioContainers {
  const listenBacklog = String(scenario.listenBacklog);
  const legs = legsOf(scenario);
  const [first, last] = [legs[0]!, legs.at(-1)!];
  const { tlsAppPgbouncer, tlsPgbouncerDb } = scenario;
  const entry = entryOf(first);
  const environment = {
    ...appOptions(app, scenario),
    ...appPlacement(app, {
      host: "0.0.0.0",
      port: app.containerPort,
      nonce,
      timings: CONTAINER_TIMINGS,
      databaseHost: entry.host,
      databasePort: entry.port,
      databaseName: DATABASE,
      databaseUser: APP_USER,
      databasePassword: password,
      databaseCa: first.tls ? CONTAINER_TLS.ca : "",
    }),
  };
  const database = entryOf(last);
  const values = pgbouncerValues(scenario, {
    host: "0.0.0.0",
    port: PGBOUNCER_PORT,
    databaseHost: database.host,
    databasePort: database.port,
    databaseName: DATABASE,
    userlist: "",
    tlsKey: tlsAppPgbouncer ? CONTAINER_TLS.key : "",
    tlsCertificate: tlsAppPgbouncer ? CONTAINER_TLS.certificate : "",
    tlsCa: tlsAppPgbouncer || tlsPgbouncerDb ? CONTAINER_TLS.ca : "",
  });
  return {
    postgres: postgresContainer(postgresSettings(scenario), listenBacklog),
    pgbouncer: pgbouncerContainer(values, listenBacklog),
    app: appContainer(app, environment, listenBacklog),
  };
}

/** Docker's create request for a container, as far as Poolscope uses it. */
export interface CreateBody {
  Image: string;
  Cmd?: string[];
  Entrypoint?: string[];
  Env: string[];
  Labels: Record<string, string>;
  ExposedPorts: Record<string, Record<never, never>>;
  Healthcheck?: {
    Test: string[];
    Interval: number;
    Timeout: number;
    StartPeriod?: number;
    Retries: number;
  };
  HostConfig: {
    PortBindings: Record<string, { HostIp: string; HostPort: string }[]>;
    CpusetCpus?: string;
    Sysctls?: Record<string, string>;
    Ulimits: { Name: string; Soft: number; Hard: number }[];
    LogConfig?: { Type: string; Config: Record<string, string> };
  };
}

/** In nanoseconds, as Docker takes times. */
const SECOND = 1e9;

/** Listening ports, published on this machine's loopback where the daemon is here. */
export function listening(ports: readonly number[], published: boolean) {
  const keys = ports.map((port) => `${port}/tcp`);
  return {
    ExposedPorts: Object.fromEntries(keys.map((key) => [key, {}])),
    PortBindings: published
      ? Object.fromEntries(keys.map((key) => [key, [{ HostIp: "127.0.0.1", HostPort: "" }]]))
      : {},
  };
}

/** The create request of a container that runs one program, with no port and no check. */
export function toolBody(
  image: string,
  argv: readonly string[],
  env: Record<string, string> = {},
  cpuset = "",
): CreateBody {
  return {
    Image: image,
    Entrypoint: [...argv],
    Cmd: [],
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    Labels: {},
    ExposedPorts: {},
    HostConfig: {
      PortBindings: {},
      Ulimits: [],
      ...(cpuset !== "" && { CpusetCpus: cpuset }),
    },
  };
}

/**
 * The create request of a container, without limits, which are put in force later.
 *
 * @param image The image's id: the very one whose digest the manifest has.
 * @param cpuset The cores that it runs on, as in `0-1`; empty for all.
 * @param published Whether its port is published on this machine.
 */
export function createBody(
  spec: ContainerSpec,
  image: string,
  cpuset: string,
  published: boolean,
): CreateBody {
  const { ExposedPorts, PortBindings } = listening([spec.port], published);
  return {
    Image: image,
    ...(spec.command && { Cmd: spec.command }),
    Env: Object.entries(spec.environment).map(([name, value]) => `${name}=${value}`),
    Labels: {},
    ExposedPorts,
    // A check costs the measured services CPU, and one that a busy app answers late has not failed.
    ...(spec.check && {
      Healthcheck: {
        Test: ["CMD", ...spec.check],
        Interval: 10 * SECOND,
        Timeout: 30 * SECOND,
        ...(spec.startsSlowly && { StartPeriod: 120 * SECOND }),
        Retries: 2,
      },
    }),
    HostConfig: {
      PortBindings,
      ...(cpuset !== "" && { CpusetCpus: cpuset }),
      Sysctls: { "net.core.somaxconn": spec.listenBacklog },
      Ulimits: [],
    },
  };
}
