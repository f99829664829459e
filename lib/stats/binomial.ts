/**
 * Exact statements about counts.
 *
 * @module
 */

import { incompleteBeta } from "./student_t.ts";

/**
 * The probability of at least `count` successes in `n` independent trials (DLMF 8.17.5): the p
 * value of the exact test that each succeeds with no more than `probability`.
 *
 * @param count Successes seen, 0 to `n`.
 * @param n Trials.
 * @param probability Of one success, between 0 and 1.
 */
export function binomialTail(count: number, n: number, probability: number): number {
  if (!(count >= 0 && count <= n) || !(probability >= 0 && probability <= 1)) {
    throw new RangeError(`Cannot test ${count} of ${n} against a probability of ${probability}`);
  }
  return count === 0 ? 1 : incompleteBeta(probability, count, n - count + 1);
}
