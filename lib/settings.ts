/**
 * Every setting of a scenario, one row each. The type of a scenario, its checks, ids and tables, what
 * each service is told, the messages of `--set`, docs/settings.md and the JSON Schema of plan files
 * derive from these rows. The order of the rows is that of tables and of ids.
 *
 * @module
 */

import { type Server, serverSetting, type ServerSettings } from "./server_settings.ts";

/** `direct`: app → PostgreSQL. `pooled`: app → PgBouncer → PostgreSQL. */
export const PATHS = ["direct", "pooled"] as const;
/**
 * How an app keeps its database connections: a new one for each request, one for each worker
 * thread, or a pool inside the app.
 */
export const REUSES = ["per_request", "persistent", "app_pool"] as const;
/** PgBouncer's pool modes. */
export const POOL_MODES = ["session", "transaction", "statement"] as const;
/**
 * When an open loop's requests are due: at equal distances, or at random as those of many
 * independent clients, with exponential distances of the same mean.
 */
export const ARRIVALS = ["constant", "poisson"] as const;
/** What sends the requests: Poolscope's lean client, or Locust's FastHttpUser. */
export const CLIENTS = ["lean", "fast"] as const;

/** One of {@linkcode PATHS}. */
export type Path = typeof PATHS[number];

/** A value of a setting. */
export type SettingValue = string | number | boolean | null;

/** What values something accepts. */
export type Rule =
  | ("boolean" | "app" | "text")
  | { choices: readonly string[] }
  | { leastVersion: string }
  | NumberRule;

interface NumberRule {
  /** The least value; with `above`, the value itself is too small. */
  min: number;
  max?: number;
  whole?: boolean;
  above?: boolean;
  /** Whether null stands for no limit. */
  orNull?: boolean;
}

/** What the settings are of, with the titles of their sections in docs/settings.md. */
export const SETTING_PARTS = {
  arm: "What is compared",
  load: "Load",
  app: "App",
  database: "PostgreSQL",
  pgbouncer: "PgBouncer",
  network: "Network and TLS",
} as const;

/** One setting of a scenario, beside its name. */
export interface Setting<V extends SettingValue = SettingValue> {
  /** What it is of. */
  of: keyof typeof SETTING_PARTS;
  /** Type and bounds. */
  rule: Rule;
  /** The value where none is given. @default the app decides, or it must be given */
  default?: V;
  /** One sentence for people. */
  doc: string;
  /**
   * The day from which it exists, where that is after the first ids: its default is left out of ids
   * and plan hashes, so that those of earlier studies stay as they are.
   */
  since?: string;
  /** The path on which alone it acts. @default both */
  path?: Path;
  /** The loop in which alone it acts. @default both */
  loop?: "closed" | "open";
  /** Whether it says how much load there is: one arm is run at several levels. */
  level?: true;
  /** Whether the app is told, by the name that its app.json gives. */
  app?: true;
  /** The variable of compose/. */
  compose?: string;
  /** PgBouncer's own name; pgbouncer.ini takes the value where that stands in capitals. */
  pgbouncer?: string;
  /** PostgreSQL's own name. */
  postgres?: string;
  /** The service and the resource that it limits. */
  limit?: { service: "postgres" | "app" | "pgbouncer"; resource: "cpus" | "memoryMiB" };
}

type Row<V extends SettingValue> = Omit<Setting<V>, "rule">;

function choice<V extends string>(choices: readonly V[], row: Row<V>): Setting<V> {
  return { ...row, rule: { choices } };
}

function number(rule: NumberRule, row: Row<number>): Setting<number> {
  return { ...row, rule };
}

function app(row: Row<string>): Setting<string> {
  return { ...row, rule: "app" };
}

function version(leastVersion: string, row: Row<string>): Setting<string> {
  return { ...row, rule: { leastVersion } };
}

function flag(row: Row<boolean>): Setting<boolean> {
  return { ...row, rule: "boolean" };
}

function numberOrNull(rule: NumberRule, row: Row<number | null>): Setting<number | null> {
  return { ...row, rule: { ...rule, orNull: true } };
}

/** A CPU quota in cores, or a memory limit in MiB. */
function limit(of: "database" | "app" | "pgbouncer", row: Omit<Row<number | null>, "of">) {
  return numberOrNull({ min: 0, above: true }, { ...row, of });
}

const WHOLE = { min: 1, whole: true };
const RTT = { min: 0, max: 1000 };

/** Stands for the version of a server that the setup has. */
export const ANY_VERSION = "default";

/** The oldest PgBouncer, the first that follows prepared statements in transaction mode. */
export const OLDEST_PGBOUNCER = "1.21";

/** The settings. */
export const SETTINGS = {
  framework: app({
    of: "arm",
    doc: "The app that answers: the name of a folder in apps/, or the path of another folder.",
  }),
  path: choice(PATHS, {
    of: "arm",
    doc: "Whether PgBouncer stands between the app and PostgreSQL.",
  }),
  users: numberOrNull(WHOLE, {
    of: "load",
    default: null,
    doc: "Concurrent Locust users (closed loop); null in an open loop.",
    loop: "closed",
    level: true,
  }),
  arrivalRate: numberOrNull({ min: 0, above: true }, {
    of: "load",
    default: null,
    doc: "Requests that are due per second (open loop); null in a closed loop.",
    loop: "open",
    level: true,
  }),
  arrivals: choice(ARRIVALS, {
    of: "load",
    default: "constant",
    doc: "When an open loop's requests are due: at equal distances, or at random.",
    loop: "open",
  }),
  client: choice(CLIENTS, {
    of: "load",
    default: "lean",
    doc: "What sends the requests: Poolscope's lean client, or Locust's FastHttpUser.",
    since: "2026-11-23",
  }),
  spawnRate: number({ min: 0, above: true }, {
    of: "load",
    default: 500,
    doc: "Users started per second while the load ramps up.",
    loop: "closed",
    level: true,
  }),
  thinkTimeMinS: number({ min: 0 }, {
    of: "load",
    default: 0,
    doc: "Shortest pause of a user between two requests, in seconds.",
    loop: "closed",
  }),
  thinkTimeMaxS: number({ min: 0 }, {
    of: "load",
    default: 0,
    doc: "Longest pause of a user between two requests, in seconds.",
    loop: "closed",
  }),
  workers: number(WHOLE, {
    of: "app",
    default: 2,
    doc: "Worker processes of the app's server.",
    app: true,
    compose: "WORKERS",
  }),
  threads: number(WHOLE, {
    of: "app",
    doc: "Threads per worker; 1 where workers run an event loop.",
    app: true,
    compose: "THREADS",
  }),
  poolSize: number(WHOLE, {
    of: "app",
    default: 32,
    doc: "Connections that one worker's own pool may hold, where reuse is app_pool.",
    app: true,
    compose: "POOL_SIZE",
  }),
  reuse: choice(REUSES, {
    of: "app",
    doc:
      "How the app keeps its database connections: a new one per request, one per thread, a pool.",
    app: true,
    compose: "REUSE",
  }),
  preparedStatements: flag({
    of: "app",
    default: true,
    doc: "Whether the driver prepares statements; false also sets maxPreparedStatements to 0.",
    app: true,
    compose: "PREPARED_STATEMENTS",
  }),
  listenBacklog: number(WHOLE, {
    of: "app",
    default: 4096,
    doc: "Length of the listen queue that the app's server and PgBouncer ask for.",
    app: true,
    compose: "LISTEN_BACKLOG",
    pgbouncer: "listen_backlog",
  }),
  dbCpus: limit("database", {
    default: 0.5,
    doc: "CPU quota of PostgreSQL in cores; null for no limit.",
    compose: "DB_CPUS",
    limit: { service: "postgres", resource: "cpus" },
  }),
  dbMemoryMiB: limit("database", {
    default: 512,
    doc: "Memory limit of PostgreSQL in MiB; null for no limit.",
    compose: "DB_MEMORY",
    limit: { service: "postgres", resource: "memoryMiB" },
  }),
  maxConnections: number({ min: 4, whole: true }, {
    of: "database",
    default: 100,
    doc: "PostgreSQL's max_connections; Poolscope's own connections come on top.",
    compose: "MAX_CONNECTIONS",
    postgres: "max_connections",
  }),
  // Passwords are 128 random bits, which iterations do not make safer. PostgreSQL's default of 4096
  // costs each new connection 4 to 5 ms of the app's CPU: on one machine, that and not the database
  // would decide what reconnecting costs.
  scramIterations: number(WHOLE, {
    of: "database",
    default: 256,
    doc: "PostgreSQL's scram_iterations: what a client computes for each new connection.",
    compose: "SCRAM_ITERATIONS",
    postgres: "scram_iterations",
  }),
  appCpus: limit("app", {
    default: null,
    doc: "CPU quota of the app in cores; null for no limit.",
    compose: "APP_CPUS",
    limit: { service: "app", resource: "cpus" },
  }),
  appMemoryMiB: limit("app", {
    default: null,
    doc: "Memory limit of the app in MiB; null for no limit.",
    compose: "APP_MEMORY",
    limit: { service: "app", resource: "memoryMiB" },
  }),
  pgbouncerCpus: limit("pgbouncer", {
    default: null,
    doc: "CPU quota of PgBouncer in cores; null for no limit.",
    path: "pooled",
    compose: "PGBOUNCER_CPUS",
    limit: { service: "pgbouncer", resource: "cpus" },
  }),
  pgbouncerMemoryMiB: limit("pgbouncer", {
    default: null,
    doc: "Memory limit of PgBouncer in MiB; null for no limit.",
    path: "pooled",
    compose: "PGBOUNCER_MEMORY",
    limit: { service: "pgbouncer", resource: "memoryMiB" },
  }),
  poolMode: choice(POOL_MODES, {
    of: "pgbouncer",
    default: "transaction",
    doc: "PgBouncer's pool_mode.",
    path: "pooled",
    compose: "POOL_MODE",
    pgbouncer: "pool_mode",
  }),
  defaultPoolSize: number(WHOLE, {
    of: "pgbouncer",
    default: 20,
    doc: "PgBouncer's default_pool_size.",
    path: "pooled",
    compose: "DEFAULT_POOL_SIZE",
    pgbouncer: "default_pool_size",
  }),
  maxClientConn: number(WHOLE, {
    of: "pgbouncer",
    default: 10_000,
    doc: "PgBouncer's max_client_conn; Poolscope's own connections come on top.",
    path: "pooled",
    compose: "MAX_CLIENT_CONN",
    pgbouncer: "max_client_conn",
  }),
  queryWaitTimeoutS: number({ min: 0 }, {
    of: "pgbouncer",
    default: 15,
    doc: "PgBouncer's query_wait_timeout in seconds.",
    path: "pooled",
    compose: "QUERY_WAIT_TIMEOUT",
    pgbouncer: "query_wait_timeout",
  }),
  maxPreparedStatements: number({ min: 0, whole: true }, {
    of: "pgbouncer",
    default: 200,
    doc: "PgBouncer's max_prepared_statements.",
    path: "pooled",
    compose: "MAX_PREPARED_STATEMENTS",
    pgbouncer: "max_prepared_statements",
  }),
  rttAppDbMs: number(RTT, {
    of: "network",
    default: 0,
    doc: "Round-trip time between app and PostgreSQL in milliseconds, where the path is direct.",
    since: "2026-11-23",
    path: "direct",
  }),
  rttAppPgbouncerMs: number(RTT, {
    of: "network",
    default: 0,
    doc: "Round-trip time between app and PgBouncer in milliseconds; rttAppDbMs unless set.",
    since: "2026-11-23",
    path: "pooled",
  }),
  rttPgbouncerDbMs: number(RTT, {
    of: "network",
    default: 0,
    doc: "Round-trip time between PgBouncer and PostgreSQL in milliseconds.",
    since: "2026-11-23",
    path: "pooled",
  }),
  tlsAppDb: flag({
    of: "network",
    default: false,
    doc: "Whether the app's connections to PostgreSQL are encrypted, where the path is direct.",
    since: "2026-11-23",
    path: "direct",
  }),
  tlsAppPgbouncer: flag({
    of: "network",
    default: false,
    doc: "Whether the app's connections to PgBouncer are encrypted; as tlsAppDb unless set.",
    since: "2026-11-23",
    path: "pooled",
  }),
  tlsPgbouncerDb: flag({
    of: "network",
    default: false,
    doc: "Whether PgBouncer's connections to PostgreSQL are encrypted; as tlsAppDb unless set.",
    since: "2026-11-23",
    path: "pooled",
  }),
  appDelayMs: number({ min: 0, max: 1000 }, {
    of: "app",
    default: 0,
    doc: "Milliseconds that the app waits before it handles a request: a slowdown of known size, " +
      "to see whether a study finds it.",
    since: "2026-11-24",
    app: true,
    compose: "APP_DELAY_MS",
  }),
  replica: number({ min: 0, max: 9, whole: true }, {
    of: "arm",
    default: 0,
    doc: "Which copy of the scenario this is, for an A/A comparison; 0 for the scenario itself. " +
      "It changes the id and nothing else.",
    since: "2026-11-24",
  }),
  // scram_iterations came with it.
  postgresVersion: version("16", {
    of: "database",
    default: ANY_VERSION,
    doc: "The version of PostgreSQL to run, as in 17 or 16.14; default for that of the setup.",
    since: "2026-11-30",
  }),
  pgbouncerVersion: version(OLDEST_PGBOUNCER, {
    of: "pgbouncer",
    default: ANY_VERSION,
    doc: "The version of PgBouncer to run, as in 1.26; default for that of the setup.",
    since: "2026-11-30",
    path: "pooled",
  }),
};

/** The settings of the servers by their own names, as rows: what is not given is left out of ids. */
const SERVER_SETTINGS: Record<Server, Setting> = {
  pgbouncer: {
    of: "pgbouncer",
    rule: "text",
    doc: "Any setting of PgBouncer by its own name.",
    since: "2026-11-29",
    path: "pooled",
  },
  postgres: {
    of: "database",
    rule: "text",
    doc: "Any setting of PostgreSQL by its own name.",
    since: "2026-11-29",
  },
};

type Rows = {
  [K in keyof typeof SETTINGS]: (typeof SETTINGS)[K] extends Setting<infer V> ? V : never;
};

/**
 * Everything that is set for one cell of a matrix, with units in the names; and whatever is given of
 * PgBouncer's and PostgreSQL's settings by their own names.
 */
export type Scenario = Rows & ServerSettings;

/** Values for a scenario, of which the servers' may also be numbers or booleans. */
export type ScenarioValues =
  & Partial<Rows>
  & { [K in keyof ServerSettings]: string | number | boolean | undefined };

/** The name of one setting of a {@linkcode Scenario}. */
export type ScenarioKey = keyof Scenario;

/** The table's names, in the order in which tables show them. */
export const SCENARIO_KEYS = Object.keys(SETTINGS) as (keyof Rows)[];

/** The names of all settings of some scenarios: the table's, then the servers' in order. */
export function scenarioKeys(scenarios: readonly object[]): ScenarioKey[] {
  const given = scenarios.flatMap((one) => Object.keys(one)).filter((key) => serverSetting(key));
  return [...SCENARIO_KEYS, ...[...new Set(given)].sort() as (keyof ServerSettings)[]];
}

/** A setting by name; undefined where there is none. */
export function settingOf(name: string): Setting | undefined {
  const theirs = serverSetting(name);
  if (theirs !== null) return SERVER_SETTINGS[theirs.server];
  return Object.hasOwn(SETTINGS, name) ? SETTINGS[name as keyof Rows] as Setting : undefined;
}

/** The name that the table has for a server's setting; undefined where it has none. */
export function nameInTable(server: Server, name: string): ScenarioKey | undefined {
  return SCENARIO_KEYS.find((key) => settingOf(key)![server] === name);
}

/** The value of a setting where none is given; undefined where the app decides, or it must be given. */
export function defaultOf(name: string): SettingValue | undefined {
  return settingOf(name)?.default;
}

/**
 * The values of those settings that go to one place, by their names there.
 *
 * @param place Which field of the rows has those names.
 *
 * @example
 * ```ts
 * import { createScenario } from "poolscope";
 * import { settingsFor } from "./settings.ts";
 *
 * const scenario = createScenario({ framework: "node", path: "pooled", users: 1 });
 * console.assert(settingsFor(scenario, "pgbouncer").pool_mode === "transaction");
 * ```
 */
export function settingsFor(
  scenario: Scenario,
  place: "app" | "pgbouncer" | "postgres",
): Record<string, SettingValue> {
  return Object.fromEntries(SCENARIO_KEYS.flatMap((key) => {
    const name = settingOf(key)![place];
    return name === undefined ? [] : [[name === true ? key : name, scenario[key]]];
  }));
}

/** What a setting is, for who types it: none where a plan file has null. */
export function describeSetting({ doc }: Setting): string {
  return doc.replace("null", "none");
}

/** In a plan file it is a text: as a number, 1.20 would be 1.2. */
const VERSION = /^(default|\d+(\.\d+){0,2})$/;

/** What a rule accepts, in words: `a whole number of at least 1 or null`. */
export function describeRule(rule: Rule): string {
  if (rule === "boolean") return "true or false";
  if (rule === "app") return "the name of an app, or the path of its folder";
  if (rule === "text") return "a text";
  if ("choices" in rule) return `one of ${rule.choices.join(", ")}`;
  if ("leastVersion" in rule) return `a version from ${rule.leastVersion} on, or default`;
  const kind = rule.whole ? "a whole number" : "a number";
  const least = rule.min === -Infinity
    ? ""
    : ` ${rule.above ? "above" : "of at least"} ${rule.min}`;
  const most = rule.max === undefined ? "" : ` and at most ${rule.max}`;
  return kind + least + most + (rule.orNull ? " or null" : "");
}

/** Whether a version, which may leave its end away, is another one or later. */
export function isVersionFrom(version: string, least: string): boolean {
  const parts = least.split(".").map(Number);
  for (const [i, part] of version.split(".").map(Number).entries()) {
    const other = parts[i] ?? 0;
    if (part !== other) return part > other;
  }
  return true;
}

/** Whether a value is one that a rule accepts. */
export function accepts(rule: Rule, value: unknown): boolean {
  if (rule === "boolean") return typeof value === "boolean";
  if (rule === "app") return typeof value === "string" && value !== "";
  if (rule === "text") return typeof value === "string";
  if ("choices" in rule) return typeof value === "string" && rule.choices.includes(value);
  if ("leastVersion" in rule) {
    return typeof value === "string" && VERSION.test(value) &&
      (value === ANY_VERSION || isVersionFrom(value, rule.leastVersion));
  }
  if (value === null) return rule.orNull === true;
  if (typeof value !== "number" || !Number.isFinite(value)) return false;
  if (rule.whole && !Number.isInteger(value)) return false;
  if (value > (rule.max ?? Infinity)) return false;
  return rule.above ? value > rule.min : value >= rule.min;
}

/** The limits that a scenario asks for, by service; none of a service that it does not have. */
export function limitsOf(scenario: Scenario) {
  const limits: Record<string, { cpus: number | null; memoryMiB: number | null }> = {};
  for (const key of SCENARIO_KEYS) {
    const { limit, path = scenario.path } = settingOf(key)!;
    if (limit === undefined || path !== scenario.path) continue;
    const of = limits[limit.service] ??= { cpus: null, memoryMiB: null };
    of[limit.resource] = scenario[key] as number | null;
  }
  return limits;
}

/** A rule as JSON Schema. */
export function ruleSchema(rule: Rule): Record<string, unknown> {
  if (rule === "boolean") return { type: "boolean" };
  if (rule === "app") return { type: "string" };
  if (rule === "text") return { type: ["string", "number", "boolean"] };
  if ("choices" in rule) return { enum: rule.choices };
  if ("leastVersion" in rule) return { type: "string", pattern: VERSION.source };
  const type = rule.whole ? "integer" : "number";
  return {
    type: rule.orNull ? [type, "null"] : type,
    ...(rule.min > -Infinity && { [rule.above ? "exclusiveMinimum" : "minimum"]: rule.min }),
    ...(rule.max !== undefined && { maximum: rule.max }),
  };
}
