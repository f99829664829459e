/**
 * Student's t distribution, for intervals over a handful of rounds.
 *
 * Written by hand, as its neighbours for the normal, binomial and noncentral t distributions: the
 * packages that agree with scipy to 1e-10 (`@stdlib`) come as 232 packages of 27 MB, which each reader
 * would wait for; the tests hold these functions against them.
 *
 * @module
 */

/** Coefficients of Lanczos' approximation (g = 7, n = 9), accurate to about 1e-15. */
const LANCZOS = [
  0.99999999999980993,
  676.5203681218851,
  -1259.1392167224028,
  771.32342877765313,
  -176.61502916214059,
  12.507343278686905,
  -0.13857109526572012,
  9.9843695780195716e-6,
  1.5056327351493116e-7,
];

/** Logarithm of the gamma function for x ≥ 0.5. */
export function logGamma(x: number): number {
  const z = x - 1;
  const base = z + 7.5;
  const sum = LANCZOS.reduce((total, c, i) => i === 0 ? c : total + c / (z + i), 0);
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(base) - base + Math.log(sum);
}

/**
 * The regularised incomplete beta function I_x(a, b), by the continued fraction of DLMF 8.17.22
 * evaluated with Lentz' method (Press et al., Numerical Recipes, §6.4).
 */
export function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The fraction converges fast below the mean of the distribution; mirror above it.
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(
    logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x),
  ) / a;
  const tiny = 1e-300;
  let c = 1;
  let d = 1 / (1 - (a + b) * x / (a + 1) || tiny);
  let fraction = d;
  for (let m = 1; m <= 500; m++) {
    const even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    let step = 1;
    for (const term of [even, odd]) {
      d = 1 / (1 + term * d || tiny);
      c = 1 + term / c || tiny;
      step = c * d;
      fraction *= step;
    }
    if (Math.abs(step - 1) < 1e-15) break;
  }
  return front * fraction;
}

/** The probability that a t variable with `degrees` of freedom is at most `t`. */
export function studentTCdf(t: number, degrees: number): number {
  const tail = incompleteBeta(degrees / (degrees + t * t), degrees / 2, 0.5) / 2;
  return t > 0 ? 1 - tail : tail;
}

/**
 * The quantile of Student's t distribution.
 *
 * @param p Probability below the quantile, between 0 and 1.
 * @param degrees Degrees of freedom, at least 1.
 *
 * @example
 * ```ts
 * import { studentTQuantile } from "poolscope";
 *
 * console.assert(Math.abs(studentTQuantile(0.975, 4) - 2.776445) < 1e-6);
 * ```
 */
export function studentTQuantile(p: number, degrees: number): number {
  if (!(p > 0 && p < 1) || !(degrees >= 1)) {
    throw new RangeError(`Cannot take t quantile ${p} with ${degrees} degrees of freedom`);
  }
  if (p < 0.5) return -studentTQuantile(1 - p, degrees);
  // Bisection: the distribution function is monotone, and speed does not matter here.
  let low = 0;
  let high = 1;
  while (studentTCdf(high, degrees) < p) high *= 2;
  while (high - low > 1e-12 * Math.max(1, high)) {
    const middle = (low + high) / 2;
    if (studentTCdf(middle, degrees) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
