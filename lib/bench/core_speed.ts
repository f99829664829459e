/** How fast the machine's cores are, while others use them. */

import { availableParallelism } from "node:os";
import { PoolscopeError } from "../errors.ts";
import { median } from "../stats/percentile.ts";
import { Companion } from "./load.ts";

/** Times that one core took for the same work, in order. */
export interface CoreTimes {
  /** When each was begun, in Unix time, microseconds. */
  atUs: number[];
  /** How long it took, in nanoseconds. */
  ns: number[];
}

/** Beyond so many times the median, a time is of the core's having been taken away, not of its speed. */
const LONGEST = 3;

/** Watches all cores. */
export class CoreWatches implements AsyncDisposable {
  #watches: Companion[];

  /** Begins. */
  constructor(python: string) {
    const cores = Array.from({ length: availableParallelism() }, (_, core) => core);
    this.#watches = cores.map((core) => new Companion(python, "watch_speed.py", core));
  }

  /**
   * Ends.
   *
   * @returns Times by core.
   * @throws {PoolscopeError} If the programs may not run before others.
   */
  async stop(): Promise<CoreTimes[]> {
    const texts = await Promise.all(this.#watches.map((watch) => watch.stop()));
    return texts.map((text) => {
      const times: [number, number][] = JSON.parse(text);
      if (times.length === 0) {
        throw new PoolscopeError(
          "Cannot measure the cores' speed: no right to run before others; start as root",
        );
      }
      return { atUs: times.map(([atUs]) => atUs), ns: times.map(([, ns]) => ns) };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#watches.map((watch) => watch.stop()));
  }
}

/**
 * A core's speed over a span of time, in works per millisecond: by the mean time of the works that
 * were begun in it, none counted as longer than three times their median.
 *
 * @param times The core's times.
 * @param span In Unix time, microseconds, its end excluded.
 * @throws {PoolscopeError} If none was begun in it.
 *
 * @example
 * ```ts
 * import { coreSpeed } from "./core_speed.ts";
 *
 * const times = { atUs: [0, 3000, 6000, 9000], ns: [500_000, 500_000, 90_000_000, 500_000] };
 * console.assert(coreSpeed(times, { startUs: 0, endUs: 6000 }) === 2);
 * console.assert(coreSpeed(times, { startUs: 0, endUs: 10_000 }) === 4 / 3);
 * ```
 */
export function coreSpeed(times: CoreTimes, span: { startUs: number; endUs: number }): number {
  const own = times.ns.filter((_, i) =>
    times.atUs[i]! >= span.startUs && times.atUs[i]! < span.endUs
  );
  const centre = median(own);
  if (centre === null) throw new PoolscopeError("Cannot measure a core's speed: it stood still");
  const sum = own.reduce((total, ns) => total + Math.min(ns, LONGEST * centre), 0);
  return 1e6 * own.length / sum;
}
