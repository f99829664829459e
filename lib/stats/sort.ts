/** Sorts many times of requests. */

const BITS = 11;
const BUCKETS = 2 ** BITS;

/**
 * Sorts whole numbers from 0 on, such as microseconds, in a new array by their digits (Knuth, The Art
 * of Computer Programming, vol. 3, §5.2.5): for millions a fraction of the time of a comparison sort.
 */
export function sortWholeNumbers(values: Float64Array): Float64Array {
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    // Only whole numbers of 32 bits survive that.
    if (value >>> 0 !== value) return values.toSorted();
    largest = Math.max(largest, value);
  }
  let [from, to] = [values.slice(), new Float64Array(values.length)];
  for (let shift = 0; largest >= 2 ** shift; shift += BITS) {
    distribute(from, to, shift);
    [from, to] = [to, from];
  }
  return from;
}

/** Puts values in the order of one digit, those with the same digit in the order that they had. */
function distribute(from: Float64Array, to: Float64Array, shift: number): void {
  const places = new Uint32Array(BUCKETS + 1);
  for (let i = 0; i < from.length; i++) places[((from[i]! >>> shift) & (BUCKETS - 1)) + 1]!++;
  for (let bucket = 1; bucket < BUCKETS; bucket++) places[bucket]! += places[bucket - 1]!;
  for (let i = 0; i < from.length; i++) {
    const value = from[i]!;
    to[places[(value >>> shift) & (BUCKETS - 1)]!++] = value;
  }
}
