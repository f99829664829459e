/** Takes a bottleneck away to put a verdict to the test: throughput must then rise. */

import { readApp, SETTING_IN_TEXT } from "../apps/app.ts";
import type { Bottleneck } from "../bottlenecks.ts";
import { connectionBudget } from "../connections.ts";
import { UsageError } from "../errors.ts";
import type { Plan } from "../plan.ts";
import { followUpPlan } from "../stats/capacity.ts";
import { pairedRatio } from "../stats/interval.ts";
import { createScenario, type Scenario, scenarioId } from "../scenario.ts";
import type { Estimate, RunSummary } from "../stats/summary.ts";
import { formatCount } from "../wording/format.ts";
import type { ScenarioVerdict, Verdict } from "./verdict.ts";

/** How much more of something a relief gives. */
const MORE = 3;
/** More users than this are more than most machines have connections for. */
const MAX_USERS = 10_000;
/** PostgreSQL gives each connection memory of its own. */
const MAX_CONNECTIONS = 500;

/** Gives the settings that relieve a scenario, or a sentence that says why none does. */
type ReliefRule = (scenario: Scenario) => Partial<Scenario> | string;

/** What relieves each bottleneck; where there is a quota on CPU, it is lifted. */
const RELIEFS: Record<Bottleneck, ReliefRule> = {
  load_limited: ({ users, arrivalRate }) => {
    if (users === null) return { arrivalRate: MORE * arrivalRate! };
    return users >= MAX_USERS
      ? `the scenario already has ${formatCount(users, "user")}`
      : { users: Math.min(MAX_USERS, MORE * users) };
  },
  generator: ({ client }) =>
    client === "fast"
      ? { client: "lean" }
      : "no setting makes the generator faster: give it dedicated cores",
  host_cpu: () => "no setting adds cores: use a larger machine, or end other programs on it",
  app_cpu: ({ appCpus, workers }) =>
    appCpus === null ? { workers: 2 * workers } : { appCpus: null },
  workers: ({ threads, poolSize }) => ({
    threads: MORE * threads,
    poolSize: Math.max(poolSize, MORE * threads),
  }),
  app_pool: ({ poolSize }) => ({ poolSize: MORE * poolSize }),
  pgbouncer_cpu: ({ pgbouncerCpus }) =>
    pgbouncerCpus === null
      ? "PgBouncer runs on one core: start several that share a port (so_reuseport)"
      : { pgbouncerCpus: null },
  pgbouncer_queue: (scenario) => {
    // In session mode, whoever is left out of the pool gets nothing.
    const least = scenario.poolMode === "session" ? connectionBudget(scenario) : 0;
    const defaultPoolSize = Math.max(MORE * scenario.defaultPoolSize, least);
    return {
      defaultPoolSize,
      maxConnections: Math.max(scenario.maxConnections, defaultPoolSize + 20),
    };
  },
  held_transactions: ({ holdMs }) =>
    holdMs > 0
      ? { holdMs: 0 }
      : "no setting ends transactions sooner: commit before the app waits for anything else",
  database_quota: ({ dbCpus }) => dbCpus === null ? "PostgreSQL has no quota" : { dbCpus: null },
  database_locks: () =>
    "no setting shortens transactions: see which statements wait in logs and wait_events",
  connection_setup: ({ framework, reuse }) => {
    if (reuse !== "per_request") {
      return `the app opens new connections, although it is to keep them (${reuse})`;
    }
    const kept = readApp(framework).reuse.find((way) => way !== "per_request");
    return kept === undefined ? "the app cannot keep its connections" : { reuse: kept };
  },
  refused_connections: ({ path, maxConnections, maxClientConn }) => {
    if (path === "pooled" && maxClientConn < MAX_USERS) return { maxClientConn: MAX_USERS };
    return maxConnections >= MAX_CONNECTIONS
      ? `max_connections is ${maxConnections} already: use fewer connections`
      : { maxConnections: Math.min(MAX_CONNECTIONS, MORE * maxConnections) };
  },
};

/**
 * The scenario with the named resource relieved, and what was changed, as in `dbCpus 0.5 → none`.
 *
 * @returns A sentence that says why, where no setting relieves it.
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
export function relieve(
  scenario: Scenario,
  verdict: Verdict,
): { scenario: Scenario; what: string } | string {
  if (verdict === "unknown") return "what limited it is not known";
  const change = RELIEFS[verdict](scenario);
  if (typeof change === "string") return change;
  try {
    const relieved = createScenario({ ...scenario, ...change });
    if (scenarioId(relieved) === scenarioId(scenario)) return "the setting does not act here";
    const show = (value: unknown) => value === null ? "none" : String(value ?? "default");
    const changes = (Object.keys(relieved) as (keyof Scenario)[])
      .filter((key) => scenario[key] !== relieved[key])
      .map((key) => `${key} ${show(scenario[key])} → ${show(relieved[key])}`);
    return { scenario: relieved, what: changes.join(", ") };
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
}

/** Bottlenecks that no setting relieves, so that only an app's owner may know what to do. */
const WITHOUT_RELIEF: Verdict[] = ["host_cpu", "database_locks", "held_transactions"];

/**
 * What the app's own description says to do about a bottleneck, with the values of the relieved
 * scenario; null where it says nothing, or nothing that would change these.
 */
function adviceOf(scenario: Scenario, verdict: Verdict): string | null {
  const text = verdict === "unknown" ? undefined : readApp(scenario.framework).advice[verdict];
  if (text === undefined) return null;
  if (WITHOUT_RELIEF.includes(verdict)) return text;
  const relieved = relieve(scenario, verdict);
  if (typeof relieved === "string") return null;
  const valueOf = (of: Scenario, name: string) => of[name as keyof Scenario];
  const names = [...text.matchAll(SETTING_IN_TEXT)].map(([, name]) => name!);
  if (names.some((name) => valueOf(relieved.scenario, name) === valueOf(scenario, name))) {
    return null;
  }
  return text.replace(
    SETTING_IN_TEXT,
    (_, name) => String(valueOf(relieved.scenario, name) ?? "none"),
  );
}

/** Rounds of a test: the least whose interval of a paired ratio is of any use. */
const CONFIRM_ROUNDS = 4;
/** Windows of a test are no longer than this, in seconds: it asks for large effects. */
const MAX_CONFIRM_WINDOW_S = 10;
/** Less than this is no relief. */
export const MIN_RISE = 1.1;

/** The plan that puts verdicts to the test: each scenario, but for copies, and itself relieved. */
export function confirmationPlan(
  plan: Plan,
  verdicts: readonly ScenarioVerdict[],
): Plan | null {
  const cells = verdicts.flatMap(({ scenario: { scenario }, verdict }) => {
    const relieved = relieve(scenario, verdict);
    if (scenario.replica > 0 || typeof relieved === "string") return [];
    return [scenario, relieved.scenario];
  });
  return followUpPlan(plan, "confirmation", cells, {
    purpose: "Each scenario in turn with itself relieved of what is said to limit it.",
    warmUpS: plan.warmUpS,
    // Of arms that take turns, a plan's windowS is a turn.
    windowS: plan.design === "alternating"
      ? MAX_CONFIRM_WINDOW_S
      : Math.min(plan.windowS, MAX_CONFIRM_WINDOW_S),
    rounds: plan.functionalCheck ? plan.rounds : CONFIRM_ROUNDS,
  });
}

export type Confirmation = ReturnType<typeof readConfirmations>[number];

/**
 * What the runs of a test say of a study's verdicts. Runs of which requests failed count with their
 * correct answers: to be spared the failures is the relief. Those that gates reject do not count.
 */
export function readConfirmations(
  verdicts: readonly ScenarioVerdict[],
  runs: readonly RunSummary[],
) {
  const counted = runs.filter(({ status, measured, rps }) =>
    measured && rps > 0 && status !== "rejected"
  );
  return verdicts.filter(({ scenario: { scenario } }) => scenario.replica === 0).map((verdict) => {
    const { scenario: { scenario }, verdict: bottleneck } = verdict;
    const relieved = relieve(scenario, bottleneck);
    const runsOf = (of: Scenario) => counted.filter((run) => run.scenarioId === scenarioId(of));
    const after = typeof relieved === "string" ? [] : runsOf(relieved.scenario);
    const pairs = runsOf(scenario).flatMap(({ round, rps: base }) =>
      after.filter((run) => run.round === round).map(({ rps: other }) => ({ base, other }))
    );
    const ratio = pairedRatio(pairs);
    return {
      verdict,
      /** What was changed; or why nothing was, and then there is no ratio. */
      what: typeof relieved === "string" ? relieved : relieved.what,
      /** What the app's own description says to do; null where it says nothing. */
      advice: adviceOf(scenario, bottleneck),
      /** Relieved over original throughput of correct answers, with its 95% interval. */
      ratio,
      n: pairs.length,
      outcome: outcomeOf(ratio),
    };
  });
}

/**
 * `confirmed`: throughput rose. `refuted`: it did not rise by a tenth. `undecided`: the interval
 * reaches from no rise to one of a tenth or more, or there is none. `untested`: nothing was run.
 */
function outcomeOf(ratio: Estimate | null): "confirmed" | "refuted" | "undecided" | "untested" {
  if (ratio === null) return "untested";
  if (ratio.low === null || ratio.high === null) return "undecided";
  return ratio.low > 1 ? "confirmed" : ratio.high < MIN_RISE ? "refuted" : "undecided";
}
