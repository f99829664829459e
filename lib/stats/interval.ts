/**
 * Central values over rounds, with their intervals.
 *
 * @module
 */

import { median } from "./percentile.ts";
import { studentTQuantile } from "./student_t.ts";
import type { Estimate } from "./summary.ts";

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Standard deviation of a sample, with n − 1. */
function deviation(values: readonly number[]): number {
  const centre = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1));
}

/**
 * The mean with its t interval. A single value has no interval: one run decides nothing.
 *
 * @param confidence @default 0.95
 * @returns Null when there are no values.
 *
 * @example
 * ```ts
 * import { meanInterval } from "poolscope";
 *
 * const { value, low, high } = meanInterval([9, 10, 11])!;
 * console.assert(value === 10 && Math.abs(high! - low! - 2 * 2.484138) < 1e-5);
 * ```
 */
export function meanInterval(values: readonly number[], confidence = 0.95): Estimate | null {
  if (values.length === 0) return null;
  const value = mean(values);
  if (values.length === 1) return { value, low: null, high: null };
  const t = studentTQuantile((1 + confidence) / 2, values.length - 1);
  const half = t * deviation(values) / Math.sqrt(values.length);
  return { value, low: value - half, high: value + half };
}

/**
 * Coefficient of variation, 0 to 1: the standard deviation over the mean.
 *
 * @returns Null below two values or when the mean is 0.
 *
 * @example
 * ```ts
 * import { coefficientOfVariation } from "poolscope";
 *
 * console.assert(coefficientOfVariation([9, 10, 11]) === 0.1);
 * ```
 */
export function coefficientOfVariation(values: readonly number[]): number | null {
  if (values.length < 2 || mean(values) === 0) return null;
  return deviation(values) / mean(values);
}

/**
 * The median with the smallest and largest value. The range of n independent runs covers their
 * median with probability 1 − 2^(1 − n), whatever the distribution: 94% at five runs, 97% at six
 * (David & Nagaraja, Order Statistics, §7.1). A single value has no range.
 *
 * @returns Null when there are no values.
 *
 * @example
 * ```ts
 * import { medianRange } from "poolscope";
 *
 * console.assert(medianRange([3, 1, 2])!.value === 2);
 * ```
 */
export function medianRange(values: readonly number[]): Estimate | null {
  const value = median(values);
  if (value === null) return null;
  if (values.length === 1) return { value, low: null, high: null };
  return { value, low: Math.min(...values), high: Math.max(...values) };
}
