/**
 * The files of `compose/`: the services of a study for plain Docker Compose, with a variable for
 * whatever a scenario decides. `deno task compose` writes them.
 */

import { relative } from "node:path";
import { stringify } from "yaml";
import { type App, APP_KEYS, appDefaults, readApp } from "../apps/app.ts";
import { FRAMEWORKS } from "../plan.ts";
import { createScenario } from "../scenario.ts";
import { SCENARIO_KEYS, settingOf } from "../settings.ts";
import { appPlacement } from "./app.ts";
import { SECRETS } from "./compose_secrets.ts";
import { ADMIN_USER, APP_USER, DATABASE } from "./database.ts";
import { BASES, imagesOf } from "./images.ts";
import { PGBOUNCER_PORT, pgbouncerValues } from "./pgbouncer.ts";
import { POSTGRES_PORT, postgresSettings } from "./postgres.ts";
import { postgresArguments } from "./settings_text.ts";

const APPS = FRAMEWORKS.map((name) => readApp(name));

/** What some variables of `.env` are for, and their values where none is given. */
type Section = [about: string[], variables: Record<string, string>];

/** Variables of settings, with the settings' defaults as Docker takes them: 0 is no limit. */
function ofSettings(...variables: string[]): Record<string, string> {
  return Object.fromEntries(variables.map((variable) => {
    const key = SCENARIO_KEYS.find((name) => settingOf(name)!.compose === variable)!;
    const setting = settingOf(key)!;
    // Where each app decides, the largest; how connections are kept, each app's own.
    const byApp = APPS.map((app) => appDefaults(app)[key as "threads"]).filter(Number);
    const value = key === "reuse"
      ? ""
      : setting.default ?? (byApp.length > 0 ? Math.max(...byApp) : 0);
    const unit = setting.limit?.resource === "memoryMiB" && value !== 0 ? "M" : "";
    return [variable, `${value}${unit}`];
  }));
}

function portVariable(service: string): string {
  return `${service.toUpperCase()}_PORT`;
}

const SECTIONS: Section[] = [
  [[
    "Images that ours are built on. `deno task images --offline` makes stand-ins where no registry is",
    "reachable: poolscope/offline-postgres:16, poolscope/offline-python:3.13, poolscope/offline-debian:13.",
  ], BASES],
  [["The tag of ours."], { POOLSCOPE_TAG: "latest" }],
  [["Limits: CPUs and memory, 0 for none; CPU sets such as 0-1, empty for all."], {
    ...ofSettings("DB_CPUS", "DB_MEMORY"),
    DB_CPUSET: "",
    ...ofSettings("PGBOUNCER_CPUS", "PGBOUNCER_MEMORY"),
    PGBOUNCER_CPUSET: "",
    ...ofSettings("APP_CPUS", "APP_MEMORY"),
    APP_CPUSET: "",
    LOCUST_CPUSET: "",
  }],
  [["PostgreSQL."], {
    ...ofSettings("MAX_CONNECTIONS"),
    SUPERUSER_RESERVED_CONNECTIONS: "3",
    ...ofSettings("SCRAM_ITERATIONS"),
  }],
  [
    ["PgBouncer, by its own names; seconds for the timeout."],
    ofSettings(
      ...["POOL_MODE", "DEFAULT_POOL_SIZE", "MAX_CLIENT_CONN", "QUERY_WAIT_TIMEOUT"],
      "MAX_PREPARED_STATEMENTS",
    ),
  ],
  [
    ['Further lines of its configuration, as in "reserve_pool_size = 5\\nserver_lifetime = 60".'],
    { PGBOUNCER_SETTINGS: "" },
  ],
  [["Where PostgreSQL and PgBouncer are found."], {
    DB_HOST: "postgres",
    DB_PORT: String(POSTGRES_PORT),
    POOLER_HOST: "pgbouncer",
    POOLER_PORT: String(PGBOUNCER_PORT),
  }],
  [
    ["TLS: libpq's and PgBouncer's names of modes, and files in the containers of app and PgBouncer."],
    {
      APP_SSLMODE: "disable",
      APP_CA: "",
      CLIENT_TLS_SSLMODE: "disable",
      SERVER_TLS_SSLMODE: "disable",
      TLS_KEY_FILE: "",
      TLS_CERT_FILE: "",
      TLS_CA_FILE: "",
    },
  ],
  [
    ["The apps: worker processes, threads of each, connections of each at most."],
    ofSettings("WORKERS", "THREADS", "POOL_SIZE"),
  ],
  [
    ["How connections are kept: app_pool, per_request, persistent; empty is each app's own default."],
    ofSettings("REUSE", "PREPARED_STATEMENTS", "LIVENESS_CHECK"),
  ],
  [
    [
      "Milliseconds that the app waits before each answer, of CPU time that it burns then, and for",
      "which it holds its transaction.",
    ],
    ofSettings("APP_DELAY_MS", "APP_CPU_MS", "HOLD_MS"),
  ],
  [["Given back by /healthz."], { NONCE: "" }],
  [
    ["A folder in the container in which each worker writes what its requests spend their time on."],
    { APP_TIMINGS: "" },
  ],
  [
    ["The listen queue of apps and PgBouncer, and the kernel's bound on it in each container."],
    ofSettings("LISTEN_BACKLOG"),
  ],
  [["Health checks."], { HEALTH_INTERVAL: "2s", HEALTH_TIMEOUT: "5s", HEALTH_RETRIES: "30" }],
  [["Ports on 127.0.0.1."], {
    POSTGRES_PORT: "15432",
    PGBOUNCER_PORT: "16432",
    ...Object.fromEntries(APPS.map(({ name }, i) => [portVariable(name), String(18_001 + i)])),
    LOCUST_PORT: "18089",
  }],
];

const DEFAULTS: Record<string, string> = Object.assign({}, ...SECTIONS.map(([, own]) => own));

/** A variable as a compose file has it. */
function variable(name: string, fallback = DEFAULTS[name]): string {
  if (fallback === undefined) throw new Error(`No section of compose/.env has ${name}`);
  return `\${${name}:-${fallback}}`;
}

/** Replaces each value whose name in capitals is a variable by that variable. */
function withVariables(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      const capitals = name.toUpperCase();
      return [name, capitals in DEFAULTS ? variable(capitals) : value];
    }),
  );
}

function appEnvironment(app: App): Record<string, string> {
  const told = APP_KEYS.flatMap((key) => {
    const env = app.settings[key]?.env;
    const fallback = key === "reuse" ? appDefaults(app).reuse : undefined;
    return env === undefined ? [] : [[env, variable(settingOf(key)!.compose!, fallback)]];
  });
  return {
    ...Object.fromEntries(told),
    ...appPlacement(app, {
      host: "0.0.0.0",
      port: app.containerPort,
      nonce: variable("NONCE"),
      timings: variable("APP_TIMINGS"),
      databaseHost: variable("DB_HOST"),
      databasePort: POSTGRES_PORT,
      databasePassword: "",
      databaseCa: variable("APP_CA"),
    }),
    PGPORT: variable("DB_PORT"),
    PGSSLMODE: variable("APP_SSLMODE"),
  };
}

const HEALTHY = { condition: "service_healthy" };
const BACKLOG = variable("LISTEN_BACKLOG");

/** What is of one service alone; `limits` begins the names of the variables of its limits. */
interface ServiceParts {
  name: string;
  limits: "DB" | "PGBOUNCER" | "APP";
  command?: string[];
  environment: Record<string, string>;
  secrets: string[];
  port: number;
  /** A program that succeeds as long as the container works. */
  check: string[];
  /** How long it may take until then. */
  startPeriod?: string;
}

function composeService(parts: ServiceParts) {
  const { name, limits, command, environment, secrets, port, check, startPeriod } = parts;
  return {
    ...builtImage(name),
    ...(command && { command }),
    environment,
    secrets,
    ...(name !== "postgres" && { depends_on: { postgres: HEALTHY } }),
    sysctls: { "net.core.somaxconn": BACKLOG },
    ports: [`127.0.0.1:${variable(portVariable(name))}:${port}`],
    healthcheck: {
      test: ["CMD", ...check],
      interval: variable("HEALTH_INTERVAL"),
      timeout: variable("HEALTH_TIMEOUT"),
      retries: variable("HEALTH_RETRIES"),
      ...(startPeriod && { start_period: startPeriod }),
    },
    cpuset: variable(`${limits}_CPUSET`),
    deploy: {
      resources: {
        limits: { cpus: variable(`${limits}_CPUS`), memory: variable(`${limits}_MEMORY`) },
      },
    },
  };
}

function postgresService(settings: Record<string, string>) {
  return composeService({
    name: "postgres",
    limits: "DB",
    command: ["postgres", ...postgresArguments(settings)],
    environment: {
      POSTGRES_USER: ADMIN_USER,
      POSTGRES_PASSWORD_FILE: "/run/secrets/admin_password",
      POSTGRES_DB: "postgres",
      POSTGRES_INITDB_ARGS: "--encoding=UTF8 --locale=C",
    },
    secrets: ["admin_password", "app_password"],
    port: POSTGRES_PORT,
    // Over TCP: while the database is being built, the server listens on its socket file only.
    check: ["pg_isready", "-q", "-h", "127.0.0.1", "-U", ADMIN_USER, "-d", DATABASE],
    startPeriod: "2m",
  });
}

function pgbouncerService({ USERLIST: _, ...values }: Record<string, string>) {
  const ready = `pg_isready -q -h 127.0.0.1 -p ${PGBOUNCER_PORT} -U ${APP_USER} -d ${DATABASE}`;
  return composeService({
    name: "pgbouncer",
    limits: "PGBOUNCER",
    environment: { ...values, APP_USER },
    secrets: ["admin_password", "app_password"],
    port: PGBOUNCER_PORT,
    check: ready.split(" "),
  });
}

/** An app of ours, whose image writes the password file itself, of a secret. */
function appService(app: App) {
  const { name, containerPort: port, healthPath } = app;
  const url = `http://127.0.0.1:${port}${healthPath}`;
  return composeService({
    name,
    limits: "APP",
    environment: appEnvironment(app),
    secrets: ["app_password"],
    port,
    check: ["python", "-c", `import urllib.request; urllib.request.urlopen("${url}")`],
  });
}

function builtImage(name: string) {
  const { context, dockerfile, base } = imagesOf(APPS)[name]!;
  return {
    image: `poolscope/${name}:${variable("POOLSCOPE_TAG")}`,
    build: {
      context: relative("compose", context || "."),
      ...(dockerfile !== "Dockerfile" && { dockerfile }),
      args: { [base!]: variable(base!) },
    },
  };
}

function yaml(comment: string, content: unknown): string {
  const lines = comment.trim().split("\n").map((line) => line === "" ? "#" : `# ${line}`);
  return `${lines.join("\n")}\n\n${stringify(content, { aliasDuplicateObjects: false })}`;
}

/** The texts of the files, by their names. */
export function composeFiles(): Record<string, string> {
  const scenario = createScenario({ framework: APPS[0]!.name, path: "pooled", users: 1 });
  const placement = {
    host: "0.0.0.0",
    port: PGBOUNCER_PORT,
    databaseHost: "",
    databasePort: POSTGRES_PORT,
    userlist: "",
    tlsKey: "",
    tlsCertificate: "",
    tlsCa: "",
  };
  const settings = withVariables(postgresSettings(scenario));
  const values = withVariables(pgbouncerValues(scenario, placement));
  const services = {
    postgres: postgresService(settings),
    pgbouncer: pgbouncerService(values),
    ...Object.fromEntries(APPS.map((app) => [app.name, appService(app)])),
    locust: {
      ...builtImage("locust"),
      profiles: ["load"],
      ports: [`127.0.0.1:${variable("LOCUST_PORT")}:8089`],
      cpuset: variable("LOCUST_CPUSET"),
    },
  };
  const secrets = Object.fromEntries(SECRETS.map((name) => [name, { file: `secrets/${name}` }]));
  const pooled = {
    environment: { PGHOST: variable("POOLER_HOST"), PGPORT: variable("POOLER_PORT") },
    depends_on: { pgbouncer: HEALTHY },
  };
  return {
    ".env": describeVariables(),
    "compose.yml": yaml(STACK, { name: "poolscope", services, secrets }),
    "compose.pooled.yml": yaml(POOLED, {
      services: Object.fromEntries(APPS.map(({ name }) => [name, pooled])),
    }),
  };
}

const STACK = `
The whole stack for plain Docker Compose, written by \`deno task compose\` from what Poolscope's Docker
engine starts:

  deno task images                                  (or docker compose build; see README)
  docker compose -f compose/compose.yml up --wait

The apps reach PostgreSQL directly; compose.pooled.yml sends them through PgBouncer. Variables and
their defaults are described in .env. Ports are published on this machine's loopback only. Load, when
it is asked for:

  docker compose -f compose/compose.yml run --rm locust --headless -u 100 -r 100 -t 30s -H http://${
  APPS.at(-1)!.name
}:8000
`;

const POOLED = `
The path app → PgBouncer → PostgreSQL, over compose.yml; written by \`deno task compose\`:

  docker compose -f compose/compose.yml -f compose/compose.pooled.yml up --wait
`;

function describeVariables(): string {
  const sections = SECTIONS.map(([about, variables]) =>
    [
      ...about.map((line) => `# ${line}`),
      ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
    ].join("\n")
  );
  return `# What compose.yml is filled with for plain \`docker compose\`; written by \`deno task compose\`.\n\n${
    sections.join("\n\n")
  }\n`;
}
