/** Blocks in which another program took the machine: a cause to drop them, whatever came of them. */

import type { Slice } from "../frames/own_time.ts";
import { growthWithin, type ResourceRow, type Series } from "./readings.ts";

/**
 * A larger share of a start's blocks is not left out: then the machine is as it is, all arms of a block
 * meet it alike, and what is left would be the quiet moments alone.
 */
export const MAX_LEFT_OUT = 0.25;

/** With fewer blocks left, a start says too little: then none is left out either. */
export const MIN_BLOCKS = 4;

/** What other programs did to a start. */
export interface Disturbance {
  /** The blocks that are left out; see {@linkcode MAX_LEFT_OUT}. */
  leftOut: ReadonlySet<number>;
  /** The share of all cores' time that others used in those that count; null where it was not read. */
  others: number | null;
}

/**
 * Judges what others used in the blocks of a start.
 *
 * @param shares The share of all cores' time in each block; see {@linkcode othersByBlock}.
 * @param maxOthers The largest share that leaves a block in.
 */
export function judgeOthers(shares: ReadonlyMap<number, number>, maxOthers: number): Disturbance {
  const disturbed = [...shares].filter(([, share]) => share > maxOthers).map(([block]) => block);
  const most = Math.min(MAX_LEFT_OUT * shares.size, shares.size - MIN_BLOCKS);
  const leftOut = new Set(disturbed.length > most ? [] : disturbed);
  const counted = [...shares].filter(([block]) => !leftOut.has(block)).map(([, share]) => share);
  const total = counted.reduce((sum, share) => sum + share, 0);
  return { leftOut, others: counted.length === 0 ? null : Math.max(0, total / counted.length) };
}

/** What was read beside one arm of a start; times by the clock. */
export interface ArmReadings {
  slices: readonly Slice[];
  rows: readonly ResourceRow[];
}

/**
 * The share of all cores' time that other processes used in each block of a start.
 *
 * Readings come each second, as often as turns change: what one arm used in its slice cannot be told
 * from them, but what all arms of a start used in a block can, as each block loads all of them.
 *
 * @param arms All arms of the start.
 * @param cores The machine's cores.
 * @returns By the block's number; nothing where the machine's time was not read. Readings lie across the
 * borders of blocks: what one of them has too much, even below 0, its neighbour has too little.
 */
export function othersByBlock(arms: readonly ArmReadings[], cores: number): Map<number, number> {
  const seriesOf = (rows: readonly ResourceRow[], service: string): Series[] => {
    const own = rows.filter((row) => row.service === service && row.cpu_s !== null);
    if (own.length < 2) return [];
    return [{
      timesUs: own.map(({ time_us }) => Number(time_us)),
      values: own.map(({ cpu_s }) => cpu_s!),
    }];
  };
  // All arms' files have the machine and the generator, which they share.
  const [host] = arms.flatMap(({ rows }) => seriesOf(rows, "host"));
  const [locust] = arms.flatMap(({ rows }) => seriesOf(rows, "locust"));
  if (host === undefined || locust === undefined) return new Map();
  const own = arms.flatMap(({ rows }) => {
    const services = new Set(rows.map(({ service }) => service));
    return [...services].filter((service) => service !== "host" && service !== "locust")
      .flatMap((service) => seriesOf(rows, service));
  });
  const slices = arms.flatMap((arm) => arm.slices).filter(({ block }) => block > 0);
  const [firstUs, lastUs] = [host.timesUs[0]!, host.timesUs.at(-1)!];
  const shares = [...Map.groupBy(slices, ({ block }) => block)].flatMap(([block, turns]) => {
    const window = {
      startUs: Math.min(...turns.map(({ startUs }) => startUs)),
      endUs: Math.max(...turns.map(({ drainedUs }) => drainedUs)),
    };
    if (window.startUs < firstUs || window.endUs > lastUs) return [];
    const cpuS = (series: Series) => growthWithin(series, window);
    const ours = [locust, ...own].reduce((sum, series) => sum + cpuS(series), 0);
    const seconds = (window.endUs - window.startUs) / 1e6;
    return [[block, (cpuS(host) - ours) / (seconds * cores)] as const];
  });
  return new Map(shares);
}
