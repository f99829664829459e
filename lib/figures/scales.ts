/**
 * Scales that Plot does not choose as these figures need them.
 *
 * @module
 */

/** Ticks of a logarithmic axis: powers of ten, with 2 and 5 between where there are few. */
export function logTicks([low, high]: [number, number]): number[] {
  const steps = Math.log10(high / low) > 2.2 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    ticks.push(...steps.map((step) => step * 10 ** power));
  }
  return ticks.filter((tick) => tick >= low && tick <= high);
}
