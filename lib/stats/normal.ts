/**
 * The standard normal distribution.
 *
 * @module
 */

const ROOT_TWO_PI = Math.sqrt(2 * Math.PI);

/** The standard normal density. */
export function normalDensity(z: number): number {
  return Math.exp(-0.5 * z * z) / ROOT_TWO_PI;
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
