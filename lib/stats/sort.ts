/**
 * Sorts many times of requests.
 *
 * @module
 */

const BITS = 11;
const BUCKETS = 2 ** BITS;

/**
 * Sorts whole numbers from 0 on, such as microseconds, in a new array: by their digits, least first
 * (Knuth, The Art of Computer Programming, vol. 3, §5.2.5, algorithm R), which for millions of
 * values takes a fraction of the time that a sort by comparison does. Anything else is sorted by
 * comparison.
 *
 * @param values Not changed.
 */
export function sortWholeNumbers(values: Float64Array): Float64Array {
  let most = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    // Only whole numbers of 32 bits survive this.
    if (value >>> 0 !== value) return values.toSorted();
    if (value > most) most = value;
  }
  let from = new Uint32Array(values);
  let to = new Uint32Array(values.length);
  const ends = new Uint32Array(BUCKETS);
  for (let shift = 0; shift < 32 && most >= 2 ** shift; shift += BITS) {
    ends.fill(0);
    for (let i = 0; i < from.length; i++) ends[(from[i]! >>> shift) & (BUCKETS - 1)]!++;
    let place = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = ends[bucket]!;
      ends[bucket] = place;
      place += count;
    }
    for (let i = 0; i < from.length; i++) {
      const value = from[i]!;
      to[ends[(value >>> shift) & (BUCKETS - 1)]!++] = value;
    }
    [from, to] = [to, from];
  }
  return new Float64Array(from);
}
