/**
 * Every setting of a scenario, one row each. The type of a scenario, its checks, ids and tables, what
 * each service is told, the messages of `--set`, docs/settings.md and the JSON Schema of plan files
 * derive from these rows. The order of the rows is that of tables and of ids.
 */

import { type Server, SERVERS, serverSetting, type ServerSettings } from "./server_settings.ts";

/** `direct`: app → PostgreSQL. `pooled`: app → PgBouncer → PostgreSQL. */
export const PATHS = ["direct", "pooled"] as const;
/** How an app keeps its database connections: a new one per request, one per thread, or a pool. */
export const REUSES = ["per_request", "persistent", "app_pool"] as const;
const POOL_MODES = ["session", "transaction", "statement"] as const;
/** When an open loop's requests are due: at equal distances, or as those of independent clients. */
export const ARRIVALS = ["constant", "poisson"] as const;
/** What sends the requests: Poolscope's lean client, or Locust's FastHttpUser. */
export const CLIENTS = ["lean", "fast"] as const;

/** One of {@linkcode PATHS}. */
export type Path = typeof PATHS[number];

export type SettingValue = string | number | boolean | null;

/** The values that a setting accepts. */
export interface Rule<V extends SettingValue = SettingValue> {
  /** In words: `a whole number of at least 1 or null`. */
  words: string;
  schema: Record<string, unknown>;
  accepts(value: unknown): value is V;
  /** Reads a value of `--set`. @default the text is the value */
  parse?(text: string): unknown;
}

/** The parts that settings belong to, with the titles of their sections in docs/settings.md. */
const SETTING_PARTS = {
  arm: "What is compared",
  load: "Load",
  app: "App",
  database: "PostgreSQL",
  pgbouncer: "PgBouncer",
  network: "Network and TLS",
} as const;

type Service = "app" | Server;

/** One setting of a scenario, beside its name. */
export interface Setting<V extends SettingValue = SettingValue> {
  of: keyof typeof SETTING_PARTS;
  rule: Rule<V>;
  /** The value where none is given. @default the app decides, or it must be given */
  default?: V;
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
  compose?: string;
  /** PgBouncer's own name; pgbouncer.ini takes the value where that stands in capitals. */
  pgbouncer?: string;
  postgres?: string;
  /** The service and the resource that it limits. */
  limit?: { service: Service; resource: "cpus" | "memoryMiB" };
}

const FLAG: Rule<boolean> = {
  words: "true or false",
  schema: { type: "boolean" },
  accepts: (value): value is boolean => typeof value === "boolean",
  parse: (text) => text === "true" ? true : text === "false" ? false : text,
};

function text(
  words: string,
  isOne: (text: string) => boolean,
  schema: Rule["schema"] = { type: "string" },
): Rule<string> {
  return {
    words,
    schema,
    accepts: (value): value is string => typeof value === "string" && isOne(value),
  };
}

const APP = text("the name of an app, or the path of its folder", (name) => name !== "");

function choice<V extends string>(choices: readonly V[]): Rule<V> {
  return {
    words: `one of ${choices.join(", ")}`,
    schema: { enum: choices },
    accepts: (value): value is V => choices.includes(value as V),
  };
}

/** A number of at least, or `above`, a bound. */
function number(min: number, { max = Infinity, whole = false, above = false } = {}): Rule<number> {
  const kind = whole ? "a whole number" : "a number";
  const most = max < Infinity ? ` and at most ${max}` : "";
  return {
    words: `${kind} ${above ? "above" : "of at least"} ${min}${most}`,
    schema: {
      type: whole ? "integer" : "number",
      [above ? "exclusiveMinimum" : "minimum"]: min,
      ...(max < Infinity && { maximum: max }),
    },
    accepts: (value): value is number =>
      typeof value === "number" && (whole ? Number.isInteger(value) : Number.isFinite(value)) &&
      (above ? value > min : value >= min) && value <= max,
    parse: (text) => Number(text || NaN),
  };
}

function whole(min: number, max?: number): Rule<number> {
  return number(min, { max, whole: true });
}

export const COUNT: Rule<number> = whole(1);
export const NOT_NEGATIVE: Rule<number> = number(0);
export const POSITIVE: Rule<number> = number(0, { above: true });

function orNull<V extends SettingValue>(rule: Rule<V>): Rule<V | null> {
  return {
    words: `${rule.words} or null`,
    schema: { ...rule.schema, type: [rule.schema.type, "null"] },
    accepts: (value): value is V | null => value === null || rule.accepts(value),
    parse: (text) => text === "none" ? null : rule.parse!(text),
  };
}

/** In a plan file it is a text: as a number, 1.20 would be 1.2. */
const VERSION = /^(default|\d+(\.\d+){0,2})$/;

/** Stands for the version of a server that the setup has. */
export const ANY_VERSION = "default";

/** The oldest PgBouncer, the first that follows prepared statements in transaction mode. */
export const OLDEST_PGBOUNCER = "1.21";

/** Whether a version, which may leave its end away, is another one or later. */
export function isVersionFrom(version: string, least: string): boolean {
  const parts = least.split(".").map(Number);
  const differences = version.split(".").map((part, i) => Number(part) - (parts[i] ?? 0));
  return (differences.find((difference) => difference !== 0) ?? 0) >= 0;
}

function version(least: string): Rule<string> {
  return text(
    `a version from ${least} on, or default`,
    (asked) => VERSION.test(asked) && (asked === ANY_VERSION || isVersionFrom(asked, least)),
    { type: "string", pattern: VERSION.source },
  );
}

type Row<V extends SettingValue> = Omit<Setting<NoInfer<V>>, "of" | "rule">;

function row<V extends SettingValue>(of: Setting["of"], rule: Rule<V>, more: Row<V>): Setting<V> {
  return { of, rule, ...more };
}

/** A setting of a service; PgBouncer's act on its path alone. */
function ofService<V extends SettingValue>(service: Service, rule: Rule<V>, more: Row<V>) {
  const path = service === "pgbouncer" ? { path: "pooled" as const } : {};
  return row(service === "postgres" ? "database" : service, rule, { ...path, ...more });
}

function told<V extends SettingValue>(rule: Rule<V>, preset: NoInfer<V> | undefined, doc: string) {
  return row("app", rule, { default: preset, doc, app: true });
}

/** A setting of a server that has a default of ours. */
function theirs<V extends SettingValue>(
  server: Server,
  name: string,
  rule: Rule<V>,
  preset: NoInfer<V>,
  more = "",
) {
  const doc = `${SERVERS[server]}'s ${name}${more}.`;
  const named = server === "postgres" ? { postgres: name } : { pgbouncer: name };
  return ofService(server, rule, { default: preset, doc, ...named });
}

/** A CPU quota in cores, or a memory limit in MiB. */
function limit(service: Service, resource: "cpus" | "memoryMiB", preset: number | null) {
  const title = { app: "the app", ...SERVERS }[service];
  const doc = resource === "cpus"
    ? `CPU quota of ${title} in cores; null for no limit.`
    : `Memory limit of ${title} in MiB; null for no limit.`;
  const limit = { service, resource };
  return ofService(service, orNull(POSITIVE), { default: preset, doc, limit });
}

function thinkTime(which: string) {
  const doc = `${which} pause of a user between two requests, in seconds.`;
  return row("load", NOT_NEGATIVE, { default: 0, doc, loop: "closed" });
}

function roundTrip(path: Path, between: string, more = "") {
  const doc = `Round-trip time between ${between} in milliseconds${more}.`;
  return row("network", number(0, { max: 1000 }), { default: 0, doc, since: "2026-11-23", path });
}

function encryption(path: Path, whose: string, to: string, more: string) {
  const doc = `Whether ${whose} connections to ${to} are encrypted${more}.`;
  return row("network", FLAG, { default: false, doc, since: "2026-11-23", path });
}

/** Names the variables of compose/ after the settings that a service is told, without their units. */
function withVariables<T extends Record<string, Setting>>(rows: T): T {
  for (const [key, row] of Object.entries(rows)) {
    if (!(row.app || row.limit || row.pgbouncer || row.postgres)) continue;
    row.compose = key.replace(/(MiB|S)$/, "").replace(/[A-Z]/g, "_$&").toUpperCase();
  }
  return rows;
}

const OWN_ON_TOP = "; Poolscope's own connections come on top";

export const SETTINGS = withVariables({
  framework: row("arm", APP, {
    doc: "The app that answers: the name of a folder in apps/, or the path of another folder.",
  }),
  path: row("arm", choice(PATHS), {
    doc: "Whether PgBouncer stands between the app and PostgreSQL.",
  }),
  users: row("load", orNull(COUNT), {
    default: null,
    doc: "Concurrent Locust users (closed loop); null in an open loop.",
    loop: "closed",
    level: true,
  }),
  arrivalRate: row("load", orNull(POSITIVE), {
    default: null,
    doc: "Requests that are due per second (open loop); null in a closed loop.",
    loop: "open",
    level: true,
  }),
  arrivals: row("load", choice(ARRIVALS), {
    default: "constant",
    doc: "When an open loop's requests are due: at equal distances, or at random.",
    loop: "open",
  }),
  client: row("load", choice(CLIENTS), {
    default: "lean",
    doc: "What sends the requests: Poolscope's lean client, or Locust's FastHttpUser.",
    since: "2026-11-23",
  }),
  spawnRate: row("load", POSITIVE, {
    default: 500,
    doc: "Users started per second while the load ramps up.",
    loop: "closed",
    level: true,
  }),
  thinkTimeMinS: thinkTime("Shortest"),
  thinkTimeMaxS: thinkTime("Longest"),
  workers: told(COUNT, 2, "Worker processes of the app's server."),
  threads: told(COUNT, undefined, "Threads per worker; 1 where workers run an event loop."),
  poolSize: told(
    COUNT,
    32,
    "Connections that one worker's own pool may hold, where reuse is app_pool.",
  ),
  reuse: told(
    choice(REUSES),
    undefined,
    "How the app keeps its database connections: a new one per request, one per thread, a pool.",
  ),
  preparedStatements: told(
    FLAG,
    true,
    "Whether the driver prepares statements; false also sets maxPreparedStatements to 0.",
  ),
  livenessCheck: row("app", FLAG, {
    default: false,
    doc:
      "Whether the app asks the database about a kept connection before it uses it (pool_pre_ping, " +
      "CONN_HEALTH_CHECKS).",
    since: "2026-12-01",
    app: true,
  }),
  listenBacklog: row("app", COUNT, {
    default: 4096,
    doc: "Length of the listen queue that the app's server and PgBouncer ask for.",
    app: true,
    pgbouncer: "listen_backlog",
  }),
  dbCpus: limit("postgres", "cpus", 0.5),
  dbMemoryMiB: limit("postgres", "memoryMiB", 512),
  maxConnections: theirs("postgres", "max_connections", whole(4), 100, OWN_ON_TOP),
  idleConnections: row("database", whole(0, 10_000), {
    default: 0,
    doc:
      "Connections that other replicas hold open and do not use: at PgBouncer where the path is " +
      "pooled, else at PostgreSQL.",
    since: "2026-12-01",
  }),
  // Passwords are 128 random bits, which iterations do not make safer. PostgreSQL's default of 4096
  // costs each new connection 4 to 5 ms of the app's CPU: on one machine, that and not the database
  // would decide what reconnecting costs.
  scramIterations: theirs(
    "postgres",
    "scram_iterations",
    COUNT,
    256,
    ": what a client computes for each new connection",
  ),
  appCpus: limit("app", "cpus", null),
  appMemoryMiB: limit("app", "memoryMiB", null),
  pgbouncerCpus: limit("pgbouncer", "cpus", null),
  pgbouncerMemoryMiB: limit("pgbouncer", "memoryMiB", null),
  poolMode: theirs("pgbouncer", "pool_mode", choice(POOL_MODES), "transaction"),
  defaultPoolSize: theirs("pgbouncer", "default_pool_size", COUNT, 20),
  maxClientConn: theirs("pgbouncer", "max_client_conn", COUNT, 10_000, OWN_ON_TOP),
  queryWaitTimeoutS: theirs("pgbouncer", "query_wait_timeout", NOT_NEGATIVE, 15, " in seconds"),
  maxPreparedStatements: theirs("pgbouncer", "max_prepared_statements", whole(0), 200),
  rttAppDbMs: roundTrip("direct", "app and PostgreSQL", ", where the path is direct"),
  rttAppPgbouncerMs: roundTrip("pooled", "app and PgBouncer", "; rttAppDbMs unless set"),
  rttPgbouncerDbMs: roundTrip("pooled", "PgBouncer and PostgreSQL"),
  tlsAppDb: encryption("direct", "the app's", "PostgreSQL", ", where the path is direct"),
  tlsAppPgbouncer: encryption("pooled", "the app's", "PgBouncer", "; as tlsAppDb unless set"),
  tlsPgbouncerDb: encryption("pooled", "PgBouncer's", "PostgreSQL", "; as tlsAppDb unless set"),
  appDelayMs: row("app", number(0, { max: 1000 }), {
    default: 0,
    doc: "Milliseconds that the app waits before it handles a request: a slowdown of known size, " +
      "to see whether a study finds it.",
    since: "2026-11-24",
    app: true,
  }),
  appCpuMs: row("app", number(0, { max: 1000 }), {
    default: 0,
    doc: "Milliseconds of CPU time that the app burns before it handles a request: a slowdown of " +
      "known size where the CPU is the bottleneck.",
    since: "2026-12-01",
    app: true,
  }),
  holdMs: row("app", number(0, { max: 10_000 }), {
    default: 0,
    doc:
      "Milliseconds that the app waits for something else within each transaction, after its last " +
      "statement: the connection is held and not used.",
    since: "2026-12-01",
    app: true,
  }),
  replica: row("arm", whole(0, 9), {
    default: 0,
    doc: "Which copy of the scenario this is, for an A/A comparison; 0 for the scenario itself. " +
      "It changes the id and nothing else.",
    since: "2026-11-24",
  }),
  // scram_iterations came with it.
  postgresVersion: ofService("postgres", version("16"), {
    default: ANY_VERSION,
    doc: "The version of PostgreSQL to run, as in 17 or 16.14; default for that of the setup.",
    since: "2026-11-30",
  }),
  pgbouncerVersion: ofService("pgbouncer", version(OLDEST_PGBOUNCER), {
    default: ANY_VERSION,
    doc: "The version of PgBouncer to run, as in 1.26; default for that of the setup.",
    since: "2026-11-30",
  }),
});

/** The settings of a server by their own names, as one row: what is not given is left out of ids. */
function byOwnName(server: Server) {
  const doc = `Any setting of ${SERVERS[server]} by its own name.`;
  const rule = text("a text", () => true, { type: ["string", "number", "boolean"] });
  return ofService(server, rule, { doc, since: "2026-11-29" });
}

const SERVER_SETTINGS: Record<Server, Setting> = {
  pgbouncer: byOwnName("pgbouncer"),
  postgres: byOwnName("postgres"),
};

type Rows = {
  [K in keyof typeof SETTINGS]: (typeof SETTINGS)[K] extends Setting<infer V> ? V : never;
};

/** Everything that is set for one cell of a matrix, with units in the names. */
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

/** The values of those settings that go to one place, by their names there. */
export function settingsFor(
  scenario: Scenario,
  place: "app" | "pgbouncer" | "postgres",
): Record<string, SettingValue> {
  return Object.fromEntries(SCENARIO_KEYS.flatMap((key) => {
    const name = settingOf(key)![place];
    return name === undefined ? [] : [[name === true ? key : name, scenario[key]]];
  }));
}

/** The settings of each part, by its title. */
export function settingParts(): [title: string, rows: [name: string, Setting][]][] {
  const rows = Object.entries<Setting>(SETTINGS);
  return Object.entries(SETTING_PARTS)
    .map(([part, title]) => [title, rows.filter(([, { of }]) => of === part)]);
}

/** What a setting is, for who types it: none where a plan file has null. */
export function describeSetting({ doc }: Setting): string {
  return doc.replace("null", "none");
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
