/**
 * What takes a bottleneck away, so that a verdict can be put to the test: with the named resource
 * relieved, throughput must rise.
 *
 * @module
 */

import { readApp, SETTING_IN_TEXT } from "../apps/app.ts";
import type { Bottleneck } from "../bottlenecks.ts";
import { UsageError } from "../errors.ts";
import { connectionBudget } from "../connections.ts";
import { createScenario, type Scenario, scenarioId } from "../scenario.ts";
import type { Plan } from "../plan.ts";
import { pairedRatio } from "../stats/ratio.ts";
import type { Estimate, RunSummary } from "../stats/summary.ts";
import { adviceWords as say } from "../wording/bottlenecks.ts";
import type { ScenarioVerdict, Verdict } from "./verdict.ts";

/** How much more of something a relief gives. */
const MORE = 3;
/** More users than this are more than most machines have connections for. */
const MAX_USERS = 10_000;
/** PostgreSQL gives each connection memory of its own. */
const MAX_CONNECTIONS = 500;

/** A change of a scenario's settings, or why there is none that would help. */
export type Relief = { change: Partial<Scenario> } | { none: string };

type ReliefRule = (scenario: Scenario) => Relief;

/** A quota is lifted; without one, the cores themselves are used up. */
function lift(key: "dbCpus" | "appCpus" | "pgbouncerCpus", without: ReliefRule): ReliefRule {
  const change: Partial<Scenario> = {};
  change[key] = null;
  return (scenario) => scenario[key] === null ? without(scenario) : { change };
}

/** What relieves each bottleneck. */
export const RELIEFS: Record<Bottleneck, ReliefRule> = {
  load_limited: ({ users, arrivalRate }) =>
    users === null
      ? { change: { arrivalRate: MORE * arrivalRate! } }
      : users >= MAX_USERS
      ? { none: say.users(users) }
      : { change: { users: Math.min(MAX_USERS, MORE * users) } },
  generator: ({ client }) =>
    client === "fast" ? { change: { client: "lean" } } : { none: say.generator },
  host_cpu: () => ({ none: say.hostCpu }),
  app_cpu: lift("appCpus", ({ workers }) => ({ change: { workers: 2 * workers } })),
  workers: ({ threads, poolSize }) => ({
    change: { threads: MORE * threads, poolSize: Math.max(poolSize, MORE * threads) },
  }),
  app_pool: ({ poolSize }) => ({ change: { poolSize: MORE * poolSize } }),
  pgbouncer_cpu: lift("pgbouncerCpus", () => ({ none: say.pgbouncerCpu })),
  pgbouncer_queue: (scenario) => {
    // In session mode, whoever is left out of the pool gets nothing.
    const least = scenario.poolMode === "session" ? connectionBudget(scenario) : 0;
    const defaultPoolSize = Math.max(MORE * scenario.defaultPoolSize, least);
    const maxConnections = Math.max(scenario.maxConnections, defaultPoolSize + 20);
    return { change: { defaultPoolSize, maxConnections } };
  },
  database_quota: lift("dbCpus", () => ({ none: say.noQuota })),
  database_locks: () => ({ none: say.locks }),
  connection_setup: ({ framework, reuse }) => {
    if (reuse !== "per_request") return { none: say.keepsConnections(reuse) };
    const kept = readApp(framework).reuse.find((way) => way !== "per_request");
    return kept === undefined ? { none: say.cannotKeep } : { change: { reuse: kept } };
  },
  refused_connections: ({ path, maxConnections, maxClientConn }) =>
    path === "pooled" && maxClientConn < MAX_USERS
      ? { change: { maxClientConn: MAX_USERS } }
      : maxConnections >= MAX_CONNECTIONS
      ? { none: say.maxConnections(maxConnections) }
      : { change: { maxConnections: Math.min(MAX_CONNECTIONS, MORE * maxConnections) } },
};

/** A scenario with its named bottleneck relieved. */
export interface RelievedScenario {
  scenario: Scenario;
  /** What was changed, as in `dbCpus 0.5 → none`. */
  what: string;
}

/**
 * The scenario with the named resource relieved.
 *
 * @param scenario The scenario.
 * @param verdict What limited it.
 * @returns The relieved scenario, or a sentence that says why no setting relieves it.
 *
 * @example
 * ```ts
 * import { createScenario, relieve } from "poolscope";
 *
 * const scenario = createScenario({ framework: "node", path: "direct", users: 50 });
 * const relieved = relieve(scenario, "database_quota");
 * console.assert(typeof relieved === "object" && relieved.what === "dbCpus 0.5 → none");
 * ```
 */
export function relieve(scenario: Scenario, verdict: Verdict): RelievedScenario | string {
  if (verdict === "unknown") return say.unknown;
  const relief = RELIEFS[verdict](scenario);
  if ("none" in relief) return relief.none;
  try {
    const relieved = createScenario({ ...scenario, ...relief.change });
    if (scenarioId(relieved) === scenarioId(scenario)) return say.noEffect;
    return { scenario: relieved, what: describeChange(scenario, relieved) };
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
}

/** Bottlenecks that no setting relieves, so that only an app's owner may know what to do. */
const WITHOUT_RELIEF: Verdict[] = ["host_cpu", "database_locks"];

/**
 * What the app's own description says to do about a bottleneck, with the values of the relieved
 * scenario; null where it says nothing, or nothing that would change these.
 */
function adviceOf(scenario: Scenario, verdict: Verdict): string | null {
  const { advice } = readApp(scenario.framework);
  const text = verdict === "unknown" ? undefined : advice[verdict];
  if (text === undefined) return null;
  if (WITHOUT_RELIEF.includes(verdict)) return text;
  const relieved = relieve(scenario, verdict);
  if (typeof relieved === "string") return null;
  const values = relieved.scenario;
  const named = [...text.matchAll(SETTING_IN_TEXT)].map(([, name]) => name as keyof Scenario);
  if (named.some((name) => values[name] === scenario[name])) return null;
  return text.replace(
    SETTING_IN_TEXT,
    (_, name) => String(values[name as keyof Scenario] ?? "none"),
  );
}

function describeChange(before: Scenario, after: Scenario): string {
  const changes = (Object.keys(after) as (keyof Scenario)[])
    .filter((key) => before[key] !== after[key])
    .map((key) => ({ setting: key, before: before[key], after: after[key] }));
  return say.changes(changes);
}

/** Rounds of a test: the least whose interval of a paired ratio is of any use. */
const CONFIRM_ROUNDS = 4;
/** Windows of a test are no longer than this, in seconds: it asks for large effects. */
const MAX_CONFIRM_WINDOW_S = 10;
/** Less than this is no relief. */
export const MIN_RISE = 1.1;

/**
 * The plan that puts verdicts to the test: each scenario and itself relieved, in every round. Copies
 * stay behind.
 *
 * @param plan The study's plan.
 * @param verdicts What limited its scenarios.
 * @returns Null where no setting relieves any of them.
 */
export function confirmationPlan(
  plan: Plan,
  verdicts: readonly ScenarioVerdict[],
): Plan | null {
  const cells = new Map<string, Scenario>();
  for (const { scenario: { scenario }, verdict } of verdicts) {
    const relieved = relieve(scenario, verdict);
    if (scenario.replica > 0 || typeof relieved === "string") continue;
    for (const cell of [scenario, relieved.scenario]) cells.set(scenarioId(cell), cell);
  }
  if (cells.size === 0) return null;
  return {
    name: `${plan.name}-confirmation`,
    purpose: say.purpose,
    functionalCheck: plan.functionalCheck,
    warmUpS: plan.warmUpS,
    windowS: Math.min(plan.windowS, MAX_CONFIRM_WINDOW_S),
    rounds: plan.functionalCheck ? plan.rounds : CONFIRM_ROUNDS,
    seed: plan.seed,
    scenarios: [...cells.values()],
    ...(plan.apps && { apps: plan.apps }),
  };
}

/** What became of a verdict that was put to the test. */
export interface Confirmation {
  verdict: ScenarioVerdict;
  /** What was changed; or why nothing was, and then there is no ratio. */
  what: string;
  /** What the app's own description says to do; null where it says nothing. */
  advice: string | null;
  /** Relieved over original throughput of correct answers, with its 95% interval. */
  ratio: Estimate | null;
  /** Rounds behind it. */
  n: number;
  /**
   * `confirmed`: throughput rose. `refuted`: it did not rise by a tenth. `undecided`: the interval
   * reaches from no rise to one of a tenth or more, or there is none. `untested`: nothing was run.
   */
  outcome: "confirmed" | "refuted" | "undecided" | "untested";
}

/**
 * What a test says of verdicts. Runs of which requests failed count with their correct answers: to
 * be spared the failures is the relief. Those that gates reject do not count.
 *
 * @param verdicts The verdicts of a study.
 * @param runs The runs of their test.
 */
export function readConfirmations(
  verdicts: readonly ScenarioVerdict[],
  runs: readonly RunSummary[],
): Confirmation[] {
  const counted = runs.filter(({ status, measured, rps }) =>
    measured && rps > 0 && status !== "rejected"
  );
  const byRound = (id: string) =>
    new Map(counted.filter((run) => run.scenarioId === id).map(({ round, rps }) => [round, rps]));
  return verdicts.filter(({ scenario }) => scenario.scenario.replica === 0).map((verdict) => {
    const relieved = relieve(verdict.scenario.scenario, verdict.verdict);
    const advice = adviceOf(verdict.scenario.scenario, verdict.verdict);
    const untested = { verdict, advice, ratio: null, n: 0, outcome: "untested" as const };
    if (typeof relieved === "string") return { ...untested, what: relieved };
    const [before, after] = [verdict.scenario.scenario, relieved.scenario]
      .map((scenario) => byRound(scenarioId(scenario))) as [
        Map<number, number>,
        Map<number, number>,
      ];
    const pairs = [...before].filter(([round]) => after.has(round))
      .map(([round, base]) => ({ base, other: after.get(round)! }));
    if (pairs.length === 0) return { ...untested, what: relieved.what };
    const ratio = pairedRatio(pairs)!;
    const { length: n } = pairs;
    return { verdict, what: relieved.what, advice, ratio, n, outcome: outcomeOf(ratio) };
  });
}

function outcomeOf({ low, high }: Estimate): Confirmation["outcome"] {
  if (low === null || high === null) return "undecided";
  return low > 1 ? "confirmed" : high < MIN_RISE ? "refuted" : "undecided";
}
