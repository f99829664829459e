/**
 * A lock between processes, so that two setups at once do not break each other. The kernel of the
 * operating system holds it: it is gone with the process, however that ends.
 *
 * @module
 */

import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Options of {@linkcode withLock}. */
export interface LockOptions {
  /** Stops waiting. */
  signal?: AbortSignal;
  /** Called once if somebody else holds the lock. */
  onWait?: () => void;
}

/**
 * Runs `work` while holding the lock of that file; waits for whoever holds it.
 *
 * @param path The lock's file; it stays behind, empty.
 * @param work What to do meanwhile.
 * @param options Options for this call.
 * @returns What `work` returned.
 */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  await Deno.mkdir(dirname(path), { recursive: true });
  using file = await Deno.open(path, { create: true, write: true });
  let told = false;
  while (!await file.tryLock(true)) {
    if (!told) options.onWait?.();
    told = true;
    await sleep(100);
    options.signal?.throwIfAborted();
  }
  try {
    return await work();
  } finally {
    await file.unlock();
  }
}
