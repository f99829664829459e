/**
 * The noncentral t distribution: what a t statistic does when there is a difference.
 *
 * @module
 */

import { normalTail } from "./normal.ts";
import { incompleteBeta, logGamma } from "./student_t.ts";

/**
 * The probability that a noncentral t variable is at most `t`: algorithm AS 243 (R. V. Lenth,
 * "Cumulative distribution function of the non-central t distribution", Applied Statistics 38(1),
 * 1989), to an absolute error of 1e-12.
 *
 * @param t The point.
 * @param degrees Degrees of freedom, at least 1.
 * @param shift The noncentrality: the true mean over its standard error; at most 37 in size.
 */
export function noncentralTCdf(t: number, degrees: number, shift: number): number {
  if (!(degrees >= 1) || !(Math.abs(shift) <= 37)) {
    throw new RangeError(`Cannot take noncentral t with ${degrees} degrees and shift ${shift}`);
  }
  if (t < 0) return 1 - noncentralTCdf(-t, degrees, -shift);
  const outside = normalTail(shift);
  if (t === 0) return outside;
  const x = t * t / (t * t + degrees);
  const lambda = shift * shift;
  let p = 0.5 * Math.exp(-lambda / 2);
  let q = Math.sqrt(2 / Math.PI) * p * shift;
  let rest = 0.5 - p;
  let a = 0.5;
  const b = degrees / 2;
  const complement = (1 - x) ** b;
  const logBeta = Math.log(Math.PI) / 2 + logGamma(b) - logGamma(a + b);
  let odd = incompleteBeta(x, a, b);
  let oddStep = 2 * complement * Math.exp(a * Math.log(x) - logBeta);
  let even = 1 - complement;
  let evenStep = b * x * complement;
  let sum = p * odd + q * even;
  for (let n = 1; n <= 5000; n++) {
    a++;
    odd -= oddStep;
    even -= evenStep;
    oddStep *= x * (a + b - 1) / a;
    evenStep *= x * (a + b - 0.5) / (a + 0.5);
    p *= lambda / (2 * n);
    q *= lambda / (2 * n + 1);
    rest -= p;
    sum += p * odd + q * even;
    if (2 * rest * (odd - oddStep) <= 1e-12) break;
  }
  return Math.min(1, Math.max(0, sum + outside));
}
