/**
 * The open loop that follows a study: every arm at the same arrival rates as the arm that it is
 * compared with, so that their latencies can be held against each other. In a closed loop they
 * cannot: a slower arm is asked less often.
 *
 * @module
 */

import type { Plan } from "../plan.ts";
import { createScenario, type Scenario, scenarioId } from "../scenario.ts";
import type { PathRatio, ScenarioSummary } from "./summary.ts";

/** Arms that are compared with each other, and what the weaker one can do. */
export interface ArmGroup {
  /** The arms' labels. */
  arms: string[];
  /**
   * The smallest of the arms' capacities in correct answers per second; an arm of which every run
   * failed has none. Null where no arm has one.
   */
  capacityRps: number | null;
}

/** An arm's capacity: the largest mean throughput among its closed-loop levels; null without any. */
export function capacityOf(arm: string, scenarios: readonly ScenarioSummary[]): number | null {
  const rps = scenarios
    .filter((scenario) => scenario.arm === arm && scenario.users !== null)
    .flatMap((scenario) => scenario.rps?.value ?? []);
  return rps.length === 0 ? null : Math.max(...rps);
}

/**
 * Puts the arms of a study together that are compared with each other, directly or by way of a
 * third.
 *
 * @param scenarios The scenarios of a study.
 * @param ratios Its pairs of direct and pooled.
 */
export function groupArms(
  scenarios: readonly ScenarioSummary[],
  ratios: readonly PathRatio[],
): ArmGroup[] {
  const armOf = new Map(scenarios.map(({ scenarioId, arm }) => [scenarioId, arm]));
  const groups = new Map<string, Set<string>>();
  for (const { arm } of scenarios) groups.set(arm, groups.get(arm) ?? new Set([arm]));
  for (const { direct, pooled } of ratios) {
    const [a, b] = [direct, pooled].map((id) => groups.get(armOf.get(id)!));
    // One of them may be none of these scenarios.
    if (a === undefined || b === undefined || a === b) continue;
    for (const arm of b) groups.set(arm, a.add(arm));
  }
  return [...new Set(groups.values())].map((arms) => {
    const known = [...arms].flatMap((arm) => capacityOf(arm, scenarios) ?? []);
    return { arms: [...arms], capacityRps: known.length === 0 ? null : Math.min(...known) };
  });
}

/**
 * The plan of the open loop that a study's plan asks for: each arm at the given shares of the
 * capacity of the weakest arm in its comparison. Copies stay behind: they are there for throughput.
 *
 * @param plan The study's plan.
 * @param scenarios Its scenarios over their rounds.
 * @param ratios Its pairs of direct and pooled.
 * @returns Null where the plan asks for none, or nothing succeeded that it could go by.
 */
export function openLoopPlan(
  plan: Plan,
  scenarios: readonly ScenarioSummary[],
  ratios: readonly PathRatio[],
): Plan | null {
  const { openLoop } = plan;
  if (openLoop === undefined) return null;
  const cells = new Map<string, Scenario>();
  const originals = scenarios.filter(({ scenario, ownUsers }) => !scenario.replica && !ownUsers);
  for (const { arms, capacityRps } of groupArms(originals, ratios)) {
    if (capacityRps === null) continue;
    for (const arm of arms) {
      const { scenario } = scenarios.find((one) => one.arm === arm && one.users !== null)!;
      for (const share of openLoop.shares) {
        const arrivalRate = Number((share * capacityRps).toPrecision(3));
        const cell = createScenario({ ...scenario, users: null, arrivalRate });
        cells.set(scenarioId(cell), cell);
      }
    }
  }
  if (cells.size === 0) return null;
  const shares = openLoop.shares.map((share) => String(Math.round(100 * share)));
  const last = shares.pop();
  const percent = `${shares.length === 0 ? "" : `${shares.join(", ")} and `}${last}%`;
  return {
    name: `${plan.name}-open-loop`,
    purpose:
      `Open loop: latency at equal arrival rates, ${percent} of what the weaker arm of each comparison answered at most.`,
    functionalCheck: plan.functionalCheck,
    warmUpS: openLoop.warmUpS,
    windowS: openLoop.windowS,
    rounds: openLoop.rounds,
    seed: plan.seed,
    scenarios: [...cells.values()],
    ...(plan.apps && { apps: plan.apps }),
  };
}
