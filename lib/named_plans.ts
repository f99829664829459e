/** The plans that have a name, and the apps that they run. */

import type { PlanFile } from "./plan.ts";
import {
  type Framework,
  type Path,
  PATHS,
  type Scenario,
  type ScenarioValues,
} from "./scenario.ts";

/** The apps of the named plans. */
export const FRAMEWORKS = ["fastapi", "django", "flask"] as const;

type Cell = ScenarioValues & Pick<Scenario, "framework" | "path">;

function matrix(
  users: number[],
  settings: (framework: Framework, path: Path) => ScenarioValues = () => ({}),
): Cell[] {
  const arms = FRAMEWORKS.flatMap((framework) => PATHS.map((path) => ({ framework, path })));
  return arms.flatMap(({ framework, path }) =>
    users.map((users) => ({ ...settings(framework, path), framework, path, users }))
  );
}

/**
 * Each framework twice, and Flask once more with CPU time burnt. The database has no quota, so that
 * the machine's cores decide the throughput: on two of them, some 5% of a request's.
 */
function controlScenarios(): Cell[] {
  const shared = { path: "direct", users: 20, dbCpus: null } as const;
  return [
    ...FRAMEWORKS.flatMap((framework) => [
      { framework, ...shared },
      { framework, ...shared, replica: 1 },
    ]),
    { framework: "flask", ...shared, appCpuMs: 0.09 },
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

/** The sizes of which the plan `pool-size` lets one be chosen. */
const POOL_SIZES = [1, 2, 5, 10, 20, 40, 64];

/**
 * Each app over all pool sizes, and direct: its transactions wait for something else, as those of an app
 * do that calls another service before it commits. Else a handful of connections use up two cores.
 */
function poolSizeScenarios(): Cell[] {
  const shared = { users: 64, holdMs: 50, dbMemoryMiB: 256 };
  return FRAMEWORKS.flatMap((framework): Cell[] => [
    { framework, path: "direct", ...shared },
    ...POOL_SIZES.map((defaultPoolSize): Cell => ({
      framework,
      path: "pooled",
      ...shared,
      defaultPoolSize,
    })),
  ]);
}

/**
 * Each app's ways to connect: a connection for each request and connections that are kept, both with
 * PgBouncer and without; and of those that are kept, statements that are not prepared, connections that are
 * checked before each use, and a server connection for each.
 */
function strategyScenarios(): Cell[] {
  return FRAMEWORKS.flatMap((framework): Cell[] => {
    const kept = framework === "django" ? "persistent" : "app_pool";
    const of = (path: Path, values: ScenarioValues): Cell => ({
      framework,
      path,
      users: 20,
      dbMemoryMiB: 256,
      // As many as the app may open, so that a session for each is no smaller a pool.
      ...(path === "pooled" && { defaultPoolSize: 64 }),
      ...values,
    });
    return [
      ...PATHS.flatMap((path) => [
        of(path, { reuse: "per_request" }),
        of(path, { reuse: kept }),
        of(path, { reuse: kept, preparedStatements: false }),
        of(path, { reuse: kept, livenessCheck: true }),
      ]),
      of("pooled", { reuse: kept, poolMode: "session" }),
    ];
  });
}

/** One pair or family of arms for each of the questions that the plan `quick` answers. */
function questionScenarios(): Cell[] {
  const pair = (framework: Framework, values: ScenarioValues): Cell[] =>
    PATHS.map((path) => ({ framework, path, dbMemoryMiB: 256, ...values }));
  return [
    // Django's default: a connection for each request.
    ...pair("django", { users: 100, reuse: "per_request" }),
    // What the hop costs apps that keep their connections, a sync and an async one.
    ...pair("flask", { users: 20 }),
    ...pair("fastapi", { users: 20 }),
    // With what other replicas hold, more connections than PostgreSQL has room for.
    ...pair("flask", { users: 40, idleConnections: 80 }),
    // A transaction that holds its connection while it waits for something else.
    ...[null, 2, 5, 10, 20, 40].map((size): Cell => ({
      framework: "fastapi",
      path: size === null ? "direct" : "pooled",
      users: 64,
      holdMs: 20,
      dbMemoryMiB: 256,
      ...(size !== null && { defaultPoolSize: size }),
    })),
  ];
}

/** A plan as its file would have it. */
type NamedPlan = Omit<PlanFile, "name" | "scenarios"> & { scenarios: Cell[] };

/**
 * On two cores, 1000 users make a request take 2 to 3 s, so that few slices fit; 100 already queue for
 * all connections there are.
 */
const ANSWER: NamedPlan = {
  purpose:
    "Each framework direct and pooled, side by side: an answer for this machine in 15 minutes.",
  design: "alternating",
  minutes: 11.5,
  warmUpS: 6,
  windowS: 1,
  rounds: 3,
  scenarios: matrix([10, 100]),
  // A closed loop answers more than an open one can: at 60% of that, queues of some apps grow without end.
  openLoop: { shares: [0.25, 0.5], rounds: 1, warmUpS: 3, windowS: 5 },
};

/** The named plans, as their files would have them. */
export const NAMED_PLANS: Record<string, NamedPlan> = {
  smoke: {
    purpose: "A functional check of all six arms, seconds each; it supports no conclusion.",
    functionalCheck: true,
    warmUpS: 1,
    windowS: 3,
    rounds: 1,
    scenarios: matrix([10], () => ({ spawnRate: 20 })),
    openLoop: { shares: [0.8], rounds: 1, warmUpS: 1, windowS: 3 },
  },
  frameworks: ANSWER,
  quick: {
    purpose:
      "Four questions: what PgBouncer brings to an app that reconnects, what it costs one that " +
      "keeps its connections, what happens beyond max_connections, and which pool size does.",
    design: "alternating",
    minutes: 13,
    warmUpS: 6,
    windowS: 1,
    rounds: 2,
    scenarios: questionScenarios(),
  },
  "pool-size": {
    purpose: "Seven pool sizes and direct, side by side: which is the smallest that does?",
    design: "alternating",
    minutes: 36,
    warmUpS: 6,
    windowS: 1,
    rounds: 3,
    scenarios: poolSizeScenarios(),
  },
  strategies: {
    purpose: "Each app's ways to connect, side by side: what does each choice bring by itself?",
    design: "alternating",
    minutes: 30,
    warmUpS: 6,
    windowS: 1,
    rounds: 3,
    scenarios: strategyScenarios(),
  },
  reference: {
    purpose: "The full matrix with long windows, for conclusions that are shared.",
    warmUpS: 15,
    windowS: 60,
    rounds: 6,
    // Three times the rounds; how many of them are used depends on the noise (lib/stats/family.ts).
    maxRounds: 18,
    scenarios: [
      ...matrix([10, 100, 500, 1000], () => ({ spawnRate: 100 })),
      // The A/A copy is of the cell with the largest spread in studies on two cores (CV 18% over 5
      // rounds), and all services are in its path: were anything found where there is nothing, it
      // would be there.
      { framework: "django", path: "pooled", users: 1000, spawnRate: 100, replica: 1 },
    ],
    openLoop: { shares: [0.5, 0.8, 0.95], rounds: 6, warmUpS: 5, windowS: 30 },
  },
  seed: {
    purpose: "The published result's own settings, so that its flaws show on this machine.",
    warmUpS: 0,
    windowS: 60,
    rounds: 1,
    scenarios: matrix([500, 1000], seedSettings),
  },
  control: {
    purpose: "One slowdown of known size, and every arm twice: is the one found, and nothing else?",
    design: "alternating",
    minutes: 17,
    warmUpS: 6,
    windowS: 1,
    rounds: 3,
    scenarios: controlScenarios(),
  },
};

/** The names that {@linkcode namedPlan} knows. */
export const PLAN_NAMES: string[] = Object.keys(NAMED_PLANS);
