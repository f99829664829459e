/**
 * What a study whose arms take turns may hide, as far as its files tell. None of it is a test that
 * a comparison must pass: pretests of carry-over decide wrongly too often at these numbers of blocks
 * (Freeman, Statistics in Medicine 8, 1989), so each figure is bounded and shown beside the ratio.
 */

import type { Slice } from "../frames/own_time.ts";
import type { LoadLevel } from "../scenario.ts";
import { estimateRatios, type RoundPair } from "./blocks.ts";
import { geometricMean, tInterval } from "./interval.ts";
import { growthWithin, type ResourceRow } from "./readings.ts";
import type { Estimate, RunSummary, ScenarioSummary, ThroughputRatio } from "./summary.ts";
import type { SliceRates } from "./window.ts";

/** An arm that uses more than this share of its own CPU in the others' turns slows them down. */
export const MAX_IDLE_SHARE = 0.02;
/** A slice whose late half differs from its early one by more is not settled. */
export const MAX_HALVES_CHANGE = 0.05;
/** Carry-over matters above this share of a ratio's half-width. */
export const MAX_CARRY_OVER_SHARE = 0.5;
/** Of fewer readings, blocks, or slices in one place nothing is said. */
const MIN_READINGS = 5;
const MIN_IN_PLACE = 4;
const LEVEL = 0.05;

/** The services that are an arm's own. */
const OWN_SERVICES = ["postgres", "pgbouncer", "app"];

/** CPU seconds that an arm's own services used in its slices and in the others' turns. */
export interface IdleUse {
  /** Readings of which both ends lie between two slices. */
  readings: number;
  /** The time of these readings, in seconds. */
  outsideS: number;
  insideS: number;
  services: { service: string; outsideCpuS: number; insideCpuS: number }[];
}

/**
 * CPU inside and outside of a run's slices. Readings come each second, and slices take about as long:
 * what is used outside is read where a whole reading lies there, and what is used inside is the rest.
 *
 * @param rows Readings by the clock.
 * @param slices The run's slices by the clock, its warm-up as block 0.
 * @returns Null without blocks.
 */
export function idleUse(
  rows: readonly ResourceRow[],
  slices: readonly Slice[],
): IdleUse | null {
  const counted = slices.filter(({ block }) => block > 0);
  const [first, last] = [counted[0], counted.at(-1)];
  if (first === undefined || last === undefined) return null;
  const gaps = slices.slice(1)
    .map(({ startUs }, i) => ({ startUs: slices[i]!.drainedUs, endUs: startUs }));
  const whole = { startUs: first.startUs, endUs: last.drainedUs };
  const sliceUs = counted.reduce((sum, { startUs, drainedUs }) => sum + drainedUs - startUs, 0);
  const restUs = whole.endUs - whole.startUs - sliceUs;
  let outsideUs = 0, readings = 0;
  const services = OWN_SERVICES.flatMap((service) => {
    const own = rows.filter((row) => row.service === service && row.cpu_s !== null);
    if (own.length < 2) return [];
    const timesUs = own.map(({ time_us }) => Number(time_us));
    const values = own.map(({ cpu_s }) => cpu_s!);
    let spentUs = 0, outsideCpuS = 0, count = 0;
    for (let i = 1; i < own.length; i++) {
      const [from, to] = [timesUs[i - 1]!, timesUs[i]!];
      if (!gaps.some(({ startUs, endUs }) => from >= startUs && to <= endUs)) continue;
      spentUs += to - from;
      outsideCpuS += values[i]! - values[i - 1]!;
      count++;
    }
    outsideUs = Math.max(outsideUs, spentUs);
    readings = Math.max(readings, count);
    const rest = spentUs === 0 ? 0 : outsideCpuS * restUs / spentUs;
    const insideCpuS = Math.max(0, growthWithin({ timesUs, values }, whole) - rest);
    return [{ service, outsideCpuS, insideCpuS }];
  });
  return { readings, outsideS: outsideUs / 1e6, insideS: sliceUs / 1e6, services };
}

/** An estimate with what it was made of. */
export interface Counted extends Estimate {
  n: number;
}

/** A value of a block in which an arm came first, or did not. */
export interface PlacedValue {
  start: number;
  isFirst: boolean;
  value: number;
}

/**
 * How much larger values are where an arm came first: the difference of means within starts, with
 * its t interval. Null where one of the places is too rare.
 *
 * @param level Share of intervals that may miss. @default 0.05
 *
 * @example
 * ```ts
 * import { placeEffect } from "./alternation.ts";
 *
 * const values = Array.from({ length: 20 }, (_, i) => ({
 *   start: 1,
 *   isFirst: i % 2 === 0,
 *   value: i % 2 === 0 ? 1.1 : 1,
 * }));
 * console.assert(Math.abs(placeEffect(values)!.value - 0.1) < 1e-9);
 * ```
 */
export function placeEffect(values: readonly PlacedValue[], level = LEVEL): Counted | null {
  const fit = differenceWithin(values, ({ isFirst }) => isFirst);
  if (fit === null) return null;
  const { value: mean, variance, df, n } = fit;
  return { ...tInterval({ n: 1, mean, deviation: Math.sqrt(variance), df }, level)!, n };
}

const sumOf = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/**
 * How much larger values are where something holds, within starts: least squares, whatever starts differ
 * by. Null where it holds, or does not, too rarely.
 */
function differenceWithin<T extends { start: number; value: number }>(
  values: readonly T[],
  holds: (of: T) => boolean,
) {
  const starts = [...Map.groupBy(values, ({ start }) => start).values()]
    .filter((own) => own.some(holds) && !own.every(holds));
  const centred = starts.flatMap((own) => {
    const share = own.filter(holds).length / own.length;
    const mean = sumOf(own.map(({ value }) => value)) / own.length;
    return own.map((of) => ({ of, z: Number(holds(of)) - share, y: of.value - mean }));
  });
  const n = centred.length;
  const holding = centred.filter(({ of }) => holds(of)).length;
  if (Math.min(holding, n - holding) < MIN_IN_PLACE) return null;
  const squares = sumOf(centred.map(({ z }) => z * z));
  const value = sumOf(centred.map(({ z, y }) => z * y)) / squares;
  const df = n - starts.length - 1;
  // What is left of each value, and how much it weighs in the difference.
  const rest = centred.map(({ of, z, y }) => ({ of, weight: z / squares, left: y - value * z }));
  const variance = sumOf(rest.map(({ left }) => left ** 2)) / df / squares;
  return { value, variance, df, n, share: holding / n, rest };
}

/** `small`: it cannot matter; `open`: it may; `seen`: it is there, and matters as far as is known. */
export type State = "small" | "open" | "seen";

/** What one arm did beside its ratio. Null stands for what cannot be estimated. */
export interface ArmTurns extends LoadLevel {
  arm: string;
  /** CPU in the others' turns over that in its own, per second; n are seconds that were read. */
  idle: { share: number; n: number; most: string; isMarked: boolean } | null;
  /** Throughput of slices that came first in their block over that of others. */
  first: Counted | null;
  /** Throughput of the late halves of slices over that of the early ones, all arms' together. */
  late: Counted & { state: State } | null;
}

/** What carry-over from one slice to the next may do to one comparison. */
export interface CarryOver extends LoadLevel {
  /** What is compared, and what with. */
  other: string;
  base: string;
  /** By what factor it changes the ratio; null where that cannot be estimated. */
  effect: Counted | null;
  /** The farther end of the interval, as a share: 0.03 changes a ratio by 3% at most. */
  bound: number | null;
  /** The ratio's own half-width, as such a share; null where it has no interval. */
  halfWidth: number | null;
  state: State | null;
}

/** What a study whose arms take turns may hide. */
export interface Alternation {
  arms: ArmTurns[];
  comparisons: CarryOver[];
}

type SlicedRun = RunSummary & { slices: readonly SliceRates[] };

/** A comparison with the scenarios and arms that it is of. */
export interface Compared extends Pick<ThroughputRatio, "ratio" | "users" | "arrivalRate"> {
  ids: readonly [base: string, other: string];
  arms: readonly [base: string, other: string];
}

/** Null in the consecutive design, which has no turns. */
export function alternationOf(
  scenarios: readonly ScenarioSummary[],
  runs: readonly RunSummary[],
  compared: readonly Compared[],
): Alternation | null {
  const isSliced = (run: RunSummary): run is SlicedRun => run.slices !== null;
  if (!runs.some(isSliced)) return null;
  const sliced = runs.filter(isSliced).filter(({ status }) => status === "ok");
  const runsOf = (id: string) => sliced.filter(({ scenarioId }) => scenarioId === id);
  const late = lateHalves(scenarios.map(({ scenarioId }) => runsOf(scenarioId)));
  return {
    arms: scenarios.map(({ scenarioId, arm, users, arrivalRate }, i) => ({
      arm,
      users,
      arrivalRate,
      idle: idleShare(runsOf(scenarioId)),
      first: firstOverLater(runsOf(scenarioId)),
      late: late[i]!,
    })),
    comparisons: compared.map(({ ids: [base, other], ...pair }) =>
      carryOver(pair, runsOf(base), runsOf(other), LEVEL / compared.length)
    ),
  };
}

function idleShare(runs: readonly SlicedRun[]): ArmTurns["idle"] {
  const uses = runs.flatMap(({ conditions: { idle } }) => idle ?? []);
  const sum = (of: (use: IdleUse) => number) => uses.reduce((total, use) => total + of(use), 0);
  const [outsideS, insideS] = [sum((use) => use.outsideS), sum((use) => use.insideS)];
  if (sum(({ readings }) => readings) < MIN_READINGS) return null;
  const cores = OWN_SERVICES.map((service) => {
    const cpuS = (column: "outsideCpuS" | "insideCpuS") =>
      sum((use) => use.services.find((one) => one.service === service)?.[column] ?? 0);
    return {
      service,
      outside: cpuS("outsideCpuS") / outsideS,
      inside: cpuS("insideCpuS") / insideS,
    };
  });
  const total = (where: "outside" | "inside") => cores.reduce((all, one) => all + one[where], 0);
  if (!(total("inside") > 0)) return null;
  const share = total("outside") / total("inside");
  const most = cores.reduce((a, b) => b.outside > a.outside ? b : a).service;
  return { share, n: Math.round(outsideS), most, isMarked: share > MAX_IDLE_SHARE };
}

/** Factors instead of the logarithms that were estimated. */
function factors({ value, low, high, n }: Counted): Counted {
  return { value: Math.exp(value), low: Math.exp(low!), high: Math.exp(high!), n };
}

function firstOverLater(runs: readonly SlicedRun[]): Counted | null {
  const effect = placeEffect(runs.flatMap(({ round, slices }) =>
    slices.filter(({ rps }) => rps > 0)
      .map(({ place, rps }) => ({ start: round, isFirst: place === 1, value: Math.log(rps) }))
  ));
  return effect && factors(effect);
}

/** One slice of an arm: its rate over the mean of the start. */
interface FollowingSlice {
  start: number;
  block: number;
  isAfterOther: boolean;
  value: number;
}

/** How many arms took turns in each start: as many as there are places. */
type Arms = ReadonlyMap<number, number>;

/** The slices of an arm of which it is known what they followed. */
function followingSlices(runs: readonly SlicedRun[], arms: Arms): FollowingSlice[] {
  return runs.flatMap(({ round, slices }) => {
    const placeIn = new Map(slices.map(({ block, place }) => [block, place]));
    const mean = sumOf(slices.map(({ rps }) => rps)) / slices.length;
    return slices.flatMap(({ block, place, rps }): FollowingSlice[] => {
      const before = placeIn.get(block - 1);
      // Of the first block, and of one after a block that is left out, it is not.
      if (!(mean > 0) || (place === 1 && before === undefined)) return [];
      const isAfterOther = place > 1 || before !== arms.get(round);
      return [{ start: round, block, isAfterOther, value: rps / mean }];
    });
  });
}

/**
 * By what factor following other arms changes an arm's mean rate, as a logarithm. Where slices that follow
 * another arm's answer b of the mean more than those that follow their own arm's, and are a share p of all,
 * the latter answer 1 − p·b of the mean; so the mean is 1 / (1 − p·b) times what it would be without.
 */
function carriedOver(runs: readonly SlicedRun[], arms: Arms) {
  const fit = differenceWithin(followingSlices(runs, arms), ({ isAfterOther }) => isAfterOther);
  if (fit === null) return null;
  const undisturbed = 1 - fit.share * fit.value;
  if (!(undisturbed > 0)) return null;
  // `variance` and `rest` are those of b.
  return { ...fit, value: -Math.log(undisturbed), derivative: fit.share / undisturbed };
}

type CarriedOver = NonNullable<ReturnType<typeof carriedOver>>;

/** The covariance of what two arms carry over: both arms of a block meet what the machine does then. */
function covarianceOf(base: CarriedOver, other: CarriedOver, df: number): number {
  const keyOf = ({ start, block }: FollowingSlice) => `${start} ${block}`;
  const bases = new Map(base.rest.map((one) => [keyOf(one.of), one]));
  const both = other.rest.flatMap((one) => {
    const beside = bases.get(keyOf(one.of));
    return beside === undefined ? [] : [{ one, beside }];
  });
  const ofSlices = sumOf(both.map(({ one, beside }) => one.left * beside.left)) / df;
  const weights = sumOf(both.map(({ one, beside }) => one.weight * beside.weight));
  return base.derivative * other.derivative * ofSlices * weights;
}

/**
 * What following other arms does to one arm more than to the other stands in the ratio. Blocks follow
 * each other at once and in independent order, so that of m arms each follows another in p = 1 − 1/m² of
 * its slices, and itself in the others. The error of this is √(m² − 1) times that of the ratio, and more
 * where both arms of a block meet the same noise, which the ratio is free of.
 */
function carryOver(
  { ratio, arms: [base, other], users, arrivalRate }: Omit<Compared, "ids">,
  bases: readonly SlicedRun[],
  others: readonly SlicedRun[],
  level: number,
): CarryOver {
  const arms = new Map<number, number>();
  for (const { round, slices } of [...bases, ...others]) {
    arms.set(round, Math.max(arms.get(round) ?? 0, ...slices.map(({ place }) => place)));
  }
  const effect = carryOverEffect(carriedOver(bases, arms), carriedOver(others, arms), level);
  const widest = effect && Math.max(Math.abs(effect.low!), Math.abs(effect.high!));
  const half = ratio?.low == null || ratio.high === null
    ? null
    : Math.log(ratio.high / ratio.low) / 2;
  return {
    base,
    other,
    users,
    arrivalRate,
    effect: effect && factors(effect),
    bound: widest === null ? null : Math.exp(widest) - 1,
    halfWidth: half === null ? null : Math.exp(half) - 1,
    state: effect === null || half === null
      ? null
      : widest! <= MAX_CARRY_OVER_SHARE * half
      ? "small"
      : effect.low! > 0 || effect.high! < 0
      ? "seen"
      : "open",
  };
}

/** The logarithm of the factor by which a ratio is off. */
function carryOverEffect(
  base: CarriedOver | null,
  other: CarriedOver | null,
  level: number,
): Counted | null {
  if (base === null || other === null) return null;
  const df = Math.min(base.df, other.df);
  const [ofBase, ofOther] = [base, other].map((one) => one.derivative ** 2 * one.variance);
  const variance = ofBase! + ofOther! - 2 * covarianceOf(base, other, df);
  const deviation = Math.sqrt(Math.max(0, variance));
  const estimate = tInterval({ n: 1, mean: other.value - base.value, deviation, df }, level)!;
  return { ...estimate, n: Math.min(base.n, other.n) };
}

/** Late over early halves of the slices of each arm; in 95% of studies all intervals hold. */
function lateHalves(arms: readonly (readonly SlicedRun[])[]): ArmTurns["late"][] {
  const pairs = arms.map((runs) =>
    runs.flatMap(({ round, slices }): RoundPair[] => {
      const blocks = slices.map(({ earlyRps, lateRps }) => ({ base: earlyRps, other: lateRps }));
      const mean = (half: "base" | "other") =>
        blocks.reduce((sum, block) => sum + block[half], 0) / blocks.length;
      const pair = { round, base: mean("base"), other: mean("other"), blocks };
      return pair.base > 0 && pair.other > 0 ? [pair] : [];
    })
  );
  const moments = estimateRatios(pairs);
  return pairs.map((own, i) => {
    const { blocks } = moments[i]!;
    if (own.length === 0 || blocks < 2 * MIN_IN_PLACE) return null;
    const { value, low, high } = geometricMean(moments[i]!, LEVEL / arms.length)!;
    const isLarge = (ratio: number) => Math.abs(ratio - 1) > MAX_HALVES_CHANGE;
    const isSeen = (low! > 1 || high! < 1) && isLarge(value);
    const state = isSeen ? "seen" : isLarge(low!) || isLarge(high!) ? "open" : "small";
    return { value, low, high, n: blocks, state };
  });
}
