/** Which runs of a plan stand side by side, and how long their load takes. */

import { GROUP_START_S, LEAST_WARM_UP_S, type Plan, type PlannedRun } from "./plan.ts";
import { compareLevels, type Scenario, scenarioId } from "./scenario.ts";
import { pairScenarios } from "./stats/comparisons.ts";
import { MIN_BLOCKS } from "./stats/disturbed.ts";
import { sizeFamilies } from "./stats/pool_sizes.ts";

/**
 * The scenarios of an alternating plan that are compared with each other, directly or by a third, and pool
 * sizes from which one is selected.
 */
export function groupScenarios(scenarios: readonly Scenario[]): string[][] {
  const groups = scenarios.map((scenario) => [scenarioId(scenario)]);
  const beside = sizeFamilies(scenarios)
    .flatMap((family) => family.slice(1).map((other) => ({ base: family[0]!, other })));
  for (const { base, other } of [...pairScenarios(scenarios), ...beside]) {
    const [one, two] = [base, other]
      .map((scenario) => groups.find((group) => group.includes(scenarioId(scenario)))!);
    if (one === two) continue;
    one!.push(...two!);
    groups.splice(groups.indexOf(two!), 1);
  }
  return groups;
}

/** What a service without a limit is reckoned to need. */
const UNLIMITED_MIB = 256;
/** Of the memory that is available, no more than this is given to arms that stand together. */
const MAX_MEMORY = 0.8;

/**
 * Whether the scenarios of a group have room side by side: why not, or null. Each needs what its
 * services' limits allow.
 */
function findNoRoom(
  group: readonly Pick<PlannedRun, "scenario">[],
  availableMiB: number | null,
): string | null {
  const needMiB = group.reduce((sum, { scenario }) => {
    const { path, dbMemoryMiB, appMemoryMiB, pgbouncerMemoryMiB } = scenario;
    const limits = [dbMemoryMiB, appMemoryMiB, ...(path === "pooled" ? [pgbouncerMemoryMiB] : [])];
    return sum + limits.reduce<number>((own, limit) => own + (limit ?? UNLIMITED_MIB), 0);
  }, 0);
  return availableMiB === null || needMiB <= MAX_MEMORY * availableMiB
    ? null
    : `they may use ${Math.round(needMiB)} MiB together, and ${
      Math.round(availableMiB)
    } MiB are available`;
}

/**
 * The groups of some runs, in the order of their first; in the consecutive design each run is one. The
 * arms' places are exchanged from round to round.
 */
export function groupRuns(plan: Plan, runs: readonly PlannedRun[]): PlannedRun[][] {
  if (plan.design !== "alternating") return runs.map((run) => [run]);
  const groups = groupScenarios(plan.scenarios);
  const keyOf = ({ id, round }: PlannedRun) =>
    `${round} ${groups.findIndex((group) => group.includes(id))}`;
  return [...Map.groupBy(runs, keyOf).values()].map((group) => {
    const inPlace = group.toSorted((a, b) => a.id < b.id ? -1 : 1);
    return group[0]!.round % 2 === 1 ? inPlace : inPlace.reverse();
  });
}

/**
 * The groups of some runs; those that have no room side by side are run one after the other.
 *
 * @param note Told so, once.
 */
export function groupsWithRoom(
  plan: Plan,
  runs: readonly PlannedRun[],
  availableMiB: number | null,
  note: (text: string) => void,
): PlannedRun[][] {
  const groups = groupRuns(plan, runs).map((group) => ({
    group,
    why: group.length < 2 ? null : findNoRoom(group, availableMiB),
  }));
  const why = groups.find(({ why }) => why !== null)?.why;
  if (why != null) note(`Warning: arms that are compared run one after the other: ${why}`);
  return groups.flatMap(({ group, why }) => why === null ? [group] : group.map((run) => [run]));
}

/**
 * Some runs and all of the known ones that stand beside them: blocks of one start are not compared with
 * another's.
 */
export function withNeighbours(
  plan: Plan,
  known: readonly PlannedRun[],
  runs: readonly PlannedRun[],
): PlannedRun[] {
  if (plan.design !== "alternating") return [...runs];
  const groups = groupScenarios(plan.scenarios);
  const isBeside = (one: PlannedRun, other: PlannedRun) =>
    one.round === other.round &&
    groups.some((group) => group.includes(one.id) && group.includes(other.id));
  const beside = known.filter((one) =>
    !runs.includes(one) && runs.some((other) => isBeside(one, other))
  );
  return [...runs, ...beside].sort((a, b) => a.order - b.order);
}

/** Seconds that each run of a plan is under load, in its warm-up and while it counts. */
export function loadOf(plan: Plan): { warmUpS: number; windowS: number } {
  const { design, warmUpS, windowS, scenarios } = plan;
  if (design !== "alternating") return { warmUpS, windowS };
  const allS = groupsOf(plan).reduce((sum, group) => sum + blocksS(plan, group), 0);
  return { warmUpS: Math.max(LEAST_WARM_UP_S, warmUpS), windowS: allS / scenarios.length };
}

/** The scenarios themselves, as {@linkcode groupScenarios} has them. */
function groupsOf({ scenarios }: Plan): Scenario[][] {
  const byId = new Map(scenarios.map((scenario) => [scenarioId(scenario), scenario]));
  return groupScenarios(scenarios).map((ids) => ids.map((id) => byId.get(id)!));
}

/** No slice is longer, in seconds (blocks.py). */
export const LONGEST_SLICE_S = 12;
/** So many service times and pauses of users are in a slice. */
const CYCLES_IN_SLICE = 4;

/** Seconds of the shortest slice that a plan's arms can have, as far as it is known beforehand. */
function shortestSliceS({ windowS, scenarios }: Plan): number {
  const pausesS = scenarios.map(({ users, thinkTimeMinS, thinkTimeMaxS }) =>
    users === null ? 0 : (thinkTimeMinS + thinkTimeMaxS) / 2
  );
  return Math.max(windowS, Math.min(LONGEST_SLICE_S, CYCLES_IN_SLICE * Math.max(...pausesS)));
}

/**
 * The least users of an app show what the hop itself costs, which is little; at the other loads
 * differences are larger. So they get so many times the blocks.
 */
const LOWEST_LOAD_SHARE = 2;

function shareOf(group: readonly Scenario[], { scenarios }: Plan): number {
  const isLowest = group.every((arm) =>
    arm.users !== null &&
    scenarios.every((other) => other.framework !== arm.framework || compareLevels(arm, other) <= 0)
  );
  return isLowest ? LOWEST_LOAD_SHARE : 1;
}

/** Seconds of blocks in each start of a group. */
export function blocksS(plan: Plan, group: readonly Scenario[]): number {
  const { minutes = 0, warmUpS, rounds, scenarios } = plan;
  const groups = groupsOf(plan);
  const aroundS = groups.length * GROUP_START_S +
    scenarios.length * Math.max(LEAST_WARM_UP_S, warmUpS);
  const shares = groups.reduce((sum, one) => sum + shareOf(one, plan), 0);
  const ownS = (minutes * 60 / rounds - aroundS) * shareOf(group, plan) / shares;
  return Math.max(MIN_BLOCKS * group.length * shortestSliceS(plan), ownS);
}

/** Seconds of load of some runs, about. */
export function planS(plan: Plan, runs: readonly PlannedRun[]): number {
  const { warmUpS, windowS } = loadOf(plan);
  return runs.length * (warmUpS + windowS);
}
