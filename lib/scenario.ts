/**
 * A scenario is one cell of a comparison: a flat record of everything that is set, with an id that
 * is derived from the values. Nothing is started here; bad values fail before anything runs.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { appTitle } from "./apps/titles.ts";
import { UsageError } from "./errors.ts";
import { didYouMean } from "./nearest.ts";

/** The web frameworks that are compared; each has a folder `apps/<name>_app/`. */
export const FRAMEWORKS = ["fastapi", "django", "flask"] as const;
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

/** One of {@linkcode FRAMEWORKS}. */
export type Framework = typeof FRAMEWORKS[number];
/** One of {@linkcode PATHS}. */
export type Path = typeof PATHS[number];
/** One of {@linkcode REUSES}. */
export type Reuse = typeof REUSES[number];
/** One of {@linkcode POOL_MODES}. */
export type PoolMode = typeof POOL_MODES[number];

/** One of {@linkcode ARRIVALS}. */
export type Arrivals = typeof ARRIVALS[number];
/** One of {@linkcode CLIENTS}. */
export type Client = typeof CLIENTS[number];

/** Everything that is set for one cell of a matrix. Units are in the names. */
export interface Scenario {
  /** Which of the three apps answers. */
  framework: Framework;
  /** Whether PgBouncer stands between the app and PostgreSQL. */
  path: Path;
  /** Concurrent Locust users (closed loop); null in an open loop. */
  users: number | null;
  /** Requests that are due per second (open loop); null in a closed loop. */
  arrivalRate: number | null;
  /** How an open loop's requests are spread over time. */
  arrivals: Arrivals;
  /** What sends the requests. */
  client: Client;
  /** Users started per second while the load ramps up. */
  spawnRate: number;
  /** Shortest pause of a user between two requests, in seconds. */
  thinkTimeMinS: number;
  /** Longest pause of a user between two requests, in seconds. */
  thinkTimeMaxS: number;
  /** Worker processes of the app's server. */
  workers: number;
  /** Threads per worker; 1 for FastAPI, whose workers run an event loop. */
  threads: number;
  /** Connections that one worker's own pool may hold; used when `reuse` is `app_pool`. */
  poolSize: number;
  /** How the app keeps its connections. */
  reuse: Reuse;
  /** Whether the driver prepares statements; false also sets `maxPreparedStatements` to 0. */
  preparedStatements: boolean;
  /** Length of the listen queue asked for by app server and PgBouncer. */
  listenBacklog: number;
  /** CPU quota of PostgreSQL in cores; null for none. */
  dbCpus: number | null;
  /** Memory limit of PostgreSQL in MiB; null for none. */
  dbMemoryMiB: number | null;
  /** PostgreSQL's `max_connections`; Poolscope's own connections come on top. */
  maxConnections: number;
  /** PostgreSQL's `scram_iterations`: what a client computes for each new connection. */
  scramIterations: number;
  /** CPU quota of the app in cores; null for none. */
  appCpus: number | null;
  /** Memory limit of the app in MiB; null for none. */
  appMemoryMiB: number | null;
  /** CPU quota of PgBouncer in cores; null for none. */
  pgbouncerCpus: number | null;
  /** Memory limit of PgBouncer in MiB; null for none. */
  pgbouncerMemoryMiB: number | null;
  /** PgBouncer's `pool_mode`. */
  poolMode: PoolMode;
  /** PgBouncer's `default_pool_size`. */
  defaultPoolSize: number;
  /** PgBouncer's `max_client_conn`; Poolscope's own connections come on top. */
  maxClientConn: number;
  /** PgBouncer's `query_wait_timeout` in seconds. */
  queryWaitTimeoutS: number;
  /** PgBouncer's `max_prepared_statements`. */
  maxPreparedStatements: number;
  /** Round-trip time between app and PostgreSQL in milliseconds; acts when the path is direct. */
  rttAppDbMs: number;
  /** Round-trip time between app and PgBouncer in milliseconds; `rttAppDbMs` unless set. */
  rttAppPgbouncerMs: number;
  /** Round-trip time between PgBouncer and PostgreSQL in milliseconds; 0 unless set. */
  rttPgbouncerDbMs: number;
  /** Whether the app's connections to PostgreSQL are encrypted; acts when the path is direct. */
  tlsAppDb: boolean;
  /** Whether the app's connections to PgBouncer are encrypted; as `tlsAppDb` unless set. */
  tlsAppPgbouncer: boolean;
  /** Whether PgBouncer's connections to PostgreSQL are encrypted; as `tlsAppDb` unless set. */
  tlsPgbouncerDb: boolean;
  /**
   * Time that the app waits before it handles a request, in milliseconds: a slowdown of known size,
   * to see whether a study finds it.
   */
  appDelayMs: number;
  /**
   * Which copy of the scenario this is, for an A/A comparison; 0 for the scenario itself. It changes
   * the id and nothing else.
   */
  replica: number;
}

/** Two services that are connected, and the scenario's settings of the network between them. */
export interface Leg {
  /** As in the manifest. */
  name: "appDb" | "appPgbouncer" | "pgbouncerDb";
  /** Round-trip time in milliseconds; 0 for nothing in between. */
  rttMs: number;
  /** Whether its connections are encrypted. */
  tls: boolean;
}

/** The name of one field of a {@linkcode Scenario}. */
export type ScenarioKey = keyof Scenario;

/** Values that hold for every framework unless a plan or `--set` says otherwise. */
const COMMON: Omit<Scenario, "framework" | "path" | "threads" | "reuse"> = {
  users: null,
  arrivalRate: null,
  arrivals: "constant",
  client: "lean",
  spawnRate: 500,
  thinkTimeMinS: 0,
  thinkTimeMaxS: 0,
  workers: 2,
  poolSize: 32,
  preparedStatements: true,
  listenBacklog: 4096,
  dbCpus: 0.5,
  dbMemoryMiB: 512,
  maxConnections: 100,
  // Passwords are 128 random bits, which iterations do not make safer. PostgreSQL's default of 4096
  // costs each new connection 4 to 5 ms of the app's CPU: on one machine, that and not the database
  // would decide what reconnecting costs.
  scramIterations: 256,
  appCpus: null,
  appMemoryMiB: null,
  pgbouncerCpus: null,
  pgbouncerMemoryMiB: null,
  poolMode: "transaction",
  defaultPoolSize: 20,
  maxClientConn: 10_000,
  queryWaitTimeoutS: 15,
  maxPreparedStatements: 200,
  rttAppDbMs: 0,
  rttAppPgbouncerMs: 0,
  rttPgbouncerDbMs: 0,
  tlsAppDb: false,
  tlsAppPgbouncer: false,
  tlsPgbouncerDb: false,
  appDelayMs: 0,
  replica: 0,
};

/** Equal connection budgets: 2 workers × 32 threads, or 2 workers × a pool of 32. */
const BY_FRAMEWORK: Record<Framework, Pick<Scenario, "threads" | "reuse">> = {
  fastapi: { threads: 1, reuse: "app_pool" },
  django: { threads: 32, reuse: "persistent" },
  flask: { threads: 32, reuse: "app_pool" },
};

const PGBOUNCER_KEYS: ScenarioKey[] = [
  "pgbouncerCpus",
  "pgbouncerMemoryMiB",
  "poolMode",
  "defaultPoolSize",
  "maxClientConn",
  "queryWaitTimeoutS",
  "maxPreparedStatements",
  "rttAppPgbouncerMs",
  "rttPgbouncerDbMs",
  "tlsAppPgbouncer",
  "tlsPgbouncerDb",
];

/** Of the leg that there is only without PgBouncer. */
const DIRECT_KEYS: ScenarioKey[] = ["rttAppDbMs", "tlsAppDb"];

type Rule = { choices: readonly string[] } | {
  min: number;
  max?: number;
  whole?: boolean;
  above?: boolean;
  orNull?: boolean;
} | "boolean";

/** What each field accepts: one table for plans, `--set` and notebooks alike. */
const RULES: Record<ScenarioKey, Rule> = {
  framework: { choices: FRAMEWORKS },
  path: { choices: PATHS },
  users: { min: 1, whole: true, orNull: true },
  arrivalRate: { min: 0, above: true, orNull: true },
  arrivals: { choices: ARRIVALS },
  client: { choices: CLIENTS },
  spawnRate: { min: 0, above: true },
  thinkTimeMinS: { min: 0 },
  thinkTimeMaxS: { min: 0 },
  workers: { min: 1, whole: true },
  threads: { min: 1, whole: true },
  poolSize: { min: 1, whole: true },
  reuse: { choices: REUSES },
  preparedStatements: "boolean",
  listenBacklog: { min: 1, whole: true },
  dbCpus: { min: 0, above: true, orNull: true },
  dbMemoryMiB: { min: 0, above: true, orNull: true },
  maxConnections: { min: 4, whole: true },
  scramIterations: { min: 1, whole: true },
  appCpus: { min: 0, above: true, orNull: true },
  appMemoryMiB: { min: 0, above: true, orNull: true },
  pgbouncerCpus: { min: 0, above: true, orNull: true },
  pgbouncerMemoryMiB: { min: 0, above: true, orNull: true },
  poolMode: { choices: POOL_MODES },
  defaultPoolSize: { min: 1, whole: true },
  maxClientConn: { min: 1, whole: true },
  queryWaitTimeoutS: { min: 0 },
  maxPreparedStatements: { min: 0, whole: true },
  rttAppDbMs: { min: 0, max: 1000 },
  rttAppPgbouncerMs: { min: 0, max: 1000 },
  rttPgbouncerDbMs: { min: 0, max: 1000 },
  tlsAppDb: "boolean",
  tlsAppPgbouncer: "boolean",
  tlsPgbouncerDb: "boolean",
  appDelayMs: { min: 0, max: 1000 },
  replica: { min: 0, max: 9, whole: true },
};

/** The fields of a scenario, in the order in which tables show them. */
export const SCENARIO_KEYS = Object.keys(RULES) as ScenarioKey[];

function describeRule(rule: Rule): string {
  if (rule === "boolean") return "true or false";
  if ("choices" in rule) return `one of ${rule.choices.join(", ")}`;
  const kind = rule.whole ? "a whole number" : "a number";
  const most = rule.max === undefined ? "" : ` and at most ${rule.max}`;
  return `${kind} ${rule.above ? "above" : "of at least"} ${rule.min}${most}${
    rule.orNull ? " or null" : ""
  }`;
}

function accepts(rule: Rule, value: unknown): boolean {
  if (rule === "boolean") return typeof value === "boolean";
  if ("choices" in rule) return typeof value === "string" && rule.choices.includes(value);
  if (value === null) return rule.orNull === true;
  if (typeof value !== "number" || !Number.isFinite(value)) return false;
  if (rule.whole && !Number.isInteger(value)) return false;
  if (value > (rule.max ?? Infinity)) return false;
  return rule.above ? value > rule.min : value >= rule.min;
}

/**
 * What settings of the app or the direct path, where they are set, mean for PgBouncer. With prepared
 * statements off it must not prepare by itself what asyncpg sends under a name. It stands beside the
 * database, as far from the app, and who encrypts one way encrypts all.
 */
export function pgbouncerFor(
  { preparedStatements, rttAppDbMs, tlsAppDb }: Partial<Scenario>,
): Partial<Scenario> {
  return {
    ...(preparedStatements !== undefined && {
      maxPreparedStatements: preparedStatements ? COMMON.maxPreparedStatements : 0,
    }),
    ...(rttAppDbMs !== undefined && { rttAppPgbouncerMs: rttAppDbMs }),
    ...(tlsAppDb !== undefined && { tlsAppPgbouncer: tlsAppDb, tlsPgbouncerDb: tlsAppDb }),
  };
}

/**
 * The legs of a scenario's path.
 *
 * @example
 * ```ts
 * import { createScenario, legsOf } from "poolscope";
 *
 * const scenario = createScenario({ framework: "flask", path: "pooled", users: 1, rttAppDbMs: 2 });
 * console.assert(legsOf(scenario).map((leg) => leg.rttMs).join() === "2,0");
 * ```
 */
export function legsOf(scenario: Scenario): Leg[] {
  if (scenario.path === "direct") {
    return [{ name: "appDb", rttMs: scenario.rttAppDbMs, tls: scenario.tlsAppDb }];
  }
  return [
    {
      name: "appPgbouncer",
      rttMs: scenario.rttAppPgbouncerMs,
      tls: scenario.tlsAppPgbouncer,
    },
    { name: "pgbouncerDb", rttMs: scenario.rttPgbouncerDbMs, tls: scenario.tlsPgbouncerDb },
  ];
}

/** Three places of which one way round is shorter than the straight way favour one of the paths. */
function checkDistances(scenario: Scenario): void {
  const { rttAppDbMs, rttAppPgbouncerMs, rttPgbouncerDbMs } = scenario;
  const least = Math.abs(rttAppPgbouncerMs - rttPgbouncerDbMs);
  const most = rttAppPgbouncerMs + rttPgbouncerDbMs;
  if (rttAppDbMs < least - 1e-9 || rttAppDbMs > most + 1e-9) {
    throw new UsageError(
      `Cannot build scenario: rttAppDbMs is ${rttAppDbMs}, but with ${rttAppPgbouncerMs} ms from the app to PgBouncer and ${rttPgbouncerDbMs} ms from there to PostgreSQL it lies between ${least} and ${most}; set all three`,
    );
  }
}

/**
 * Builds one scenario from the values that differ from the defaults.
 *
 * @param values At least framework, path and either users or arrivalRate.
 * @returns The whole record, checked.
 * @throws {UsageError} If a field is unknown or its value is out of range.
 *
 * @example
 * ```ts
 * import { createScenario } from "poolscope";
 *
 * const scenario = createScenario({ framework: "flask", path: "pooled", users: 100 });
 * console.assert(scenario.defaultPoolSize === 20 && scenario.workers * scenario.threads === 64);
 * ```
 */
export function createScenario(
  values: Partial<Scenario> & Pick<Scenario, "framework" | "path">,
): Scenario {
  for (const [key, value] of Object.entries(values)) {
    const rule = RULES[key as ScenarioKey];
    if (rule === undefined) {
      throw new UsageError(
        `Cannot build scenario: unknown setting "${key}"${
          didYouMean(key, SCENARIO_KEYS)
        }; known settings are ${SCENARIO_KEYS.join(", ")}`,
      );
    }
    if (!accepts(rule, value)) {
      throw new UsageError(
        `Cannot build scenario: ${key} is ${JSON.stringify(value)}, must be ${describeRule(rule)}`,
      );
    }
  }
  for (const key of ["framework", "path"] as const) {
    if (values[key] === undefined) {
      throw new UsageError(`Cannot build scenario: ${key} is missing`);
    }
  }
  const merged = {
    ...COMMON,
    ...BY_FRAMEWORK[values.framework],
    ...pgbouncerFor(values),
    ...values,
  };
  const scenario = Object.fromEntries(
    SCENARIO_KEYS.map((key) => [key, merged[key]]),
  ) as unknown as Scenario;
  checkLoad(scenario);
  if (scenario.thinkTimeMaxS < scenario.thinkTimeMinS) {
    throw new UsageError(
      `Cannot build scenario: thinkTimeMaxS is ${scenario.thinkTimeMaxS}, below thinkTimeMinS ${scenario.thinkTimeMinS}`,
    );
  }
  if (scenario.framework === "fastapi" && scenario.threads !== 1) {
    throw new UsageError(
      `Cannot build scenario: threads is ${scenario.threads} for ${
        appTitle(scenario.framework)
      }, whose workers run an event loop; leave it at 1 and set workers or poolSize`,
    );
  }
  if (scenario.framework !== "django" && scenario.reuse === "persistent") {
    throw new UsageError(
      `Cannot build scenario: reuse is "persistent" for ${
        appTitle(scenario.framework)
      }, which keeps connections in a pool; use "app_pool" or "per_request"`,
    );
  }
  checkDistances(scenario);
  return scenario;
}

/** Either a number of users or an arrival rate, and nothing that would have no effect unnoticed. */
function checkLoad({ users, arrivalRate, arrivals }: Scenario): void {
  const choose = "give users for a closed loop or arrivalRate for an open one";
  if (users === null && arrivalRate === null) {
    throw new UsageError(`Cannot build scenario: users is missing; ${choose}`);
  }
  if (users !== null && arrivalRate !== null) {
    throw new UsageError(
      `Cannot build scenario: users is ${users} and arrivalRate is ${arrivalRate}; ${choose}`,
    );
  }
  if (arrivalRate === null && arrivals !== "constant") {
    throw new UsageError(
      `Cannot build scenario: arrivals is "${arrivals}" in a closed loop, which has none; give arrivalRate instead of users`,
    );
  }
}

/**
 * Parses one `key=value` of `--set` into a scenario field.
 *
 * @throws {UsageError} If the field is unknown or the text is not a value of its kind.
 *
 * @example
 * ```ts
 * import { parseSetting } from "poolscope";
 *
 * console.assert(parseSetting("dbCpus=none").dbCpus === null);
 * ```
 */
export function parseSetting(text: string): Partial<Scenario> {
  const at = text.indexOf("=");
  const key = text.slice(0, at) as ScenarioKey;
  const raw = text.slice(at + 1);
  const rule = at > 0 ? RULES[key] : undefined;
  if (rule === undefined) {
    throw new UsageError(
      `Cannot read --set "${text}"${
        didYouMean(key, SCENARIO_KEYS)
      }: expected SETTING=VALUE with SETTING one of ${SCENARIO_KEYS.join(", ")}`,
    );
  }
  let value: unknown = raw;
  if (rule === "boolean") value = raw === "true" ? true : raw === "false" ? false : raw;
  else if ("min" in rule) value = raw === "none" && rule.orNull ? null : Number(raw || NaN);
  if (!accepts(rule, value)) {
    throw new UsageError(`Cannot read --set "${text}": ${key} must be ${describeRule(rule)}`);
  }
  return { [key]: value };
}

const CLOSED_LOOP_KEYS: ScenarioKey[] = ["users", "spawnRate", "thinkTimeMinS", "thinkTimeMaxS"];
const OPEN_LOOP_KEYS: ScenarioKey[] = ["arrivalRate", "arrivals"];
/** How much load there is: one arm is run at several. */
const LEVEL_KEYS: ScenarioKey[] = ["users", "spawnRate", "arrivalRate"];
/** Settings that came later: their defaults are left out, so that ids stay those of before. */
const LATER_KEYS: ScenarioKey[] = [
  "client",
  "rttAppDbMs",
  "rttAppPgbouncerMs",
  "rttPgbouncerDbMs",
  "tlsAppDb",
  "tlsAppPgbouncer",
  "tlsPgbouncerDb",
  "appDelayMs",
  "replica",
];

/** A scenario for hashing: without what came later, where that is at its default. */
export function withoutLaterDefaults(scenario: Scenario): Partial<Scenario> {
  return Object.fromEntries(
    SCENARIO_KEYS
      .filter((key) =>
        !LATER_KEYS.includes(key) || scenario[key] !== COMMON[key as keyof typeof COMMON]
      )
      .map((key) => [key, scenario[key]]),
  );
}

/**
 * The settings that act in this scenario: those of the other path's legs and services do not, nor do
 * those of the other loop.
 */
function actingSettings(scenario: Scenario): Partial<Scenario> {
  const idle = [
    ...(scenario.path === "pooled" ? DIRECT_KEYS : PGBOUNCER_KEYS),
    ...(scenario.arrivalRate === null ? OPEN_LOOP_KEYS : CLOSED_LOOP_KEYS),
  ];
  return Object.fromEntries(
    Object.entries(withoutLaterDefaults(scenario))
      .filter(([key]) => !idle.includes(key as ScenarioKey)),
  );
}

/**
 * The id of a scenario: readable parts first, then a hash of all values that act in it, so that
 * two scenarios share an id exactly when they are the same cell. It is the run's folder name.
 *
 * @example
 * ```ts
 * import { createScenario, scenarioId } from "poolscope";
 *
 * const a = createScenario({ framework: "flask", path: "direct", users: 10 });
 * console.assert(scenarioId(a).startsWith("flask-direct-10u-"));
 * // PgBouncer's settings do not act on the direct path:
 * console.assert(scenarioId({ ...a, defaultPoolSize: 5 }) === scenarioId(a));
 * ```
 */
export function scenarioId(scenario: Scenario): string {
  const hash = createHash("sha256").update(JSON.stringify(actingSettings(scenario))).digest("hex");
  const level = scenario.users === null ? `${scenario.arrivalRate}rps` : `${scenario.users}u`;
  return `${scenario.framework}-${scenario.path}-${level}-${hash.slice(0, 8)}`;
}

/** How much load a scenario gets: users, or an arrival rate. */
export type LoadLevel = Pick<Scenario, "users" | "arrivalRate">;

/**
 * The load in words, for labels and columns: `100 users` (closed loop) or `200/s` (open loop).
 *
 * @example
 * ```ts
 * import { levelLabel } from "poolscope";
 *
 * console.assert(levelLabel({ users: 100, arrivalRate: null }) === "100 users");
 * console.assert(levelLabel({ users: null, arrivalRate: 200 }) === "200/s");
 * ```
 */
export function levelLabel({ users, arrivalRate }: LoadLevel): string {
  return users === null ? `${arrivalRate}/s` : `${users} user${users === 1 ? "" : "s"}`;
}

/** Orders levels: users first, then arrival rates, each from the smallest. */
export function compareLevels(a: LoadLevel, b: LoadLevel): number {
  if ((a.users === null) !== (b.users === null)) return a.users === null ? 1 : -1;
  return (a.users ?? a.arrivalRate!) - (b.users ?? b.arrivalRate!);
}

/** The different levels among some scenarios, in order; see {@linkcode compareLevels}. */
export function loadLevels(scenarios: readonly LoadLevel[]): LoadLevel[] {
  const levels = new Map<string, LoadLevel>();
  for (const { users, arrivalRate } of scenarios) {
    levels.set(levelLabel({ users, arrivalRate }), { users, arrivalRate });
  }
  return [...levels.values()].sort(compareLevels);
}

/** What a comparison compares: the settings of a scenario, whatever its load level. */
function armSettings(scenario: Scenario): Partial<Scenario> {
  return Object.fromEntries(
    Object.entries(actingSettings(scenario)).filter(([key, value]) =>
      !LEVEL_KEYS.includes(key as ScenarioKey) &&
      // What only one kind of loop has tells arms apart only where it is not the default.
      !([...CLOSED_LOOP_KEYS, ...OPEN_LOOP_KEYS].includes(key as ScenarioKey) &&
        value === COMMON[key as keyof typeof COMMON])
    ),
  );
}

/**
 * The name of an arm by framework and path, which causes begin with: `FastAPI direct`.
 *
 * @param scenario A scenario of the arm.
 */
export function armName({ framework, path }: Pick<Scenario, "framework" | "path">): string {
  return `${appTitle(framework)} ${path}`;
}

/**
 * Names the arms of a set of scenarios: their {@linkcode armName}, those settings that differ between arms
 * of the same framework and path, and `A/A` for a copy.
 *
 * @param scenarios The scenarios of one plan.
 * @returns The arm's label for each scenario id.
 *
 * @example
 * ```ts
 * import { armLabels, createScenario, scenarioId } from "poolscope";
 *
 * const base = { framework: "django", path: "direct", users: 10 } as const;
 * const kept = createScenario(base);
 * const churning = createScenario({ ...base, reuse: "per_request" });
 * const labels = armLabels([kept, churning]);
 * console.assert(labels.get(scenarioId(churning)) === "Django direct, reuse=per_request");
 * ```
 */
export function armLabels(scenarios: Scenario[]): Map<string, string> {
  const groups = new Map<string, Scenario[]>();
  for (const scenario of scenarios) {
    const group = armName(scenario);
    groups.set(group, [...(groups.get(group) ?? []), scenario]);
  }
  const labels = new Map<string, string>();
  for (const [group, members] of groups) {
    const varying = SCENARIO_KEYS.filter((key) =>
      key !== "replica" && new Set(members.map((member) => armSettings(member)[key])).size > 1
    );
    for (const member of members) {
      const suffix = varying.map((key) => `, ${key}=${member[key]}`).join("");
      const { replica } = member;
      const copy = replica === 0 ? "" : `, A/A${replica === 1 ? "" : ` ${replica}`}`;
      labels.set(scenarioId(member), group + suffix + copy);
    }
  }
  return labels;
}
