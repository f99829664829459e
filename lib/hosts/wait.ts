/** Waiting for a condition instead of sleeping for a time, and for an answer no longer than that. */

import { setTimeout as sleep } from "node:timers/promises";
import { PoolscopeError } from "../errors.ts";

/**
 * Waits for an answer, and no longer than a limit; what was asked goes on by itself.
 *
 * @throws {PoolscopeError} If there is none by then: `PostgreSQL did not answer within 30 s`.
 * @throws What the answer is rejected with.
 */
export async function answerWithin<T>(limitS: number, who: string, asked: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new PoolscopeError(`${who} did not answer within ${limitS} s`);
    timer = setTimeout(() => reject(error), limitS * 1000);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Options of {@linkcode waitUntil}. */
export interface WaitOptions {
  /** What is waited for, for the error: `the app to answer on port 8000`. */
  what: string;
  /** Give up after this many seconds. @default 30 */
  timeoutS?: number;
  /** Pause between two looks in milliseconds. @default 25 */
  intervalMs?: number;
  /** Looks whether waiting has become pointless; the sentence it returns becomes the error. */
  hopeless?: () => string | null;
  /** Ends the wait. */
  signal?: AbortSignal;
}

/**
 * Resolves as soon as the condition gives a value.
 *
 * @param condition Gives a value, or null while there is none. It may throw: the last error is
 * named when time runs out.
 * @throws {PoolscopeError} When the time is over, or `hopeless` says why.
 *
 * @example
 * ```ts
 * import { waitUntil } from "poolscope";
 *
 * let looks = 0;
 * const value = await waitUntil(() => ++looks === 3 ? "ready" : null, { what: "three looks" });
 * console.assert(value === "ready");
 * ```
 */
export async function waitUntil<T>(
  condition: () => T | null | Promise<T | null>,
  options: WaitOptions,
): Promise<T> {
  const { what, timeoutS = 30, intervalMs = 25, hopeless, signal } = options;
  const end = performance.now() + timeoutS * 1000;
  let last = "";
  while (true) {
    signal?.throwIfAborted();
    const reason = hopeless?.() ?? null;
    if (reason !== null) throw new PoolscopeError(`Gave up waiting for ${what}: ${reason}`);
    try {
      const value = await condition();
      if (value !== null) return value;
    } catch (error) {
      last = ` (${(error as Error).message.split("\n")[0]})`;
    }
    if (performance.now() >= end) {
      throw new PoolscopeError(`Gave up waiting for ${what}: not so after ${timeoutS} s${last}`);
    }
    await sleep(intervalMs);
  }
}
