/** `deno task bench pool_size`: is the pool size that a study recommends the one that does? */

import { existsSync } from "node:fs";
import { blocksS } from "../groups.ts";
import { readRecordedBlocks } from "../frames/recorded_runs.ts";
import { PoolscopeError } from "../errors.ts";
import { namedPlan, type Plan } from "../plan.ts";
import type { Scenario } from "../scenario.ts";
import { selectSize, sizeFamilies, type SizeRun } from "../stats/pool_sizes.ts";
import { TOLERATED_LOSS } from "../stats/best.ts";
import type { BenchOptions } from "./options.ts";
import { type Random, seededDraws } from "./random.ts";
import { RECORDED_BLOCKS, type RecordedStarts, startsOf } from "./recorded_blocks.ts";

/** What a transaction needs, and of what there is how much: times in milliseconds. */
export interface Grid {
  clients: number;
  /** What the app itself does, one request after the other. */
  appMs: number;
  /** How long a transaction holds its connection while it waits for something else. */
  holdMs: number;
  /** What it needs of the database's cores, of which there are so many. */
  cpuMs: number;
  cpus: number;
  /** How long it has a row to itself that all others want too. */
  lockMs: number;
}

/** How many transactions end per second, with so many inside: exact mean value analysis (Reiser & Lavenberg 1980). */
function databaseRate({ holdMs, cpuMs, cpus, lockMs }: Grid, inside: number): number {
  const demandsMs = [cpuMs / cpus, lockMs];
  const queues = demandsMs.map(() => 0);
  let rate = 0;
  for (let n = 1; n <= inside; n++) {
    const residenceMs = demandsMs.map((demand, i) => demand * (1 + queues[i]!));
    rate = n / (holdMs + residenceMs.reduce((sum, one) => sum + one, 0));
    residenceMs.forEach((residence, i) => queues[i] = rate * residence);
  }
  return 1000 * rate;
}

/**
 * Answers per second with a pool of a size: app and database as two stations between which the clients
 * go round, the database as one whose rate depends on how many are inside (flow equivalence: Chandy,
 * Herzog & Woo, IBM Journal of Research and Development 19(1), 1975), no more than the pool has.
 *
 * @example
 * ```ts
 * import { throughputOf } from "./pool_size.ts";
 *
 * const grid = { clients: 64, appMs: 0.01, holdMs: 50, cpuMs: 0.01, cpus: 1, lockMs: 0 };
 * console.assert(Math.abs(throughputOf(grid, 10) - 200) < 1);
 * ```
 */
export function throughputOf(grid: Grid, size: number): number {
  const rates = Array.from({ length: size + 1 }, (_, inside) => databaseRate(grid, inside));
  const rateOf = (inside: number) => rates[Math.min(inside, size)]!;
  // Of a birth and death process: how probable so many clients at the database are, none as 1.
  let [weight, total, answers] = [1, 1, 0];
  for (let inside = 1; inside <= grid.clients; inside++) {
    weight *= 1000 / grid.appMs / rateOf(inside);
    total += weight;
    answers += weight * rateOf(inside);
  }
  return answers / total;
}

/** The grids that have a knee within or above the sizes, and those on which all sizes are alike. */
export function makeGrids(sizes: readonly number[]): { kneed: Grid[]; flat: Grid[] } {
  const kneed = [5, 10, 20, 50].flatMap((holdMs) =>
    [16, 32, 64, 128].flatMap((clients) =>
      [0.5, 1, 2].flatMap((cpus) =>
        [0, 4].map((lockMs) => ({ clients, appMs: 1.5, holdMs, cpuMs: 2, cpus, lockMs }))
      )
    )
  );
  const flat = [8, 12, 16, 20, 30].flatMap((appMs) =>
    [16, 32, 64, 128].map((clients) => (
      { clients, appMs, holdMs: 0.5, cpuMs: 1, cpus: 1, lockMs: 0 }
    ))
  );
  const isFlat = (grid: Grid) => sharesOf(grid, sizes).every((share) => share >= 0.97);
  return {
    kneed: kneed.filter((grid) => sharesOf(grid, sizes).some((share) => share < 0.8)),
    flat: flat.filter(isFlat),
  };
}

/** What each size does of what the best one does. */
function sharesOf(grid: Grid, sizes: readonly number[]): number[] {
  const rates = sizes.map((size) => throughputOf(grid, size));
  return rates.map((rate) => rate / Math.max(...rates));
}

/** As blocks.py has them. */
const [SCREENING_BLOCKS, FAR_BEHIND, LONGEST_SLICE_S, CYCLES_IN_SLICE] = [3, 0.8, 12, 4];

/** How an arm of a start differs from what it would be by itself, block by block. */
function drawNoise(recorded: RecordedStarts, random: Random) {
  const common = random.pick(random.pick(recorded));
  const all = common.reduce((sum, { base }) => sum + base, 0) / common.length;
  return () => {
    const own = random.pick(random.pick(recorded));
    const isSwapped = random.uniform() < 0.5;
    return (block: number) => {
      const { base, other } = own[block % own.length]!;
      // A ratio deviates by what both of a pair do.
      const apart = (isSwapped ? base / other : other / base) ** Math.SQRT1_2;
      return common[block % common.length]!.base / all * apart;
    };
  };
}

/** The runs of one start: blocks of all sizes, then of those that are not far behind. */
function drawStart(
  round: number,
  rates: readonly number[],
  { clients }: Grid,
  seconds: number,
  noise: () => (block: number) => number,
): SizeRun[] {
  const arms = rates.map((rate, place) => ({
    place,
    noise: noise(),
    rate,
    sliceS: Math.max(1, Math.min(LONGEST_SLICE_S, CYCLES_IN_SLICE * clients / rate)),
    slices: [] as { block: number; rps: number }[],
  }));
  // Direct, which is beside them and not among them.
  const besideS = Math.min(...arms.map(({ sliceS }) => sliceS));
  let standing = arms;
  let leftS = seconds;
  for (let block = 1;; block++) {
    const blockS = standing.reduce((sum, { sliceS }) => sum + sliceS, besideS);
    if (block > 1 && leftS < blockS / 2) break;
    leftS -= blockS;
    for (const arm of standing) arm.slices.push({ block, rps: arm.rate * arm.noise(block) });
    if (block !== SCREENING_BLOCKS) continue;
    const best = arms[0]!.slices.map((_, i) =>
      Math.max(...arms.map(({ slices }) => slices[i]!.rps))
    );
    standing = arms.filter(({ slices }) =>
      slices.some(({ rps }, i) => rps >= FAR_BEHIND * best[i]!)
    );
  }
  return arms.map(({ place, slices }) => ({
    scenarioId: String(place),
    round,
    status: "ok" as const,
    slices,
  }));
}

/** What the recommendations of drawn studies came to. */
export interface PoolSizeResult {
  /** Grids with a knee; of them those whose size loses at most 7%, at most a step above the smallest. */
  grids: number;
  right: number;
  /** Sizes said to be within 5% of the best with at least 90% probability, and those that are. */
  sure: number;
  sure_right: number;
  /** Grids on which all sizes are alike, and those that were said to be so. */
  flat_grids: number;
  flat_called: number;
}

const MOST_LOST = 0.07;
const SURE = 0.9;

/** Draws one study of each grid, decided as a real one is. */
export function drawPoolSizes(
  recorded: RecordedStarts,
  plan: Plan,
  random: Random,
  signal?: AbortSignal,
): PoolSizeResult {
  const family = sizeFamilies(plan.scenarios)[0]!;
  const sizes = family.map(({ defaultPoolSize }) => defaultPoolSize);
  const beside = (one: Scenario) => one.framework === family[0]!.framework;
  const seconds = blocksS(plan, plan.scenarios.filter(beside));
  const { kneed, flat } = makeGrids(sizes);
  const decide = (grid: Grid) => {
    signal?.throwIfAborted();
    const rates = sizes.map((size) => throughputOf(grid, size));
    const runs = Array.from(
      { length: plan.rounds },
      (_, round) => drawStart(round + 1, rates, grid, seconds, drawNoise(recorded, random)),
    ).flat();
    return selectSize(sizes.map((_, place) => String(place)), runs)!.selection;
  };
  const result = { grids: kneed.length, right: 0, sure: 0, sure_right: 0 };
  for (const grid of kneed) {
    const { smallest, candidates } = decide(grid);
    const shares = sharesOf(grid, sizes);
    const ideal = shares.findIndex((share) => share >= 1 - TOLERATED_LOSS);
    const isRight = smallest !== null && shares[smallest]! >= 1 - MOST_LOST &&
      smallest <= ideal + 1;
    result.right += isRight ? 1 : 0;
    candidates.forEach(({ probability }, place) => {
      if (probability < SURE) return;
      result.sure++;
      result.sure_right += shares[place]! >= 1 - TOLERATED_LOSS ? 1 : 0;
    });
  }
  const called = flat.filter((grid) => decide(grid).isFlat).length;
  return { ...result, flat_grids: flat.length, flat_called: called };
}

/** Studies of the plan `pool-size`, drawn of recorded blocks, on workloads whose best size is known. */
export async function benchPoolSize({ seed, signal }: BenchOptions): Promise<PoolSizeResult> {
  if (!existsSync(RECORDED_BLOCKS)) {
    throw new PoolscopeError(
      "Cannot draw studies: no blocks are recorded; record some with deno task bench statistics --full",
    );
  }
  const recorded = startsOf(await readRecordedBlocks(RECORDED_BLOCKS));
  return drawPoolSizes(recorded, namedPlan("pool-size"), seededDraws(seed), signal);
}
