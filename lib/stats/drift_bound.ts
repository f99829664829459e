/**
 * What runs that were not steady bear all the same: by which factor one arm was at least ahead.
 *
 * @module
 */

/** Parts of a window whose throughputs are looked at: short enough to see a step, not the noise. */
const PARTS = 5;

/** Below this factor nothing is claimed. */
const MIN_FACTOR = 1.1;

/** By which factor one of two arms was at least ahead. */
export interface DriftBound {
  /** Which of the two. */
  ahead: "base" | "other";
  /** Rounded down: to tenths below 2, to whole numbers above. */
  factor: number;
}

/** What a run answered at least and at most, its drift continued. */
function rateBounds(rates: readonly number[]): { low: number; high: number } {
  const n = rates.length;
  const middle = (n - 1) / 2;
  // The slope of the least-squares line, times the window's length.
  const drift = n * rates.reduce((sum, rate, i) => sum + rate * (i - middle), 0) /
    rates.reduce((sum, _, i) => sum + (i - middle) ** 2, 0);
  const place = (part: number) => Math.round(part * n / PARTS);
  const parts = Array.from({ length: PARTS }, (_, i) => {
    const own = rates.slice(place(i), place(i + 1));
    return own.reduce((sum, rate) => sum + rate, 0) / own.length;
  });
  return {
    low: Math.min(...parts) + Math.min(0, drift),
    high: Math.max(...parts) + Math.max(0, drift),
  };
}

/**
 * By which factor one arm was at least ahead of another in runs that drifted, over all rounds: the
 * worst fifth of a window of the better arm over the best fifth of the weaker one, after either has
 * drifted on against the claim for another window, by as much as its least-squares line drifted
 * within the window.
 *
 * Extremes of parts, instead of means, answer for steps and for noise: much shorter parts would be
 * noise alone, halves would hide a step. The continuation answers for the drift: what fills a queue
 * or warms a cache slows down, so that another window at the same pace is more than is to come (of
 * an exponential approach, where its time constant is at most 1.4 windows). A trend that speeds up,
 * or a step after the window, is seen by no rule. The rule is Poolscope's own; its test holds it
 * against the truth of synthetic runs (lines, exponential approaches, steps, autocorrelated noise):
 * of the claims about each kind, at most 5% say more than is true of the window and the next one.
 *
 * @param base The throughput of the parts of a window, for each run of the arm compared with.
 * @param other The same for the arm that is compared.
 * @returns Null where neither is surely ahead by a tenth.
 *
 * @example
 * ```ts
 * import { driftBound } from "./drift_bound.ts";
 *
 * const rising = Array.from({ length: 30 }, (_, i) => 140 + i);
 * const steady = Array(30).fill(40);
 * console.assert(driftBound([steady, steady], [rising, rising])!.factor === 3);
 * ```
 */
export function driftBound(
  base: readonly (readonly number[])[],
  other: readonly (readonly number[])[],
): DriftBound | null {
  const [bases, others] = [base.map(rateBounds), other.map(rateBounds)];
  const factorOf = (better: typeof bases, weaker: typeof bases) => {
    const factor = Math.min(...better.map(({ low }) => low)) /
      Math.max(...weaker.map(({ high }) => high));
    return factor < 2 ? Math.floor(10 * factor) / 10 : Math.floor(factor);
  };
  const ahead = factorOf(others, bases) >= MIN_FACTOR ? "other" : "base";
  const factor = ahead === "other" ? factorOf(others, bases) : factorOf(bases, others);
  return Number.isFinite(factor) && factor >= MIN_FACTOR ? { ahead, factor } : null;
}
