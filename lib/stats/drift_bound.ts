/** The factor by which one arm was at least ahead, of runs that were not steady. */

/** Parts of a window whose throughputs are looked at: short enough to see a step, not the noise. */
const PARTS = 5;

/** Below this factor nothing is claimed. */
const MIN_FACTOR = 1.1;

export interface DriftBound {
  ahead: "base" | "other";
  /** Rounded down: to tenths below 2, to whole numbers above. */
  factor: number;
}

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
 * The factor by which one arm was at least ahead of another in runs that drifted, over all rounds: the
 * worst fifth of a window of the better arm over the best fifth of the weaker one, after either has
 * drifted on against the claim for another window, by as much as its least-squares line drifted
 * within the window.
 *
 * Extremes of parts answer for steps and noise: much shorter parts would be noise alone, halves would
 * hide a step. The continuation answers for the drift: a queue that fills or a cache that warms slows
 * down, so that another window at the same pace is more than is to come. The rule is Poolscope's own;
 * its test holds it against the truth of synthetic runs: of the claims about each kind of drift, at
 * most 5% say more than is true of the window and the next one.
 *
 * @param base The throughput of the parts of a window, for each run of the arm compared with.
 * @returns Null where neither is surely ahead by a tenth.
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
  const [byOther, byBase] = [factorOf(others, bases), factorOf(bases, others)];
  const bound: DriftBound = byOther >= MIN_FACTOR
    ? { ahead: "other", factor: byOther }
    : { ahead: "base", factor: byBase };
  return Number.isFinite(bound.factor) && bound.factor >= MIN_FACTOR ? bound : null;
}
