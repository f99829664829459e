/** Whether a run was in a steady state while it was measured, and all its users were served. */

import { median } from "./percentile.ts";
import { studentTCdf } from "./probability.ts";

/**
 * Parts that a window is cut into: enough that the correlation of neighbours can be estimated, and
 * 200 ms each in the shortest window of a plan, twice the period of a CPU quota.
 */
export const STEADY_PARTS = 30;

/** A change over the window below this share of the mean is no reason to reject a run. */
export const TOLERATED_CHANGE = 0.1;

/**
 * Two-sided level of the test of one series: small, as a study has many runs. With neighbours
 * correlated by 0.5, a steady series passes for a trend in 0.7% of runs.
 */
export const TREND_LEVEL = 0.001;

export interface Trend {
  /** Change from the window's start to its end as a share of the mean: 0.2 means 20% more. */
  change: number;
  /**
   * The same by the median of the slopes of all pairs (Theil 1950; Sen, Journal of the American
   * Statistical Association 63(324), 1968) and the median: a stall of a moment does not move it.
   */
  robustChange: number;
  /** Two-sided p value of no trend; null where the series is too short for its correlation. */
  p: number | null;
}

/**
 * Tests a series of a run for a linear trend, neighbours being correlated: the t test of the slope
 * with the effective number of values `n (1 − r) / (1 + r)` in its error and degrees of freedom
 * (Santer et al., Journal of Geophysical Research 105(D6), 2000). `r` is the correlation of
 * neighbouring residuals, corrected for its bias of about `−(1 + 4r) / n` in short series
 * (Marriott & Pope, Biometrika 41(3–4), 1954).
 *
 * @param values One for each part of the window, in order; those that are not finite are left out.
 *
 * @example
 * ```ts
 * import { findTrend } from "poolscope";
 *
 * const growing = Array.from({ length: 30 }, (_, i) => 100 + 3 * i + (i % 3));
 * console.assert(findTrend(growing).p! < 0.001);
 * ```
 */
export function findTrend(values: readonly number[]): Trend {
  const points = values.map((value, i) => ({ value, time: i - (values.length - 1) / 2 }))
    .filter(({ value }) => Number.isFinite(value));
  const n = points.length;
  const sum = (pick: (point: typeof points[number]) => number) =>
    points.reduce((total, point) => total + pick(point), 0);
  const mean = sum(({ value }) => value) / n;
  const middle = sum(({ time }) => time) / n;
  const spread = sum(({ time }) => (time - middle) ** 2);
  const slope = sum(({ value, time }) => (value - mean) * (time - middle)) / spread;
  const change = slope * values.length / mean;
  if (n < 5 || !Number.isFinite(change)) {
    const known = Number.isFinite(change) ? change : 0;
    return { change: known, robustChange: known, p: null };
  }
  const slopes = points.flatMap((a, i) =>
    points.slice(i + 1).map((b) => (b.value - a.value) / (b.time - a.time))
  );
  const robust = median(slopes)! * values.length / median(points.map(({ value }) => value))!;
  const changes = { change, robustChange: Number.isFinite(robust) ? robust : change };

  const residuals = points.map(({ value, time }) => value - mean - slope * (time - middle));
  const squares = residuals.reduce((total, e) => total + e * e, 0);
  // Rounding leaves something of a straight line, which is no noise.
  if (squares <= 1e-20 * mean * mean * n) return { ...changes, p: slope === 0 ? 1 : 0 };
  const products = residuals.reduce((total, e, i) => total + e * (residuals[i - 1] ?? 0), 0);
  const raw = products / squares;
  const r = Math.min(0.95, Math.max(0, raw + (1 + 4 * raw) / n));
  const degrees = n * (1 - r) / (1 + r) - 2;
  if (degrees < 1) return { ...changes, p: null };
  const t = Math.abs(slope) / Math.sqrt(squares / degrees / spread);
  return { ...changes, p: 2 * (1 - studentTCdf(t, degrees)) };
}

export type SteadyState = ReturnType<typeof checkSteadyState>;

/**
 * Whether a run was in a steady state. It drifts when throughput or service time has a trend that
 * is both significant at 0.1% and larger than 10% of the mean over the window. Either condition
 * alone would reject good runs: the first for changes that matter to nobody, the second for the
 * noise of short windows.
 */
export function checkSteadyState(
  series: { completed: readonly number[]; serviceMs: readonly number[] },
) {
  const throughput = findTrend(series.completed);
  const serviceTime = findTrend(series.serviceMs);
  const large = [throughput, serviceTime].filter(({ change }) =>
    Math.abs(change) > TOLERATED_CHANGE
  );
  // Too short: the window has too few values that do not depend on each other to tell.
  const state: "steady" | "drifting" | "too_short" =
    large.some(({ p }) => p !== null && p < TREND_LEVEL)
      ? "drifting"
      : large.some(({ p }) => p === null)
      ? "too_short"
      : "steady";
  return { state, throughput, serviceTime };
}

/** A larger share of the users than this may not be missing from, or too many in, a window. */
export const LITTLE_TOLERANCE = 0.1;

export type LittlesLaw = ReturnType<typeof checkLittlesLaw>;

/**
 * The interactive response time law N = X · (R + Z) (Denning & Buzen, ACM Computing Surveys 10(3),
 * 1978; Little, Operations Research 9(3), 1961). It fails where users stopped asking, where requests
 * were not recorded, and where some users wait for the whole window while others are served: their
 * waiting is in no service time, so that percentiles say nothing of them.
 *
 * @param users Users of the closed loop.
 * @param throughput Answers per second, failures among them.
 * @param serviceS Mean service time of these answers in seconds.
 * @param thinkS Mean think time in seconds.
 *
 * @example
 * ```ts
 * import { checkLittlesLaw } from "poolscope";
 *
 * console.assert(checkLittlesLaw(100, 400, 0.2, 0.05).holds);
 * console.assert(!checkLittlesLaw(1000, 400, 0.6, 0).holds);
 * ```
 */
export function checkLittlesLaw(
  users: number,
  throughput: number,
  serviceS: number,
  thinkS: number,
) {
  const found = throughput === 0 ? 0 : throughput * (serviceS + thinkS);
  const ratio = found / users;
  return {
    /** Users by the law: throughput × (service time + think time). */
    users: found,
    /** These over the users that were there; 1 where the law holds exactly. */
    ratio,
    holds: Math.abs(ratio - 1) <= LITTLE_TOLERANCE,
  };
}

/** What is left of the law with unknown think times: few may be `waiting` for the whole window. */
export function checkAllServed(users: number, waiting: number): LittlesLaw {
  const ratio = 1 - waiting / users;
  return { users: users - waiting, ratio, holds: 1 - ratio <= LITTLE_TOLERANCE };
}
