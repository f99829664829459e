/**
 * The files of `compose/`: the same containers as a study's, for plain Docker Compose, with a variable
 * for whatever a scenario decides. `deno task compose` writes them.
 *
 * @module
 */

import { relative } from "node:path";
import { stringify } from "yaml";
import { type App, APP_KEYS, appDefaults, readApp } from "../apps/app.ts";
import { FRAMEWORKS } from "../plan.ts";
import { createScenario } from "../scenario.ts";
import { SCENARIO_KEYS, settingOf } from "../settings.ts";
import { BASES, imagesOf } from "../setup/images.ts";
import { appPlacement } from "./app_environment.ts";
import {
  appContainer,
  type ContainerSpec,
  PGBOUNCER_PORT,
  pgbouncerContainer,
  POSTGRES_PORT,
  postgresContainer,
} from "./containers.ts";
import { APP_USER, DATABASE } from "./database.ts";
import { pgbouncerValues, postgresSettings } from "./services.ts";

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
    ofSettings("REUSE", "PREPARED_STATEMENTS"),
  ],
  [["Milliseconds that the app waits before each answer."], ofSettings("APP_DELAY_MS")],
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
function variable(name: string, fallback = DEFAULTS[name]!): string {
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

/** The environment of an app. */
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
      databaseName: DATABASE,
      databaseUser: APP_USER,
      databasePassword: "",
      databaseCa: variable("APP_CA"),
    }),
    PGPORT: variable("DB_PORT"),
    PGSSLMODE: variable("APP_SSLMODE"),
  };
}

const HEALTHY = { condition: "service_healthy" };

/** A service; `limits` begins the names of the variables of its limits. */
function composeService(spec: ContainerSpec, limits: "DB" | "PGBOUNCER" | "APP") {
  const { name, command, environment, secrets, check } = spec;
  return {
    ...builtImage(name),
    ...(command && { command }),
    environment,
    secrets,
    ...(name !== "postgres" && { depends_on: { postgres: HEALTHY } }),
    sysctls: { "net.core.somaxconn": spec.listenBacklog },
    ports: [`127.0.0.1:${variable(portVariable(name))}:${spec.port}`],
    healthcheck: {
      test: ["CMD", ...check!],
      interval: variable("HEALTH_INTERVAL"),
      timeout: variable("HEALTH_TIMEOUT"),
      retries: variable("HEALTH_RETRIES"),
      ...(spec.startsSlowly && { start_period: "2m" }),
    },
    cpuset: variable(`${limits}_CPUSET`),
    deploy: {
      resources: {
        limits: { cpus: variable(`${limits}_CPUS`), memory: variable(`${limits}_MEMORY`) },
      },
    },
  };
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
  const backlog = variable("LISTEN_BACKLOG");
  const placement = {
    host: "0.0.0.0",
    port: PGBOUNCER_PORT,
    databaseHost: "",
    databasePort: POSTGRES_PORT,
    databaseName: DATABASE,
    userlist: "",
    tlsKey: "",
    tlsCertificate: "",
    tlsCa: "",
  };
  const settings = withVariables(postgresSettings(scenario));
  const values = withVariables(pgbouncerValues(scenario, placement));
  const apps = APPS.map((app) => appContainer(app, appEnvironment(app), backlog));
  const services = {
    postgres: composeService(postgresContainer(settings, backlog), "DB"),
    pgbouncer: composeService(pgbouncerContainer(values, backlog), "PGBOUNCER"),
    ...Object.fromEntries(apps.map((spec) => [spec.name, composeService(spec, "APP")])),
    locust: {
      ...builtImage("locust"),
      profiles: ["load"],
      ports: [`127.0.0.1:${variable("LOCUST_PORT")}:8089`],
      cpuset: variable("LOCUST_CPUSET"),
    },
  };
  const secrets = Object.fromEntries(
    ["admin_password", "app_password"].map((name) => [name, { file: `secrets/${name}` }]),
  );
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

/** The text of `.env`. */
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
