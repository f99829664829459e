/**
 * A plan is a named list of scenarios with durations and rounds. Plans are values: expanding one
 * into runs, and the order of those runs, needs nothing but the plan itself.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { z } from "zod";
import { addRecordedApp, type AppRecord, recordApp } from "./apps/app.ts";
import { UsageError } from "./errors.ts";
import { explainFault } from "./json.ts";
import { FRAMEWORKS, NAMED_PLANS, PLAN_NAMES } from "./named_plans.ts";
import { checkChoices, checkKeys, didYouMean } from "./nearest.ts";
import { PLAN_FILE } from "./plan_fields.ts";
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

/**
 * The open loop that follows a plan's closed-loop runs: all arms again, at arrival rates that are
 * shares of what the weaker of two compared arms answered in the closed loop.
 */
export interface OpenLoopPlan {
  /** Shares of that capacity, above 0. */
  shares: number[];
  /** Passes over all of its scenarios. */
  rounds: number;
  /** Seconds between the start of the load and the measurement window. */
  warmUpS: number;
  /** Length of the measurement window in seconds. */
  windowS: number;
}

/** A named list of scenarios, and how long and how often each is run. */
export interface Plan {
  /** The plan's name; the study's name begins with it. */
  name: string;
  /** One sentence: what the plan is for. */
  purpose: string;
  /** True when the plan is too short to conclude anything; every report of it says so. */
  functionalCheck: boolean;
  /** Seconds between the start of the load and the measurement window; the ramp is part of it. */
  warmUpS: number;
  /** Length of the measurement window in seconds. */
  windowS: number;
  /** Passes over all scenarios. */
  rounds: number;
  /**
   * Rounds to which the scenarios of undecided comparisons are extended at most; no fewer than
   * `rounds`. @default rounds, so that nothing is extended
   */
  maxRounds?: number;
  /** Seed of the order within each round and of the load's choices. */
  seed: number;
  /** The cells, in the order in which tables list them. */
  scenarios: Scenario[];
  /** The apps of scenarios that are not in `apps/`, by name. @default none */
  apps?: Record<string, AppRecord>;
  /** The open loop that follows. @default none */
  openLoop?: OpenLoopPlan;
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
 * console.assert(namedPlan("quick").rounds === 5);
 * ```
 */
export function namedPlan(name: string): Plan {
  if (name.endsWith(".json")) return readPlanFile(name);
  const build = Object.hasOwn(NAMED_PLANS, name) ? NAMED_PLANS[name] : undefined;
  if (build === undefined) {
    throw new UsageError(
      `Cannot use plan "${name}": no such plan${didYouMean(name, PLAN_NAMES)}; the plans are ${
        PLAN_NAMES.join(", ")
      }, or give a file that ends with .json`,
    );
  }
  return build();
}

function readPlanFile(file: string): Plan {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(
      `Cannot read plan "${file}": ${
        (error as Error).message.split("\n")[0]
      }; give an existing file`,
      { cause: error },
    );
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
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (error) {
    return fail(`it is not JSON (${(error as Error).message})`);
  }
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    return fail("it is not an object");
  }
  const fault = explainFault(PLAN_FILE, given);
  if (fault !== null) return fail(fault);
  const value = given as z.infer<typeof PLAN_FILE>;
  const paths = value.apps as Record<string, string | AppRecord> | undefined;
  for (const record of Object.values(paths ?? {})) addRecordedApp(record);
  const scenarios = value.scenarios.map((scenario, i) => {
    try {
      return createScenario(scenario as Scenario);
    } catch (error) {
      return fail(`scenario ${i + 1}: ${(error as Error).message}`);
    }
  });
  const plan: Plan = {
    name: value.name,
    purpose: value.purpose ?? `The plan of ${source}.`,
    functionalCheck: value.functionalCheck ?? false,
    warmUpS: value.warmUpS,
    windowS: value.windowS,
    rounds: value.rounds,
    ...(value.maxRounds === undefined ? {} : { maxRounds: value.maxRounds }),
    seed: value.seed ?? 1,
    scenarios,
    ...recordApps(scenarios),
    ...(value.openLoop === undefined ? {} : { openLoop: value.openLoop }),
  };
  if (plan.maxRounds !== undefined && plan.maxRounds < plan.rounds) {
    fail(`maxRounds is ${plan.maxRounds}, below rounds ${plan.rounds}`);
  }
  if (plan.openLoop !== undefined && scenarios.every(({ users }) => users === null)) {
    fail("it has an openLoop and no scenario with users, whose throughput that would go by");
  }
  const ids = new Set(scenarios.map(scenarioId));
  if (ids.size < scenarios.length) {
    fail(
      "two scenarios have the same values; use rounds to repeat a scenario, or replica for an A/A copy",
    );
  }
  scenarios.forEach((scenario, i) => {
    if (scenario.replica > 0 && !ids.has(scenarioId({ ...scenario, replica: 0 }))) {
      fail(
        `scenario ${i + 1} is a copy of one that the plan does not have; add it without replica`,
      );
    }
  });
  return plan;
}

/** What narrows or changes a plan: the filters and overrides of the command line. */
export interface PlanChanges {
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
  /** Settings given to every scenario. @default none */
  settings?: ScenarioValues;
  /** Rounds, warm-up and window of the open loop become no longer than these. @default the plan's */
  rounds?: number;
  /** Rounds of undecided comparisons. @default the plan's; with `rounds`, no more than those */
  maxRounds?: number;
  /** @default the plan's */
  warmUpS?: number;
  /** @default the plan's */
  windowS?: number;
  /** False leaves the open loop out that follows. @default the plan's */
  openLoop?: false;
  /** @default the plan's */
  seed?: number;
}

/** The keys of {@linkcode PlanChanges}. */
const CHANGES: Record<keyof PlanChanges, true> = {
  frameworks: true,
  apps: true,
  paths: true,
  users: true,
  arrivalRates: true,
  settings: true,
  rounds: true,
  maxRounds: true,
  warmUpS: true,
  windowS: true,
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
 * const quick = namedPlan("quick");
 * const plan = changePlan(quick, { frameworks: [quick.scenarios[0]!.framework], users: [500] });
 * console.assert(plan.scenarios.length === 2);
 * ```
 */
export function changePlan(plan: Plan, changes: PlanChanges): Plan {
  checkKeys<PlanChanges>("a plan's changes", changes, CHANGES);
  const cells = changeCells(plan, changes);
  const { openLoop, maxRounds: planned, ...rest } = plan;
  const maxRounds = changes.maxRounds ?? (changes.rounds === undefined ? planned : undefined);
  const given = cells.some((cell) => cell.users !== null);
  // What an app of a plan that stays as it is has become since is not asked.
  const follows = given && (changes.apps === undefined || !cells.every(hasOwnUsers));
  const followUp = openLoop === undefined || changes.openLoop === false || !follows ? {} : {
    openLoop: {
      ...openLoop,
      rounds: Math.min(openLoop.rounds, changes.rounds ?? Infinity),
      warmUpS: Math.min(openLoop.warmUpS, changes.warmUpS ?? Infinity),
      windowS: Math.min(openLoop.windowS, changes.windowS ?? Infinity),
    },
  };
  const narrowed: Plan = {
    ...rest,
    ...followUp,
    rounds: changes.rounds ?? plan.rounds,
    ...(maxRounds === undefined ? {} : { maxRounds }),
    warmUpS: changes.warmUpS ?? plan.warmUpS,
    windowS: changes.windowS ?? plan.windowS,
    seed: changes.seed ?? plan.seed,
    scenarios: cells,
  };
  return parsePlan(JSON.stringify(narrowed), plan.name);
}

/** The cells that a plan's changes leave, with what they change. */
function changeCells(plan: Plan, changes: PlanChanges): Scenario[] {
  const own = [...new Set(plan.scenarios.map(({ framework }) => framework))];
  const known = [...new Set([...FRAMEWORKS, ...own])];
  const frameworks = checkChoices("framework", changes.frameworks, known);
  const paths = checkChoices("path", changes.paths, PATHS);
  const settings = checkSettings(changes.settings);
  const levels = changedLevels(changes, settings);
  const wanted = changes.apps === undefined
    ? plan.scenarios.filter(({ framework }) => frameworks.includes(framework))
    : changes.apps.flatMap((app) => giveToApp(plan.scenarios, app));
  const kept = wanted.filter(({ path }) => paths.includes(path));
  const cells = new Map<string, Scenario>();
  // A plan's scenarios name every setting, so what a changed one implies has to be changed too.
  const changed = (scenario: Scenario, level: Partial<LoadLevel> = {}) =>
    createScenario({ ...scenario, ...level, ...pgbouncerFor(settings), ...settings });
  for (const scenario of kept.filter(({ replica }) => replica === 0)) {
    const { users, arrivalRate } = scenario;
    for (const level of levels.length > 0 ? levels : [{ users, arrivalRate }]) {
      const cell = changed(scenario, level);
      cells.set(scenarioId(cell), cell);
    }
  }
  const copies = (changes.apps === undefined ? plan.scenarios : wanted).filter(({ replica }) =>
    replica > 0
  );
  const keptCopies = copies.map((copy) => ({ ...changed(copy), replica: copy.replica }))
    .filter((copy) => cells.has(scenarioId({ ...copy, replica: 0 })));
  // A plan with an A/A arm keeps one, whatever is left of it.
  const last = [...cells.values()].at(-1);
  if (copies.length > 0 && keptCopies.length === 0 && last !== undefined) {
    keptCopies.push({ ...last, replica: 1 });
  }
  for (const copy of keptCopies) cells.set(scenarioId(copy), copy);
  if (cells.size > 0) return [...cells.values()];
  throw new UsageError(
    `Cannot narrow plan "${plan.name}": no scenario is left for ${frameworks.join(", ")} × ${
      paths.join(", ")
    }`,
  );
}

/** Settings for every scenario of a plan. */
function checkSettings(given: ScenarioValues = {}): ScenarioValues {
  const settings = withOneLoop(given);
  if (settings.replica === undefined) return settings;
  throw new UsageError(
    "Cannot set replica for every scenario: it names one copy of a scenario, for a plan file",
  );
}

/** The levels of load that a plan is given instead of its own; none where it keeps them. */
function changedLevels(
  { users = [], arrivalRates = [] }: PlanChanges,
  settings: ScenarioValues,
): LoadLevel[] {
  for (const n of users) {
    if (!Number.isInteger(n) || n < 1) {
      throw new UsageError(`Cannot use users "${n}": must be a whole number of at least 1`);
    }
  }
  for (const rate of arrivalRates) {
    if (!(rate > 0 && Number.isFinite(rate))) {
      throw new UsageError(`Cannot use arrival rate "${rate}": must be a number above 0`);
    }
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
    const defaults = createScenario({ framework, path, users, arrivalRate });
    const set = Object.entries(scenario)
      .filter(([key, value]) => value !== defaults[key as keyof Scenario]);
    return createScenario({
      ...Object.fromEntries(set),
      framework: app,
      path,
      users,
      arrivalRate,
    });
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

/** A setting of one loop ends the plan's other loop. */
function withOneLoop(settings: ScenarioValues): ScenarioValues {
  const { users, arrivalRate } = settings;
  if (arrivalRate != null && users === undefined) return { ...settings, users: null };
  if (users != null && arrivalRate === undefined) return { ...settings, arrivalRate: null };
  return settings;
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
function mulberry32(seed: number): () => number {
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
 * const runs = planRuns(namedPlan("quick"));
 * console.assert(runs.length === 60 && runs[0]!.round === 1 && runs[59]!.round === 5);
 * ```
 */
export function planRuns(plan: Plan, rounds: number = plan.rounds): PlannedRun[] {
  const random = mulberry32(plan.seed);
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
