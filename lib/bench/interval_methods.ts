/**
 * Intervals that could have been chosen for a ratio of two arms, on the logarithms of their
 * throughput. `deno task bench statistics` compares their coverage at few rounds; Poolscope uses
 * {@linkcode pairedT}.
 */

import { meanInterval } from "../stats/interval.ts";
import { studentTQuantile } from "../stats/probability.ts";
import type { Random } from "./random.ts";

/** The logarithms of the two arms' throughput, by round. */
export interface Rounds {
  base: number[];
  other: number[];
}

/** A 95% interval of the mean difference: other less base. */
type Method = (rounds: Rounds, random: Random) => { low: number; high: number };

const RESAMPLES = 400;

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function variance(values: number[]): number {
  const centre = mean(values);
  return values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1);
}

function differences({ base, other }: Rounds): number[] {
  return other.map((value, i) => value - base[i]!);
}

/** Student's t of the differences by round. */
export const pairedT: Method = (rounds) => {
  const { low, high } = meanInterval(differences(rounds))!;
  return { low: low!, high: high! };
};

/** The normal interval of the differences by round, as if their deviation were known. */
export const pairedNormal: Method = (rounds) => {
  const all = differences(rounds);
  const half = 1.959963984540054 * Math.sqrt(variance(all) / all.length);
  return { low: mean(all) - half, high: mean(all) + half };
};

/** The percentile bootstrap of the differences by round (Efron, Annals of Statistics 7(1), 1979). */
export const pairedBootstrap: Method = (rounds, random) => {
  const all = differences(rounds);
  const means = Float64Array.from({ length: RESAMPLES }, () => {
    let sum = 0;
    for (let i = 0; i < all.length; i++) sum += random.pick(all);
    return sum / all.length;
  }).sort();
  return {
    low: means[Math.floor(0.025 * RESAMPLES)]!,
    high: means[Math.ceil(0.975 * RESAMPLES) - 1]!,
  };
};

const quantiles = new Map<number, number>();

/** Welch's t of the two arms, their rounds not paired (Biometrika 34(1–2), 1947). */
export const unpairedWelch: Method = ({ base, other }) => {
  const [a, b] = [variance(base) / base.length, variance(other) / other.length];
  const degrees = (a + b) ** 2 / (a ** 2 / (base.length - 1) + b ** 2 / (other.length - 1));
  // The quantile is smooth: a grid of hundredths of a degree spares most of its computation.
  const rounded = Math.max(1, Math.round(degrees * 100) / 100);
  const t = quantiles.get(rounded) ?? studentTQuantile(0.975, rounded);
  quantiles.set(rounded, t);
  const half = t * Math.sqrt(a + b);
  const difference = mean(other) - mean(base);
  return { low: difference - half, high: difference + half };
};
