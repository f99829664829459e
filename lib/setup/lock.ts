/**
 * A lock between processes, so that two setups at once do not break each other. The kernel of the
 * operating system holds it: it is gone with the process, however that ends.
 */

import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { StepOptions } from "./command.ts";

/** Runs `work` while holding the lock of that file, which stays behind, empty. */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  { signal, onWait }: { signal?: AbortSignal; onWait?: () => void } = {},
): Promise<T> {
  await Deno.mkdir(dirname(path), { recursive: true });
  using file = await Deno.open(path, { create: true, write: true });
  for (let tries = 0; !await file.tryLock(true); tries++) {
    if (tries === 0) onWait?.();
    await sleep(100);
    signal?.throwIfAborted();
  }
  try {
    return await work();
  } finally {
    await file.unlock();
  }
}

/** Finds something, or makes it under a lock, so that of two processes at once one finds it. */
export async function findOrMake<T>(
  lock: string,
  work: string,
  find: () => T | null,
  make: () => Promise<T>,
  { log, signal }: StepOptions,
): Promise<T> {
  return find() ?? await withLock(lock, async () => find() ?? await make(), {
    signal,
    onWait: () => log?.(`Waiting for another ${work}`),
  });
}
