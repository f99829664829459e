/**
 * Probability distributions: normal, Student's t, noncentral t and binomial.
 *
 * Written by hand because the packages that agree with scipy to 1e-10 (`@stdlib`) come as 232 packages
 * of 27 MB; the tests hold these functions against them.
 */

/** Keeps what a function of numbers returned: some take milliseconds and are asked again and again. */
export function memoise<A extends (number | readonly number[])[], T>(
  compute: (...args: A) => T,
): (...args: A) => T {
  const known = new Map<string, T>();
  return (...args) => {
    const key = args.join(" ");
    if (!known.has(key)) known.set(key, compute(...args));
    return known.get(key)!;
  };
}

export function normalDensity(z: number): number {
  return Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);
}

/**
 * The probability that a standard normal variable exceeds `z`, with full relative precision in the
 * tail: the series of Abramowitz & Stegun 26.2.11 near the middle, the continued fraction 26.2.14
 * beyond three deviations.
 */
export function normalTail(z: number): number {
  if (z < 0) return 1 - normalTail(-z);
  if (z > 38) return 0;
  if (z > 3) {
    let fraction = z;
    for (let k = 60; k >= 1; k--) fraction = z + k / fraction;
    return normalDensity(z) / fraction;
  }
  let term = z;
  let sum = z;
  for (let k = 3; term > 1e-17 * sum; k += 2) {
    term *= z * z / k;
    sum += term;
  }
  return 0.5 - normalDensity(z) * sum;
}

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
function logGamma(x: number): number {
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

/** The probability that a t variable with `degrees` of freedom is at least as far from 0 as `t`. */
export function twoSidedP(t: number, degrees: number): number {
  return incompleteBeta(degrees / (degrees + t * t), degrees / 2, 0.5);
}

/** The probability that a t variable with `degrees` of freedom is at most `t`. */
export function studentTCdf(t: number, degrees: number): number {
  const tail = twoSidedP(t, degrees) / 2;
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

/** The value that a t statistic must exceed in size at a two-sided level, between 0 and 1. */
export const criticalT: (level: number, degrees: number) => number = memoise(
  (level: number, degrees: number) => studentTQuantile(1 - level / 2, degrees),
);

/**
 * The probability that a noncentral t variable is at most `t`: algorithm AS 243 (R. V. Lenth,
 * "Cumulative distribution function of the non-central t distribution", Applied Statistics 38(1),
 * 1989), to an absolute error of 1e-12.
 *
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

/**
 * The probability of at least `count` successes in `n` independent trials (DLMF 8.17.5): the p
 * value of the exact test that each succeeds with no more than `probability`.
 *
 * @param count Successes seen, 0 to `n`.
 */
export function binomialTail(count: number, n: number, probability: number): number {
  if (!(count >= 0 && count <= n) || !(probability >= 0 && probability <= 1)) {
    throw new RangeError(`Cannot test ${count} of ${n} against a probability of ${probability}`);
  }
  return count === 0 ? 1 : incompleteBeta(probability, count, n - count + 1);
}
