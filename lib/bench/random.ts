/** A seeded generator of random numbers. */

/** Draws from a seed: the same seed gives the same draws. */
export interface Random {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** One of the values, each as likely. */
  pick<T>(values: ArrayLike<T>): T;
}

/**
 * xoshiro128** (Blackman & Vigna, "Scrambled linear pseudorandom number generators", ACM
 * Transactions on Mathematical Software 47(4), 2021), its state filled by SplitMix32.
 *
 * @param seed A whole number.
 */
export function seededDraws(seed: number): Random {
  let mixed = seed >>> 0;
  const splitMix = () => {
    mixed = (mixed + 0x9e3779b9) >>> 0;
    let z = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  const state = Uint32Array.of(splitMix(), splitMix(), splitMix(), splitMix());
  const rotate = (x: number, k: number) => (x << k) | (x >>> (32 - k));
  const uniform = () => {
    const result = Math.imul(rotate(Math.imul(state[1]!, 5), 7), 9) >>> 0;
    const shifted = state[1]! << 9;
    state[2]! ^= state[0]!;
    state[3]! ^= state[1]!;
    state[1]! ^= state[2]!;
    state[0]! ^= state[3]!;
    state[2]! ^= shifted;
    state[3] = rotate(state[3]!, 11);
    return result / 2 ** 32;
  };
  return { uniform, pick: (values) => values[Math.floor(uniform() * values.length)]! };
}
