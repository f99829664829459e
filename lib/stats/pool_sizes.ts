/** The pool sizes that a plan tries, and which of them does: a selection, outside the family of comparisons. */

import { uniformDraws } from "../plan.ts";
import { type LoadLevel, type Scenario, scenarioId } from "../scenario.ts";
import { type BesideBest, type Selection, selectSmallest, type StartOfCandidates } from "./best.ts";
import type { RunSummary } from "./summary.ts";

/** Fewer sizes than this are compared, not selected from. */
export const LEAST_SIZES = 3;
/** Of the draws by which probabilities are found, so that a report says the same each time. */
const SEED = 1;

/** The pooled scenarios of a plan that differ in nothing but the size of their pool, from the smallest. */
export function sizeFamilies(scenarios: readonly Scenario[]): Scenario[][] {
  const pooled = scenarios.filter(({ path, replica }) => path === "pooled" && replica === 0);
  const families = Map.groupBy(pooled, (one) => scenarioId({ ...one, defaultPoolSize: 1 }));
  return [...families.values()].filter(({ length }) => length >= LEAST_SIZES)
    .map((family) => family.toSorted((a, b) => a.defaultPoolSize - b.defaultPoolSize));
}

/** One size of a pool that was tried. */
export interface PoolSize {
  size: number;
  scenarioId: string;
  /** Mean of correct answers per second over the runs that count; null without any. */
  rps: number | null;
  /** Its throughput beside the best one's; null where there is no selection. */
  beside: BesideBest | null;
  /** Server connections that were linked to a client: the most of any reading, and the mean. */
  mostActive: number | null;
  meanActive: number | null;
  /** How long a transaction waited for a server connection, in milliseconds. */
  waitMs: number | null;
}

/** The sizes of one app's pool at one load, from the smallest. */
export interface PoolSizes extends LoadLevel {
  framework: string;
  sizes: PoolSize[];
  /** Null where not all sizes have blocks in common. */
  selection: Selection | null;
  /** Starts, and blocks in all of them, that all sizes have which are not far behind. */
  starts: number;
  blocks: number;
  /** Answers per second of the direct path beside them; null without one. */
  directRps: number | null;
  /** A curve through them that decides nothing; null where there is none. */
  usl: Usl | null;
}

/** A block of a start in which all of some sizes have a slice. */
interface Row {
  block: number;
  rates: number[];
}

/** What a selection knows of a run. */
export interface SizeRun extends Pick<RunSummary, "scenarioId" | "round" | "status"> {
  slices: readonly { block: number; rps: number }[] | null;
}

/** The blocks of each start in which all of these sizes have a slice; none of a start without any. */
function startsOf(ids: readonly string[], runs: readonly SizeRun[]): Row[][] {
  const rounds = Map.groupBy(runs, ({ round }) => round);
  return [...rounds.values()].map((own) => {
    const slices = ids.map((id) => own.find((run) => run.scenarioId === id)?.slices);
    const [first, ...others] = slices;
    if (first == null || others.some((one) => one == null)) return [];
    const rates = others.map((one) => new Map(one!.map(({ block, rps }) => [block, rps])));
    return first.map(({ block, rps }) => ({
      block,
      rates: [rps, ...rates.flatMap((of) => of.get(block) ?? [])],
    })).filter((row) => row.rates.length === ids.length);
  });
}

/** Of the 5% of studies in which a bound may fail, the part that the blocks before a screening have. */
const SCREENING_ALPHA = 0.01;
const ALPHA = 0.05;

const ONLY: BesideBest = { share: { value: 1, low: 1, high: 1 }, probability: 1 };

/**
 * Selects among some sizes, in order, given by their scenarios' ids. Those that got no more turns after a while, as they were far behind
 * (blocks.py), are judged by the blocks until then; the others by fresh ones. Null where there is no block
 * that all have.
 */
export function selectSize(ids: readonly string[], all: readonly SizeRun[]) {
  const runs = all.filter(({ status, slices }) => status === "ok" && slices !== null);
  const last = (id: string) =>
    runs.filter((run) => run.scenarioId === id)
      .map(({ round, slices }) => ({ round, block: slices!.at(-1)?.block ?? 0 }));
  const ends = Map.groupBy(ids.flatMap(last), ({ round }) => round);
  const endOf = (round: number) => Math.max(...ends.get(round)!.map(({ block }) => block));
  // One block less is what a load that was cut short leaves.
  const isOut = ids.map((id) => last(id).some(({ round, block }) => block < endOf(round) - 1));
  const places = ids.map((_, place) => place);
  const [out, left] = [true, false].map((is) => places.filter((place) => isOut[place] === is)) as [
    number[],
    number[],
  ];
  const rates = (starts: Row[][]) =>
    starts.filter(({ length }) => length > 0).map((rows) => rows.map((row) => row.rates));
  const together = startsOf(ids, runs);
  const before = rates(together);
  if (before.length === 0) return null;
  const uniform = uniformDraws(SEED);
  const count = (starts: StartOfCandidates[]) => ({
    starts: starts.length,
    blocks: starts.reduce((sum, { length }) => sum + length, 0),
  });
  if (out.length === 0 || left.length === 0) {
    return { selection: selectSmallest(before, { uniform }), ...count(before) };
  }
  const first = selectSmallest(before, { uniform, alpha: SCREENING_ALPHA });
  // A size may be far behind in one start and not in another.
  const until = Math.min(...together.flatMap((rows) => rows.at(-1)?.block ?? []));
  const fresh = rates(
    startsOf(left.map((place) => ids[place]!), runs)
      .map((rows) => rows.filter(({ block }) => block > until)),
  );
  if (fresh.length === 0) return { selection: first, ...count(before) };
  const second = left.length === 1
    ? { candidates: [ONLY], smallest: 0, possible: [0], isFlat: true }
    : selectSmallest(fresh, { uniform, alpha: ALPHA - SCREENING_ALPHA });
  const selection: Selection = {
    candidates: places.map((place) =>
      isOut[place] ? first.candidates[place]! : second.candidates[left.indexOf(place)]!
    ),
    smallest: second.smallest === null ? null : left[second.smallest]!,
    possible: [
      ...out.filter((place) => first.possible.includes(place)),
      ...second.possible.map((place) => left[place]!),
    ].sort((a, b) => a - b),
    isFlat: false,
  };
  return { selection, ...count(fresh) };
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, one) => sum + one, 0) / values.length;
}

function sizeOf(scenario: Scenario, all: readonly RunSummary[]): PoolSize {
  const id = scenarioId(scenario);
  const runs = all.filter((run) => run.scenarioId === id && run.status === "ok");
  const seen = runs.flatMap(({ telemetry }) => telemetry?.pgbouncer ?? []);
  const transactions = seen.reduce((sum, one) => sum + one.transactions, 0);
  const waitUs = seen.reduce((sum, one) => sum + one.waitUs, 0);
  return {
    size: scenario.defaultPoolSize,
    scenarioId: id,
    rps: mean(runs.map(({ rps }) => rps)),
    beside: null,
    mostActive: seen.length === 0 ? null : Math.max(...seen.map((one) => one.maxServersActive)),
    meanActive: mean(seen.map((one) => one.meanServersActive)),
    waitMs: transactions === 0 ? null : waitUs / transactions / 1000,
  };
}

/** What a study says of each family of pool sizes, in the plan's order. */
export function poolSizes(
  scenarios: readonly Scenario[],
  runs: readonly RunSummary[],
): PoolSizes[] {
  return sizeFamilies(scenarios).map((family): PoolSizes => {
    const { framework, users, arrivalRate } = family[0]!;
    const sizes = family.map((scenario) => sizeOf(scenario, runs));
    const selected = selectSize(sizes.map(({ scenarioId }) => scenarioId), runs);
    const selection = selected?.selection ?? null;
    const direct = runs.filter(({ scenario, status }) =>
      status === "ok" && scenario.path === "direct" && scenario.framework === framework &&
      scenario.users === users && scenario.arrivalRate === arrivalRate
    );
    const known = sizes.flatMap(({ size, rps }) => rps === null ? [] : [{ size, rps }]);
    return {
      framework,
      users,
      arrivalRate,
      sizes: sizes.map((one, i) => ({ ...one, beside: selection?.candidates[i] ?? null })),
      selection,
      starts: selected?.starts ?? 0,
      blocks: selected?.blocks ?? 0,
      directRps: mean(direct.map(({ rps }) => rps)),
      usl: fitUsl(known),
    };
  });
}

/** A curve of throughput over a pool's size; see {@linkcode fitUsl}. */
export interface Usl {
  /** Answers per second of one connection, what waits in line, and what is agreed on with each other. */
  perConnection: number;
  contention: number;
  coherency: number;
}

/** Answers per second at a size, by the curve. */
export function uslAt({ perConnection, contention, coherency }: Usl, size: number): number {
  const loss = 1 + contention * (size - 1) + coherency * size * (size - 1);
  return perConnection * size / loss;
}

/**
 * Fits the universal scalability law X(N) = λN / (1 + σ(N−1) + κN(N−1)) (Gunther, Guerrilla Capacity
 * Planning, Springer 2007) by least squares on N / X, which is linear in 1/λ, σ/λ and κ/λ; a σ or κ that
 * would be negative is 0.
 *
 * @returns Null with fewer than four sizes, of which three decide the curve, or without a fit.
 */
export function fitUsl(points: readonly { size: number; rps: number }[]): Usl | null {
  const known = points.filter(({ rps }) => rps > 0);
  if (known.length < 4) return null;
  const columns = [
    () => 1,
    (size: number) => size - 1,
    (size: number) => size * (size - 1),
  ];
  const target = known.map(({ size, rps }) => size / rps);
  for (const used of [[0, 1, 2], [0, 1], [0, 2], [0]]) {
    const rows = known.map(({ size }) => used.map((column) => columns[column]!(size)));
    const solved = leastSquares(rows, target);
    if (solved === null || solved.some((one) => one < 0) || solved[0]! <= 0) continue;
    const of = (column: number) => solved[used.indexOf(column)] ?? 0;
    return {
      perConnection: 1 / of(0),
      contention: of(1) / of(0),
      coherency: of(2) / of(0),
    };
  }
  return null;
}

/** Solves the normal equations; null where they have no one solution. */
function leastSquares(rows: readonly number[][], target: readonly number[]): number[] | null {
  const k = rows[0]!.length;
  const products = Array.from({ length: k }, (_, i) => [
    ...Array.from({ length: k }, (_, j) => rows.reduce((sum, row) => sum + row[i]! * row[j]!, 0)),
    rows.reduce((sum, row, at) => sum + row[i]! * target[at]!, 0),
  ]);
  for (let i = 0; i < k; i++) {
    const pivot = products.findIndex((row, at) => at >= i && Math.abs(row[i]!) > 1e-12);
    if (pivot < 0) return null;
    [products[i], products[pivot]] = [products[pivot]!, products[i]!];
    for (let other = 0; other < k; other++) {
      if (other === i) continue;
      const factor = products[other]![i]! / products[i]![i]!;
      products[other] = products[other]!.map((one, j) => one - factor * products[i]![j]!);
    }
  }
  return products.map((row, i) => row[k]! / row[i]!);
}
