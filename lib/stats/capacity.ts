/**
 * The open loop that follows a study: compared arms at the same arrival rates, as in a closed loop a
 * slower arm is asked less often.
 */

import { GROUP_START_S, LEAST_WARM_UP_S, type Plan } from "../plan.ts";
import { createScenario, type Scenario, scenarioId } from "../scenario.ts";
import type { PathRatio, ScenarioSummary } from "./summary.ts";

/** Groups the arms of a study that are compared with each other, directly or by way of a third. */
export function groupArms(
  scenarios: readonly ScenarioSummary[],
  ratios: readonly PathRatio[],
) {
  const armOf = new Map(scenarios.map(({ scenarioId, arm }) => [scenarioId, arm]));
  const groups = new Map([...armOf.values()].map((arm) => [arm, new Set([arm])]));
  for (const { direct, pooled } of ratios) {
    const [a, b] = [direct, pooled].map((id) => groups.get(armOf.get(id)!));
    // One of them may be none of these scenarios.
    if (a === undefined || b === undefined || a === b) continue;
    for (const arm of b) groups.set(arm, a.add(arm));
  }
  const capacityOf = (arm: string) => {
    const rps = scenarios.filter((scenario) => scenario.arm === arm && scenario.users !== null)
      .flatMap((scenario) => scenario.rps?.value ?? []);
    return rps.length === 0 ? [] : [Math.max(...rps)];
  };
  return [...new Set(groups.values())].map((group) => {
    const arms = [...group];
    const known = arms.flatMap(capacityOf);
    return {
      arms,
      /**
       * The smallest of the arms' capacities in correct answers per second, each the largest mean
       * throughput among an arm's closed-loop levels; null where no arm has one, as none succeeded.
       */
      capacityRps: known.length === 0 ? null : Math.min(...known),
    };
  });
}

/**
 * The plan of the open loop that a study's plan asks for: each arm at the given shares of the
 * capacity of the weakest arm in its comparison, without copies. Arms that took turns take them here too,
 * and count for as many seconds each. Null where nothing succeeded.
 */
export function openLoopPlan(
  plan: Plan,
  scenarios: readonly ScenarioSummary[],
  ratios: readonly PathRatio[],
): Plan | null {
  const { openLoop } = plan;
  if (openLoop === undefined) return null;

  const originals = scenarios.filter(({ scenario, ownUsers }) => !scenario.replica && !ownUsers);
  const groups = groupArms(originals, ratios).filter(({ capacityRps }) => capacityRps !== null);
  const cells = groups.flatMap(({ arms, capacityRps }) => {
    const rates = openLoop.shares.map((share) => Number((share * capacityRps!).toPrecision(3)));
    return arms.flatMap((arm) => {
      const { scenario } = scenarios.find((one) => one.arm === arm && one.users !== null)!;
      return rates.map((arrivalRate) => createScenario({ ...scenario, users: null, arrivalRate }));
    });
  });
  const shares = openLoop.shares.map((share) => String(Math.round(100 * share)));
  const percent = new Intl.ListFormat("en-GB").format(shares);
  return followUpPlan(plan, "open-loop", cells, {
    purpose:
      `Open loop: latency at equal arrival rates, ${percent}% of what the weaker arm of each comparison answered at most.`,
    warmUpS: openLoop.warmUpS,
    rounds: openLoop.rounds,
    ...(plan.design === "alternating"
      ? {
        design: plan.design,
        windowS: plan.windowS,
        minutes: openLoop.rounds / 60 *
          (groups.length * openLoop.shares.length * GROUP_START_S +
            cells.length * (Math.max(LEAST_WARM_UP_S, openLoop.warmUpS) + openLoop.windowS)),
      }
      : { windowS: openLoop.windowS }),
  });
}

/** A plan of such cells that follows another; null without any. */
export function followUpPlan(
  { name, functionalCheck, seed, apps }: Plan,
  suffix: string,
  cells: readonly Scenario[],
  { purpose, ...durations }: Pick<
    Plan,
    "purpose" | "warmUpS" | "windowS" | "rounds" | "design" | "minutes"
  >,
): Plan | null {
  const scenarios = [...new Map(cells.map((cell) => [scenarioId(cell), cell])).values()];
  return scenarios.length === 0 ? null : {
    name: `${name}-${suffix}`,
    purpose,
    functionalCheck,
    ...durations,
    seed,
    scenarios,
    ...(apps && { apps }),
  };
}
