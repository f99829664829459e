/**
 * A scenario is one cell of a comparison: a flat record of everything that is set, with an id that is
 * derived from the values. Nothing is started here; bad values fail before anything runs.
 */

import { createHash } from "node:crypto";
import { type App, appDefaults, checkAppSettings, readApp } from "./apps/app.ts";
import { addAppFolder, appFolders, appTitle } from "./apps/folders.ts";
import { UsageError } from "./errors.ts";
import { didYouMean } from "./nearest.ts";
import {
  readServerSetting,
  serverSetting,
  type ServerSettingName,
  type ServerSettings,
} from "./server_settings.ts";
import {
  nameInTable,
  type REUSES,
  type Scenario,
  SCENARIO_KEYS,
  scenarioKeys,
  type ScenarioValues,
  type Setting,
  settingOf,
  SETTINGS,
} from "./settings.ts";

export { ARRIVALS, CLIENTS, PATHS, REUSES, SCENARIO_KEYS, scenarioKeys } from "./settings.ts";
export type { Path, Scenario, ScenarioKey, ScenarioValues } from "./settings.ts";

/** The name of an app, which is its folder's. */
export type Framework = string;
/** One of {@linkcode REUSES}. */
export type Reuse = typeof REUSES[number];

/** Two services that are connected, and the scenario's settings of the network between them. */
export interface Leg {
  /** As in the manifest. */
  name: "appDb" | "appPgbouncer" | "pgbouncerDb";
  /** Round-trip time in milliseconds; 0 for nothing in between. */
  rttMs: number;
  /** Whether its connections are encrypted. */
  tls: boolean;
}

/**
 * What settings of the app or the direct path, where they are set, mean for PgBouncer. With prepared
 * statements off it must not prepare by itself what a driver sends under a name. It stands beside the
 * database, as far from the app, and who encrypts one way encrypts all.
 */
export function pgbouncerFor(
  { preparedStatements, rttAppDbMs, tlsAppDb }: ScenarioValues,
): Partial<Scenario> {
  return {
    ...(preparedStatements !== undefined && {
      maxPreparedStatements: preparedStatements ? SETTINGS.maxPreparedStatements.default : 0,
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
 * const scenario = createScenario({ framework: "node", path: "pooled", users: 1, rttAppDbMs: 2 });
 * console.assert(legsOf(scenario).map((leg) => leg.rttMs).join() === "2,0");
 * ```
 */
export function legsOf(scenario: Scenario): Leg[] {
  if (scenario.path === "direct") {
    return [{ name: "appDb", rttMs: scenario.rttAppDbMs, tls: scenario.tlsAppDb }];
  }
  return [
    { name: "appPgbouncer", rttMs: scenario.rttAppPgbouncerMs, tls: scenario.tlsAppPgbouncer },
    { name: "pgbouncerDb", rttMs: scenario.rttPgbouncerDbMs, tls: scenario.tlsPgbouncerDb },
  ];
}

function refuse(what: string): never {
  throw new UsageError(`Cannot build scenario: ${what}`);
}

/** Three places of which one way round is shorter than the straight way favour one of the paths. */
function checkDistances({ rttAppDbMs, rttAppPgbouncerMs, rttPgbouncerDbMs }: Scenario): void {
  const least = Math.abs(rttAppPgbouncerMs - rttPgbouncerDbMs);
  const most = rttAppPgbouncerMs + rttPgbouncerDbMs;
  if (rttAppDbMs < least - 1e-9 || rttAppDbMs > most + 1e-9) {
    refuse(
      `rttAppDbMs is ${rttAppDbMs}, but with ${rttAppPgbouncerMs} ms from the app to PgBouncer and ${rttPgbouncerDbMs} ms from there to PostgreSQL it lies between ${least} and ${most}; set all three`,
    );
  }
}

const KNOWN_SETTINGS = [...SCENARIO_KEYS, "pgbouncer.NAME", "postgres.NAME"].join(", ");

/** A setting of a server by its own name, checked; null where it is none. */
function ofServer(key: string, value: unknown): ServerSettings | null {
  const theirs = serverSetting(key);
  if (theirs === null) return null;
  const own = key as ServerSettingName;
  return { [own]: readServerSetting(own, value, nameInTable(theirs.server, theirs.name)) };
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
 * const scenario = createScenario({ framework: "node", path: "pooled", users: 100 });
 * console.assert(scenario.defaultPoolSize === 20 && scenario.workers * scenario.poolSize === 64);
 * ```
 */
export function createScenario(
  values: ScenarioValues & Pick<Scenario, "framework" | "path">,
): Scenario {
  const ofServers: ServerSettings = {};
  for (const [key, value] of Object.entries(values)) {
    const theirs = ofServer(key, value);
    if (theirs !== null) {
      Object.assign(ofServers, theirs);
      continue;
    }
    const rule = settingOf(key)?.rule;
    if (rule === undefined) {
      const meant = didYouMean(key, SCENARIO_KEYS);
      return refuse(`unknown setting "${key}"${meant}; known settings are ${KNOWN_SETTINGS}`);
    }
    if (!rule.accepts(value)) refuse(`${key} is ${JSON.stringify(value)}, must be ${rule.words}`);
  }
  for (const key of ["framework", "path"] as const) {
    if (values[key] === undefined) refuse(`${key} is missing`);
  }
  const app = findApp(values.framework);
  const given: ScenarioValues = {
    ...appDefaults(app),
    ...pgbouncerFor(values),
    ...values,
    ...ofServers,
    framework: app.name,
  };
  const scenario = Object.fromEntries(
    scenarioKeys([given])
      .map((key) => [key, given[key] === undefined ? settingOf(key)!.default : given[key]]),
  ) as Scenario;
  checkLoad(scenario);
  checkAppSettings(app, scenario);
  checkDistances(scenario);
  return scenario;
}

/**
 * Refuses what the users of an app's own locustfile decide: they send what and when they want, and a
 * scenario says how many there are.
 */
export function checkOwnUsers(scenario: Scenario): void {
  const { title, locustfile } = readApp(scenario.framework);
  if (locustfile === undefined) return;
  for (const key of ["arrivalRate", "client", "thinkTimeMinS", "thinkTimeMaxS"] as const) {
    const value = scenario[key];
    if (value === SETTINGS[key].default) continue;
    throw new UsageError(
      `Cannot run ${armName(scenario)}: ${key} is ${
        JSON.stringify(value)
      }, but the users of ${title}'s ${locustfile} decide when and how they send; set users`,
    );
  }
}

/** Whether the users of an app's own locustfile send the requests: at no rate, and with pauses unknown. */
export function hasOwnUsers({ framework }: Pick<Scenario, "framework">): boolean {
  return readApp(framework).locustfile !== undefined;
}

/** The app of a name, or of a path, which is then known by its folder's name. */
function findApp(framework: string): App {
  if (framework.includes("/")) return readApp(addAppFolder(framework));
  const names = appFolders().map(({ name }) => name);
  if (names.includes(framework)) return readApp(framework);
  const meant = didYouMean(framework, names);
  return refuse(
    `framework is "${framework}"${meant}, must be one of ${
      names.join(", ")
    }, or the path of an app's folder`,
  );
}

/** Either a number of users or an arrival rate, and nothing that would have no effect unnoticed. */
function checkLoad(scenario: Scenario): void {
  const { users, arrivalRate, arrivals, thinkTimeMinS, thinkTimeMaxS } = scenario;
  const choose = "give users for a closed loop or arrivalRate for an open one";
  if (users === null && arrivalRate === null) refuse(`users is missing; ${choose}`);
  if (users !== null && arrivalRate !== null) {
    refuse(`users is ${users} and arrivalRate is ${arrivalRate}; ${choose}`);
  }
  if (arrivalRate === null && arrivals !== "constant") {
    refuse(
      `arrivals is "${arrivals}" in a closed loop, which has none; give arrivalRate instead of users`,
    );
  }
  if (thinkTimeMaxS < thinkTimeMinS) {
    refuse(`thinkTimeMaxS is ${thinkTimeMaxS}, below thinkTimeMinS ${thinkTimeMinS}`);
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
  const key = text.slice(0, at);
  const raw = text.slice(at + 1);
  const theirs = at > 0 ? ofServer(key, raw) : null;
  if (theirs !== null) return theirs;
  const rule = at > 0 ? settingOf(key)?.rule : undefined;
  if (rule === undefined) {
    throw new UsageError(
      `Cannot read --set "${text}"${
        didYouMean(key, SCENARIO_KEYS)
      }: expected SETTING=VALUE with SETTING one of ${KNOWN_SETTINGS}`,
    );
  }
  const value = rule.parse === undefined ? raw : rule.parse(raw);
  if (rule.accepts(value)) return { [key]: value } as Partial<Scenario>;
  throw new UsageError(`Cannot read --set "${text}": ${key} must be ${rule.words}`);
}

/** The settings of a scenario that stay, in the table's order. */
function keepSettings(
  scenario: Partial<Scenario>,
  stays: (row: Setting, isDefault: boolean) => boolean,
): Partial<Scenario> {
  const kept = scenarioKeys([scenario]).filter((key) => {
    const row = settingOf(key)!;
    return key in scenario && stays(row, scenario[key] === row.default);
  });
  return Object.fromEntries(kept.map((key) => [key, scenario[key]])) as Partial<Scenario>;
}

/** A scenario for hashing: without what came later, where that is at its default. */
export function withoutLaterDefaults(scenario: Scenario): Partial<Scenario> {
  return keepSettings(scenario, ({ since }, isDefault) => since === undefined || !isDefault);
}

/**
 * The settings that act in this scenario: those of the other path's legs and services do not, nor do
 * those of the other loop.
 */
function actingSettings(scenario: Scenario): Partial<Scenario> {
  const ofLoop = scenario.arrivalRate === null ? "closed" : "open";
  return keepSettings(
    withoutLaterDefaults(scenario),
    ({ path = scenario.path, loop = ofLoop }) => path === scenario.path && loop === ofLoop,
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
 * const a = createScenario({ framework: "node", path: "direct", users: 10 });
 * console.assert(scenarioId(a).startsWith("node-direct-10u-"));
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
  const levels = scenarios.map(({ users, arrivalRate }) => ({ users, arrivalRate }));
  const byLabel = new Map(levels.map((level) => [levelLabel(level), level]));
  return [...byLabel.values()].sort(compareLevels);
}

/** What a comparison compares: the settings of a scenario, whatever its load level. */
function armSettings(scenario: Scenario): Partial<Scenario> {
  // What only one kind of loop has tells arms apart only where it is not the default.
  return keepSettings(
    actingSettings(scenario),
    ({ level, loop }, isDefault) => !level && !(loop && isDefault),
  );
}

/** The name of an arm by app and path, which causes begin with: `Shop direct`. */
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
 * const base = { framework: "node", path: "direct", users: 10 } as const;
 * const kept = createScenario(base);
 * const churning = createScenario({ ...base, reuse: "per_request" });
 * const labels = armLabels([kept, churning]);
 * console.assert(labels.get(scenarioId(churning)) === "Node.js direct, reuse=per_request");
 * ```
 */
export function armLabels(scenarios: Scenario[]): Map<string, string> {
  const labels = new Map<string, string>();
  for (const [group, members] of Map.groupBy(scenarios, armName)) {
    const arms = members.map(armSettings);
    const varying = scenarioKeys(members).filter((key) =>
      key !== "replica" && new Set(arms.map((arm) => arm[key])).size > 1
    );
    for (const member of members) {
      const suffix = varying.map((key) =>
        `, ${key}=${member[key] === undefined ? "default" : member[key]}`
      );
      const { replica } = member;
      const copy = replica === 0 ? "" : `, A/A${replica === 1 ? "" : ` ${replica}`}`;
      labels.set(scenarioId(member), group + suffix.join("") + copy);
    }
  }
  return labels;
}
