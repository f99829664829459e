/**
 * A plan is a named list of scenarios with durations and rounds. Plans are values: expanding one into
 * runs, and the order of those runs, needs nothing but the plan itself.
 */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { z } from "zod";
import { addRecordedApp, type AppRecord, recordApp } from "./apps/app.ts";
import { UsageError } from "./errors.ts";
import { explainFault, readJson } from "./json.ts";
import { FRAMEWORKS, NAMED_PLANS, PLAN_NAMES } from "./named_plans.ts";
import { checkChoices, checkKeys, didYouMean } from "./nearest.ts";
import {
  createScenario,
  hasOwnUsers,
  levelLabel,
  type LoadLevel,
  PATHS,
  pgbouncerFor,
  type Scenario,
  scenarioId,
  type ScenarioValues,
  withoutLaterDefaults,
} from "./scenario.ts";

export { FRAMEWORKS, PLAN_NAMES } from "./named_plans.ts";

const NAME = "a text of lower-case letters, digits, - and _";
const COUNT = "a whole number of at least 1";
const SECONDS = "a number of at least 0";
const ABOVE = "a number above 0";
const SHARES = "a list of numbers above 0";
const SCENARIOS = "a list of scenarios";

/** How arms that are compared are measured; `consecutive` where a plan does not say. */
export const DESIGNS = ["alternating", "consecutive"] as const;

/** An arm's warm-up takes at least so many seconds where arms take turns. */
export const LEAST_WARM_UP_S = 6;

/** Seconds that starting, verifying and ending arms that stand side by side take, about. */
export const GROUP_START_S = 6;

const count = () => z.int(COUNT).min(1, COUNT);
const warmUpS = z.number(SECONDS).min(0, SECONDS)
  .describe("Seconds between the start of the load and the measurement window.");
const windowS = z.number(ABOVE).gt(0, ABOVE)
  .describe("Length of the measurement window in seconds.");

const OPEN_LOOP = z.strictObject({
  shares: z.array(z.number(ABOVE).gt(0, ABOVE), SHARES).min(1, SHARES)
    .describe(
      "Arrival rates as shares of what the weaker of two compared arms answered; each above 0.",
    ),
  rounds: count().describe("Passes over all of its scenarios."),
  warmUpS,
  windowS,
}, "an object");

const APP = z.union(
  [z.string(), z.looseObject({ folder: z.string() })],
  "the path of a folder, or a record of one",
);

/**
 * A plan file; `$schema` is an editor's own, which finds the schema by it. Each message says what its
 * field must be; the settings of a scenario have rules of their own.
 */
export const PLAN_FILE = z.strictObject({
  $schema: z.string("a text").optional(),
  name: z.string(NAME).regex(/^[a-z0-9][a-z0-9_-]*$/, NAME)
    .describe("The plan's name; the study's name begins with it."),
  purpose: z.string("a text").optional()
    .describe("One sentence: what the plan is for."),
  functionalCheck: z.boolean("true or false").optional()
    .describe("True when the plan is too short to conclude anything; every report of it says so."),
  warmUpS,
  windowS,
  design: z.enum(DESIGNS, `one of ${DESIGNS.join(", ")}`).optional()
    .describe(
      "alternating: arms that are compared stand side by side and take turns under load, slice by " +
        "slice of windowS or more, and rounds are starts; consecutive: one scenario at a time.",
    ),
  minutes: z.number(ABOVE).gt(0, ABOVE).optional()
    .describe("Minutes that all starts of an alternating study take together, about."),
  rounds: count().describe("Passes over all scenarios."),
  maxRounds: count().optional()
    .describe("Rounds to which undecided comparisons are extended at most; no fewer than rounds."),
  seed: z.int("a whole number").optional()
    .describe("Seed of the order within each round and of the load's choices."),
  scenarios: z.array(z.record(z.string(), z.unknown(), "an object"), SCENARIOS).min(1, SCENARIOS)
    .describe("The cells: whatever differs from the defaults."),
  apps: z.record(z.string(), APP, "an object of folders by name").optional()
    .describe(
      "Folders of apps that are not in apps/, by name; a scenario may name a path instead.",
    ),
  openLoop: OPEN_LOOP.optional()
    .describe("The open loop that follows: all arms again, at arrival rates."),
}, "an object");

export type PlanFile = z.infer<typeof PLAN_FILE>;

/** A named list of scenarios, and how long and how often each is run: a {@linkcode PLAN_FILE}, complete. */
export interface Plan extends Omit<PlanFile, "$schema" | "scenarios" | "apps"> {
  purpose: string;
  functionalCheck: boolean;
  seed: number;
  /** The cells, in the order in which tables list them. */
  scenarios: Scenario[];
  /** The apps of scenarios that are not in `apps/`, by name. @default none */
  apps?: Record<string, AppRecord>;
}

/** One run to do: a scenario in a round, and its place in the order of the study. */
export interface PlannedRun {
  /** The scenario's id, which is its folder name. */
  id: string;
  /** The scenario itself. */
  scenario: Scenario;
  /** The round, from 1. */
  round: number;
  /** The place in the study's order, from 1. */
  order: number;
}

/**
 * A plan by name, or from a JSON file when the name ends with `.json`.
 *
 * @param name One of {@linkcode PLAN_NAMES} or the path of a plan file.
 * @throws {UsageError} If there is no such plan, or the file is not a plan.
 *
 * @example
 * ```ts
 * import { namedPlan } from "poolscope";
 *
 * console.assert(namedPlan("frameworks").rounds === 3);
 * ```
 */
export function namedPlan(name: string): Plan {
  if (name.endsWith(".json")) return readPlanFile(name);
  if (Object.hasOwn(NAMED_PLANS, name)) {
    return parsePlan(JSON.stringify({ name, ...NAMED_PLANS[name] }), name);
  }
  throw new UsageError(
    `Cannot use plan "${name}": no such plan${didYouMean(name, PLAN_NAMES)}; the plans are ${
      PLAN_NAMES.join(", ")
    }, or give a file that ends with .json`,
  );
}

function readPlanFile(file: string): Plan {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const [reason] = (error as Error).message.split("\n");
    throw new UsageError(`Cannot read plan "${file}": ${reason}; give an existing file`, {
      cause: error,
    });
  }
  return parsePlan(text, file);
}

/**
 * Reads a plan from JSON. Scenarios may give only what differs from the defaults.
 *
 * @param text The JSON text: `name`, `rounds`, `warmUpS`, `windowS` and `scenarios`, and
 * optionally `purpose`, `seed`, `functionalCheck`, `maxRounds` and `openLoop`.
 * @param source What to call the text in errors, such as its file name.
 * @throws {UsageError} If the text is not JSON or a field is missing, unknown or out of range.
 *
 * @example
 * ```ts
 * import { parsePlan } from "poolscope";
 *
 * const plan = parsePlan(
 *   `{"name": "mine", "rounds": 2, "warmUpS": 1, "windowS": 5,
 *     "scenarios": [{"framework": "node", "path": "direct", "users": 50}]}`,
 *   "mine.json",
 * );
 * console.assert(plan.scenarios[0]!.maxConnections === 100);
 * ```
 */
export function parsePlan(text: string, source: string): Plan {
  const fail = (what: string): never => {
    throw new UsageError(`Cannot read plan "${source}": ${what}`);
  };
  const given = readJson(text, `plan "${source}"`);
  const fault = explainFault(PLAN_FILE, given);
  if (fault !== null) fail(fault);
  const value = given as PlanFile;
  const apps = Object.values(value.apps ?? {}) as (string | AppRecord)[];
  for (const app of apps) addRecordedApp(app);
  const scenarios = value.scenarios.map((scenario, i) => {
    try {
      return createScenario(scenario as Scenario);
    } catch (error) {
      return fail(`scenario ${i + 1}: ${(error as Error).message}`);
    }
  });
  const { maxRounds, openLoop } = value;
  // Its hash goes by the order of the fields.
  const plan: Plan = {
    name: value.name,
    purpose: value.purpose ?? `The plan of ${source}.`,
    functionalCheck: value.functionalCheck ?? false,
    warmUpS: value.warmUpS,
    windowS: value.windowS,
    ...(value.design !== undefined && { design: value.design }),
    ...(value.minutes !== undefined && { minutes: value.minutes }),
    rounds: value.rounds,
    ...(maxRounds !== undefined && { maxRounds }),
    seed: value.seed ?? 1,
    scenarios,
    ...recordApps(scenarios),
    ...(openLoop !== undefined && { openLoop }),
  };
  if (maxRounds !== undefined && maxRounds < plan.rounds) {
    fail(`maxRounds is ${maxRounds}, below rounds ${plan.rounds}`);
  }
  if (openLoop !== undefined && scenarios.every(({ users }) => users === null)) {
    fail("it has an openLoop and no scenario with users, whose throughput that would go by");
  }
  if (value.minutes !== undefined && value.design !== "alternating") {
    fail('it has minutes, and not the design "alternating", whose length they are');
  }
  checkCopies(scenarios, fail);
  return plan;
}

/** Refuses two scenarios of the same values, and copies of none. */
function checkCopies(scenarios: readonly Scenario[], fail: (what: string) => never): void {
  const ids = new Set(scenarios.map(scenarioId));
  if (ids.size < scenarios.length) {
    fail(
      "two scenarios have the same values; use rounds to repeat a scenario, or replica for an A/A copy",
    );
  }
  for (const [i, scenario] of scenarios.entries()) {
    if (scenario.replica === 0 || ids.has(scenarioId({ ...scenario, replica: 0 }))) continue;
    fail(`scenario ${i + 1} is a copy of one that the plan does not have; add it without replica`);
  }
}

/** What narrows or changes a plan: the filters and overrides of the command line. */
export interface PlanChanges
  extends Partial<Pick<Plan, "warmUpS" | "windowS" | "seed" | "design" | "minutes">> {
  /** Keep only these frameworks. @default all */
  frameworks?: string[];
  /**
   * Run the plan's cells with these apps instead of its own, by their names or paths of folders: what
   * it sets for its first app, each of these is given. @default the plan's
   */
  apps?: string[];
  /** Keep only these paths. @default both */
  paths?: string[];
  /**
   * Keep these numbers of users; a number that the plan does not have is added, with the settings
   * of the plan's other cells of that arm. @default the plan's
   */
  users?: number[];
  /**
   * Run the plan's arms in an open loop at these arrival rates, in requests per second, instead of
   * at its levels; besides `users`, where those are given too. @default the plan's
   */
  arrivalRates?: number[];
  /** Pooled cells with each of these default_pool_sizes, of which one is selected. @default the plan's */
  poolSizes?: number[];
  /** Settings given to every scenario. @default none */
  settings?: ScenarioValues;
  /** Rounds, warm-up and window of the open loop become no longer than these. @default the plan's */
  rounds?: number;
  /** Rounds of undecided comparisons. @default the plan's; with `rounds`, no more than those */
  maxRounds?: number;
  /** False leaves the open loop out that follows. @default the plan's */
  openLoop?: false;
}

const CHANGES: Record<keyof PlanChanges, true> = {
  frameworks: true,
  apps: true,
  paths: true,
  users: true,
  arrivalRates: true,
  poolSizes: true,
  settings: true,
  rounds: true,
  maxRounds: true,
  warmUpS: true,
  windowS: true,
  design: true,
  minutes: true,
  openLoop: true,
  seed: true,
};

/**
 * Narrows a plan to some cells and changes settings, checking everything.
 *
 * @returns A new plan; the given one stays as it is.
 * @throws {UsageError} If a filter names something unknown or nothing is left.
 *
 * @example
 * ```ts
 * import { changePlan, namedPlan } from "poolscope";
 *
 * const all = namedPlan("frameworks");
 * const plan = changePlan(all, { frameworks: [all.scenarios[0]!.framework], users: [500] });
 * console.assert(plan.scenarios.length === 2);
 * ```
 */
export function changePlan(plan: Plan, changes: PlanChanges): Plan {
  checkKeys<PlanChanges>("a plan's changes", changes, CHANGES);
  const { rounds = Infinity, warmUpS = Infinity, windowS = Infinity } = changes;
  const scenarios = changeCells(plan, changes);
  const { openLoop } = plan;
  const closed = scenarios.some(({ users }) => users !== null);
  // What an app of a plan that stays as it is has become since is not asked.
  const follows = closed && (changes.apps === undefined || !scenarios.every(hasOwnUsers));
  const design = changes.design ?? plan.design;
  const changed: Plan = {
    ...plan,
    design,
    minutes: changes.minutes ??
      (design === "alternating" ? minutesFor(plan, scenarios.length) : undefined),
    maxRounds: changes.maxRounds ?? (changes.rounds === undefined ? plan.maxRounds : undefined),
    rounds: changes.rounds ?? plan.rounds,
    warmUpS: changes.warmUpS ?? plan.warmUpS,
    windowS: changes.windowS ?? plan.windowS,
    seed: changes.seed ?? plan.seed,
    scenarios,
    openLoop: openLoop === undefined || changes.openLoop === false || !follows ? undefined : {
      ...openLoop,
      rounds: Math.min(openLoop.rounds, rounds),
      warmUpS: Math.min(openLoop.warmUpS, warmUpS),
      windowS: Math.min(openLoop.windowS, windowS),
    },
  };
  return parsePlan(JSON.stringify(changed), plan.name);
}

/** No fewer minutes than this are left of a plan's where it is narrowed: few arms may be slow ones. */
const LEAST_MINUTES = 4;

/** A plan's minutes when it has so many cells instead of its own. */
function minutesFor({ minutes, scenarios }: Plan, cells: number): number | undefined {
  if (minutes === undefined || cells === scenarios.length) return minutes;
  const scaled = Math.round(10 * minutes * cells / scenarios.length) / 10;
  return Math.max(Math.min(minutes, LEAST_MINUTES), scaled);
}

/** The cells that a plan's changes leave, with what they change. */
function changeCells(plan: Plan, changes: PlanChanges): Scenario[] {
  const known = [...new Set([...FRAMEWORKS, ...plan.scenarios.map((one) => one.framework)])];
  const frameworks = checkChoices("framework", changes.frameworks, known);
  const paths = checkChoices("path", changes.paths, PATHS);
  const settings = checkSettings(changes.settings);
  const levels = changedLevels(changes, settings);
  const given = changes.apps?.flatMap((app) => giveToApp(plan.scenarios, app));
  const kept = (given ?? plan.scenarios.filter((one) => frameworks.includes(one.framework)))
    .filter(({ path, replica }) => paths.includes(path) && replica === 0);
  // A plan's scenarios name every setting, so what a changed one implies has to be changed too.
  const changed = (scenario: Scenario, level?: LoadLevel) =>
    createScenario({ ...scenario, ...level, ...pgbouncerFor(settings), ...settings });
  const cells = new Map<string, Scenario>();
  const add = (cell: Scenario) => cells.set(scenarioId(cell), cell);
  for (const scenario of kept) {
    for (const level of levels.length === 0 ? [undefined] : levels) {
      withSizes(changed(scenario, level), changes.poolSizes).forEach(add);
    }
  }
  const copies = (given ?? plan.scenarios).filter(({ replica }) => replica > 0);
  const keptCopies = copies.map((copy) => ({ ...changed(copy), replica: copy.replica }))
    .filter((copy) => cells.has(scenarioId({ ...copy, replica: 0 })));
  // A plan with an A/A arm keeps one, whatever is left of it.
  const last = [...cells.values()].at(-1);
  if (copies.length > 0 && keptCopies.length === 0 && last !== undefined) {
    keptCopies.push({ ...last, replica: 1 });
  }
  keptCopies.forEach(add);
  if (cells.size > 0) return [...cells.values()];
  throw new UsageError(
    `Cannot narrow plan "${plan.name}": no scenario is left for ${frameworks.join(", ")} × ${
      paths.join(", ")
    }`,
  );
}

/** A pooled cell with each of these pool sizes; any other as it is. */
function withSizes(cell: Scenario, sizes: readonly number[] = []): Scenario[] {
  return cell.path === "direct" || sizes.length === 0
    ? [cell]
    : sizes.map((defaultPoolSize) => createScenario({ ...cell, defaultPoolSize }));
}

/** Settings for every scenario of a plan; one of one loop ends the plan's other loop. */
function checkSettings(given: ScenarioValues = {}): ScenarioValues {
  const { users, arrivalRate, replica } = given;
  if (replica !== undefined) {
    throw new UsageError(
      "Cannot set replica for every scenario: it names one copy of a scenario, for a plan file",
    );
  }
  if (arrivalRate != null && users === undefined) return { ...given, users: null };
  if (users != null && arrivalRate === undefined) return { ...given, arrivalRate: null };
  return given;
}

/** The levels of load that a plan is given instead of its own; none where it keeps them. */
function changedLevels(
  { users = [], arrivalRates = [] }: PlanChanges,
  settings: ScenarioValues,
): LoadLevel[] {
  for (const n of users) {
    if (Number.isInteger(n) && n >= 1) continue;
    throw new UsageError(`Cannot use users "${n}": must be a whole number of at least 1`);
  }
  for (const rate of arrivalRates) {
    if (Number.isFinite(rate) && rate > 0) continue;
    throw new UsageError(`Cannot use arrival rate "${rate}": must be a number above 0`);
  }
  const levels: LoadLevel[] = [
    ...users.map((users) => ({ users, arrivalRate: null })),
    ...arrivalRates.map((arrivalRate) => ({ users: null, arrivalRate })),
  ];
  const set = settings.users ?? settings.arrivalRate;
  if (levels.length === 0 || set == null) return levels;
  throw new UsageError(
    `Cannot use ${levels.map(levelLabel).join(", ")} with ${
      settings.users == null ? "arrivalRate" : "users"
    }=${set}: give the load once`,
  );
}

/** The cells of a plan's first app as those of another, with what they set beside the first's defaults. */
function giveToApp(scenarios: readonly Scenario[], app: string): Scenario[] {
  const [first] = scenarios;
  return scenarios.filter(({ framework }) => framework === first!.framework).map((scenario) => {
    const { framework, path, users, arrivalRate } = scenario;
    const cell = { path, users, arrivalRate };
    const defaults = createScenario({ framework, ...cell });
    const set = Object.entries(scenario)
      .filter(([key, value]) => value !== defaults[key as keyof Scenario]);
    return createScenario({ ...Object.fromEntries(set), framework: app, ...cell });
  });
}

/** Where the apps of scenarios are that are not in `apps/`, and what they are. */
function recordApps(scenarios: readonly Scenario[]): Pick<Plan, "apps"> {
  const names = [...new Set(scenarios.map(({ framework }) => framework))];
  const records = names.flatMap((name) => {
    const record = recordApp(name);
    return record === null ? [] : [[name, record]];
  });
  return records.length === 0 ? {} : { apps: Object.fromEntries(records) };
}

/**
 * SHA-256 of a plan's canonical JSON: two plans with one hash ask for the same runs. What an open
 * loop alone has is left out of a closed one, so that plans of the time before it keep their hash.
 */
export function planHash(plan: Plan): string {
  const scenarios = plan.scenarios.map((scenario) => {
    const { arrivalRate, arrivals: _, ...rest } = withoutLaterDefaults(scenario) as Scenario;
    return arrivalRate === null ? rest : scenario;
  });
  const { apps, ...rest } = plan;
  // Where an app is belongs to a plan; what is in it is among the inputs of its runs.
  const folders = apps && Object.entries(apps).map(([name, { folder }]) => [name, folder]);
  const asked = { ...rest, scenarios, ...(folders && { apps: folders }) };
  return createHash("sha256").update(JSON.stringify(asked)).digest("hex");
}

/** A seeded generator of uniform numbers in [0, 1): mulberry32, by Tommy Ettinger. */
export function uniformDraws(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Expands a plan into its runs: every scenario once in each round, in a seeded random order within
 * the round (Fisher–Yates), so that drift of the machine favours no arm.
 *
 * @param plan The plan.
 * @param rounds Rounds to expand. Of those beyond the plan's a study does only some scenarios; their
 * order and places are those of a whole round, whichever these are. @default the plan's
 *
 * @example
 * ```ts
 * import { namedPlan, planRuns } from "poolscope";
 *
 * const runs = planRuns(namedPlan("frameworks"));
 * console.assert(runs.length === 36 && runs[0]!.round === 1 && runs[35]!.round === 3);
 * ```
 */
export function planRuns(plan: Plan, rounds: number = plan.rounds): PlannedRun[] {
  const random = uniformDraws(plan.seed);
  const runs: PlannedRun[] = [];
  for (let round = 1; round <= rounds; round++) {
    const order = [...plan.scenarios];
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    for (const scenario of order) {
      runs.push({ id: scenarioId(scenario), scenario, round, order: runs.length + 1 });
    }
  }
  return runs;
}
