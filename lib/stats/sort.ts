/**
 * Sorts many times of requests.
 *
 * @module
 */

const BITS = 11;
const BUCKETS = 2 ** BITS;
const LAST_DIGIT = BUCKETS - 1;

/**
 * Sorts whole numbers from 0 on, such as microseconds, in a new array: by their digits, least first
 * (Knuth, The Art of Computer Programming, vol. 3, §5.2.5, algorithm R), which for millions of
 * values takes a fraction of the time that a sort by comparison does. Anything else is sorted by
 * comparison.
 *
 * @param values Not changed.
 */
export function sortWholeNumbers(values: Float64Array): Float64Array {
  // All digits are counted at once; those in which no two values differ need no pass.
  const counts = [new Uint32Array(BUCKETS), new Uint32Array(BUCKETS), new Uint32Array(BUCKETS)];
  const [low, middle, high] = counts as [Uint32Array, Uint32Array, Uint32Array];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const whole = value >>> 0;
    // Only whole numbers of 32 bits survive that.
    if (whole !== value) return values.toSorted();
    low[whole & LAST_DIGIT]!++;
    middle[(whole >>> BITS) & LAST_DIGIT]!++;
    high[whole >>> 2 * BITS]!++;
  }
  let from = values;
  let spare: Float64Array | null = null;
  counts.forEach((digits, digit) => {
    if (digits.includes(values.length)) return;
    const to = spare ?? new Float64Array(values.length);
    distribute(from, to, digits, digit * BITS);
    spare = from === values ? null : from;
    from = to;
  });
  return from === values ? values.slice() : from;
}

/** Puts values in the order of one digit, those with the same digit in the order that they had. */
function distribute(
  from: Float64Array,
  to: Float64Array,
  counts: Uint32Array,
  shift: number,
): void {
  let place = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const count = counts[bucket]!;
    counts[bucket] = place;
    place += count;
  }
  for (let i = 0; i < from.length; i++) {
    const value = from[i]!;
    to[counts[(value >>> shift) & LAST_DIGIT]!++] = value;
  }
}
