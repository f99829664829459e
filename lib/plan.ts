/**
 * A plan is a named list of scenarios with durations and rounds. Plans are values: expanding one
 * into runs, and the order of those runs, needs nothing but the plan itself.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { UsageError } from "./errors.ts";
import { checkKeys, didYouMean } from "./nearest.ts";
import {
  createScenario,
  type Framework,
  FRAMEWORKS,
  levelLabel,
  type LoadLevel,
  type Path,
  PATHS,
  pgbouncerFor,
  type Scenario,
  scenarioId,
  withoutLaterDefaults,
} from "./scenario.ts";

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

type Settings = Partial<Scenario>;

function matrix(
  users: number[],
  settings: Settings = {},
  bySettings: (framework: Framework, path: Path) => Settings = () => ({}),
): Scenario[] {
  return FRAMEWORKS.flatMap((framework) =>
    PATHS.flatMap((path) =>
      users.map((n) =>
        createScenario({
          ...settings,
          ...bySettings(framework, path),
          framework,
          path,
          users: n,
        })
      )
    )
  );
}

/** One more cell, the same as the given one under another name: the A/A arm of a plan. */
function copyOf(scenarios: Scenario[], wanted: Partial<Scenario>): Scenario[] {
  const original = scenarios.find((scenario) =>
    Object.entries(wanted).every(([key, value]) => scenario[key as keyof Scenario] === value)
  )!;
  return [...scenarios, { ...original, replica: 1 }];
}

/**
 * Each framework twice, and Flask once more with a delay. The database is some way off and has no
 * quota, and the users are few, so that throughput goes by how long a request takes.
 */
function controlScenarios(): Scenario[] {
  const cell = (framework: Framework, settings: Settings = {}) =>
    createScenario({
      ...{ framework, path: "direct", users: 4, dbCpus: null, rttAppDbMs: 10 },
      ...settings,
    });
  return [
    ...FRAMEWORKS.flatMap((framework) => [cell(framework), cell(framework, { replica: 1 })]),
    cell("flask", { appDelayMs: 4 }),
  ];
}

/** The published result's own settings, flaws included (see the README's table of them). */
function seedSettings(framework: Framework, path: Path): Settings {
  return {
    spawnRate: 50,
    ...(framework === "fastapi"
      ? { workers: 4, threads: 1, poolSize: 40 }
      : { workers: 3, threads: 2, poolSize: 2 }),
    ...(framework === "django" ? { reuse: "per_request" as const } : {}),
    preparedStatements: path === "direct",
    scramIterations: 4096,
    appCpus: 1,
    appMemoryMiB: 512,
    pgbouncerCpus: 0.5,
    pgbouncerMemoryMiB: 256,
  };
}

const NAMED: Record<string, () => Plan> = {
  smoke: () => ({
    name: "smoke",
    purpose: "A functional check of all six arms, seconds each; it supports no conclusion.",
    functionalCheck: true,
    warmUpS: 1,
    windowS: 3,
    rounds: 1,
    seed: 1,
    scenarios: matrix([10], { spawnRate: 20 }),
    openLoop: { shares: [0.8], rounds: 1, warmUpS: 1, windowS: 3 },
  }),
  quick: () => ({
    name: "quick",
    purpose: "Few cells and many rounds: a first answer for this machine within 15 minutes.",
    functionalCheck: false,
    // Short windows hold where a request takes a small part of them. On two cores, 1000 users make it
    // take 2 to 3 s, and need 12 s to settle; 100 already queue for all connections there are.
    warmUpS: 2,
    windowS: 7,
    rounds: 5,
    seed: 1,
    scenarios: matrix([10, 100]),
    openLoop: { shares: [0.5, 0.8], rounds: 1, warmUpS: 3, windowS: 5 },
  }),
  reference: () => ({
    name: "reference",
    purpose: "The full matrix with long windows, for conclusions that are shared.",
    functionalCheck: false,
    warmUpS: 15,
    windowS: 60,
    rounds: 6,
    // Three times the rounds; how many of them are used depends on the noise (lib/stats/family.ts).
    maxRounds: 18,
    seed: 1,
    // The cell with the largest spread in studies on two cores (CV 18% over 5 rounds), and all
    // services in its path: were anything found where there is nothing, it would be there.
    scenarios: copyOf(matrix([10, 100, 500, 1000], { spawnRate: 100 }), {
      ...{ framework: "django", path: "pooled", users: 1000 },
    }),
    openLoop: { shares: [0.5, 0.8, 0.95], rounds: 6, warmUpS: 5, windowS: 30 },
  }),
  seed: () => ({
    name: "seed",
    purpose: "The published result's own settings, so that its flaws show on this machine.",
    functionalCheck: false,
    warmUpS: 0,
    windowS: 60,
    rounds: 1,
    seed: 1,
    scenarios: matrix([500, 1000], {}, seedSettings),
  }),
  control: () => ({
    name: "control",
    purpose: "One slowdown of known size, and every arm twice: is the one found, and nothing else?",
    functionalCheck: false,
    warmUpS: 2,
    windowS: 5,
    rounds: 8,
    maxRounds: 16,
    seed: 1,
    scenarios: controlScenarios(),
  }),
};

/** The names that {@linkcode namedPlan} knows. */
export const PLAN_NAMES: string[] = Object.keys(NAMED);

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
  const build = Object.hasOwn(NAMED, name) ? NAMED[name] : undefined;
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
 *     "scenarios": [{"framework": "flask", "path": "direct", "users": 50}]}`,
 *   "mine.json",
 * );
 * console.assert(plan.scenarios[0]!.maxConnections === 100);
 * ```
 */
export function parsePlan(text: string, source: string): Plan {
  const fail = (what: string): never => {
    throw new UsageError(`Cannot read plan "${source}": ${what}`);
  };
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return fail(`it is not JSON (${(error as Error).message})`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return fail("it is not an object");
  }
  const known: Record<keyof Plan, (v: unknown) => boolean> = {
    name: (v) => typeof v === "string" && /^[a-z0-9][a-z0-9_-]*$/.test(v),
    purpose: (v) => v === undefined || typeof v === "string",
    functionalCheck: (v) => v === undefined || typeof v === "boolean",
    warmUpS: (v) => typeof v === "number" && v >= 0 && Number.isFinite(v),
    windowS: (v) => typeof v === "number" && v > 0 && Number.isFinite(v),
    rounds: (v) => Number.isInteger(v) && (v as number) >= 1,
    maxRounds: (v) => v === undefined || Number.isInteger(v),
    seed: (v) => v === undefined || Number.isInteger(v),
    scenarios: (v) => Array.isArray(v) && v.length > 0,
    openLoop: (v) => v === undefined || isOpenLoopPlan(v),
  };
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(known, key)) {
      const names = Object.keys(known);
      fail(`unknown field "${key}"${didYouMean(key, names)}; the fields are ${names.join(", ")}`);
    }
  }
  for (const [key, check] of Object.entries(known)) {
    if (!check(value[key])) {
      fail(
        value[key] === undefined
          ? `field "${key}" is missing`
          : `field "${key}" is ${JSON.stringify(value[key])}, which is not allowed there`,
      );
    }
  }
  const scenarios = (value.scenarios as Scenario[]).map((scenario, i) => {
    try {
      return createScenario(scenario);
    } catch (error) {
      return fail(`scenario ${i + 1}: ${(error as Error).message}`);
    }
  });
  const plan: Plan = {
    name: value.name as string,
    purpose: (value.purpose as string | undefined) ?? `The plan of ${source}.`,
    functionalCheck: (value.functionalCheck as boolean | undefined) ?? false,
    warmUpS: value.warmUpS as number,
    windowS: value.windowS as number,
    rounds: value.rounds as number,
    ...(value.maxRounds === undefined ? {} : { maxRounds: value.maxRounds as number }),
    seed: (value.seed as number | undefined) ?? 1,
    scenarios,
    ...(value.openLoop === undefined ? {} : { openLoop: value.openLoop as OpenLoopPlan }),
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

function isOpenLoopPlan(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { shares, rounds, warmUpS, windowS, ...rest } = value as Record<string, unknown>;
  const number = (v: unknown): v is number => typeof v === "number" && Number.isFinite(v);
  return Object.keys(rest).length === 0 && Array.isArray(shares) && shares.length > 0 &&
    shares.every((share) => number(share) && share > 0) &&
    Number.isInteger(rounds) && (rounds as number) >= 1 &&
    number(warmUpS) && warmUpS >= 0 && number(windowS) && windowS > 0;
}

/** What narrows or changes a plan: the filters and overrides of the command line. */
export interface PlanChanges {
  /** Keep only these frameworks. @default all */
  frameworks?: string[];
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
  settings?: Settings;
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
 * const plan = changePlan(namedPlan("quick"), { frameworks: ["django"], users: [500] });
 * console.assert(plan.scenarios.length === 2);
 * ```
 */
export function changePlan(plan: Plan, changes: PlanChanges): Plan {
  checkKeys<PlanChanges>("a plan's changes", changes, CHANGES);
  const pick = <T extends string>(name: string, given: string[] | undefined, all: readonly T[]) => {
    for (const value of given ?? []) {
      if (!all.includes(value as T)) {
        throw new UsageError(
          `Cannot use ${name} "${value}"${didYouMean(value, all)}: choose from ${all.join(", ")}`,
        );
      }
    }
    return (given ?? all) as T[];
  };
  const frameworks = pick("framework", changes.frameworks, FRAMEWORKS);
  const paths = pick("path", changes.paths, PATHS);
  for (const n of changes.users ?? []) {
    if (!Number.isInteger(n) || n < 1) {
      throw new UsageError(`Cannot use users "${n}": must be a whole number of at least 1`);
    }
  }
  for (const rate of changes.arrivalRates ?? []) {
    if (!(rate > 0 && Number.isFinite(rate))) {
      throw new UsageError(`Cannot use arrival rate "${rate}": must be a number above 0`);
    }
  }
  const kept = plan.scenarios.filter((scenario) =>
    frameworks.includes(scenario.framework) && paths.includes(scenario.path)
  );
  // A plan's scenarios name every setting, so what a changed one implies has to be changed too.
  const settings = withOneLoop(changes.settings ?? {});
  if (settings.replica !== undefined) {
    throw new UsageError(
      "Cannot set replica for every scenario: it names one copy of a scenario, for a plan file",
    );
  }
  const given: LoadLevel[] = [
    ...(changes.users ?? []).map((users) => ({ users, arrivalRate: null })),
    ...(changes.arrivalRates ?? []).map((arrivalRate) => ({ users: null, arrivalRate })),
  ];
  const set = settings.users ?? settings.arrivalRate;
  if (given.length > 0 && set != null) {
    throw new UsageError(
      `Cannot use ${given.map(levelLabel).join(", ")} with ${
        settings.users == null ? "arrivalRate" : "users"
      }=${set}: give the load once`,
    );
  }
  const cells = new Map<string, Scenario>();
  const changed = (scenario: Scenario, level: Partial<LoadLevel> = {}) =>
    createScenario({ ...scenario, ...level, ...pgbouncerFor(settings), ...settings });
  for (const scenario of kept.filter(({ replica }) => replica === 0)) {
    const { users, arrivalRate } = scenario;
    for (const level of given.length > 0 ? given : [{ users, arrivalRate }]) {
      const cell = changed(scenario, level);
      cells.set(scenarioId(cell), cell);
    }
  }
  const copies = plan.scenarios.filter(({ replica }) => replica > 0);
  const keptCopies = copies.map((copy) => ({ ...changed(copy), replica: copy.replica }))
    .filter((copy) => cells.has(scenarioId({ ...copy, replica: 0 })));
  // A plan with an A/A arm keeps one, whatever is left of it.
  const last = [...cells.values()].at(-1);
  if (copies.length > 0 && keptCopies.length === 0 && last !== undefined) {
    keptCopies.push({ ...last, replica: 1 });
  }
  for (const copy of keptCopies) cells.set(scenarioId(copy), copy);
  if (cells.size === 0) {
    throw new UsageError(
      `Cannot narrow plan "${plan.name}": no scenario is left for ${frameworks.join(", ")} × ${
        paths.join(", ")
      }`,
    );
  }
  const { openLoop, maxRounds: planned, ...rest } = plan;
  const maxRounds = changes.maxRounds ?? (changes.rounds === undefined ? planned : undefined);
  const closed = [...cells.values()].some((cell) => cell.users !== null);
  const followUp = openLoop === undefined || changes.openLoop === false || !closed ? {} : {
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
    scenarios: [...cells.values()],
  };
  return parsePlan(JSON.stringify(narrowed), plan.name);
}

/** A setting of one loop ends the plan's other loop. */
function withOneLoop(settings: Settings): Settings {
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
  return createHash("sha256").update(JSON.stringify({ ...plan, scenarios })).digest("hex");
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
