/**
 * Scales that Plot does not choose as these figures need them.
 *
 * @module
 */

/**
 * Ticks of a logarithmic axis: 1, 2 and 5 of each power of ten, or 1 and 3, or 1 alone, whichever
 * are at most `most`.
 */
export function logTicks([low, high]: [number, number], most = 7): number[] {
  let ticks: number[] = [];
  for (const steps of [[1, 2, 5], [1, 3], [1]]) {
    ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      // The division keeps 0.2 from becoming 0.2000…1.
      ticks.push(...steps.map((step) => power < 0 ? step / 10 ** -power : step * 10 ** power));
    }
    ticks = ticks.filter((tick) => tick >= low && tick <= high);
    if (ticks.length <= most) break;
  }
  return ticks;
}

/** Ticks of a linear axis from 0: about `count` round numbers up to `high`. */
export function linearTicks(high: number, count: number): number[] {
  const rough = high / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough)!;
  return Array.from({ length: Math.floor(high / step) + 1 }, (_, i) => i * step);
}
