/**
 * The plans that have a name, and the apps that they run.
 *
 * @module
 */

import type { Plan } from "./plan.ts";
import {
  createScenario,
  type Framework,
  type Path,
  PATHS,
  type Scenario,
  type ScenarioValues,
} from "./scenario.ts";

/** The apps of the named plans. */
export const FRAMEWORKS = ["fastapi", "django", "flask"] as const;

function matrix(
  users: number[],
  settings: ScenarioValues = {},
  bySettings: (framework: Framework, path: Path) => ScenarioValues = () => ({}),
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
  const cell = (framework: Framework, settings: ScenarioValues = {}) =>
    createScenario({
      framework,
      path: "direct",
      users: 4,
      dbCpus: null,
      rttAppDbMs: 10,
      ...settings,
    });
  return [
    ...FRAMEWORKS.flatMap((framework) => [cell(framework), cell(framework, { replica: 1 })]),
    cell("flask", { appDelayMs: 4 }),
  ];
}

/** The published result's own settings, flaws included (see the README's table of them). */
function seedSettings(framework: Framework, path: Path): ScenarioValues {
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

/** The named plans, made when they are asked for. */
export const NAMED_PLANS: Record<string, () => Plan> = {
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
      framework: "django",
      path: "pooled",
      users: 1000,
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
export const PLAN_NAMES: string[] = Object.keys(NAMED_PLANS);
