/**
 * One runner per study. The lock is the kernel's own (`flock`), so that it is free the moment its
 * holder ends, however that happens; the file says who holds it. Readers need none.
 */

import { readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PoolscopeError } from "../errors.ts";
import { type Owner, ownerState, thisOwner } from "./owner.ts";

export interface LockOwner extends Owner {
  /** What it is, as in `a notebook kernel`. */
  what: string;
  since: string;
}

/** A held lock; disposing of it frees the study. */
export interface StudyLock extends Disposable {
  /** The runner that ended without freeing the study; null when there was none. */
  recovered: LockOwner | null;
}

export function lockFile(folder: string): string {
  return join(folder, ".lock");
}

/**
 * Takes a study for this process; fails if another has it.
 *
 * @param what What this process is, for whoever comes second: `deno task run-all`.
 */
export async function lockStudy(folder: string, what: string): Promise<StudyLock> {
  const path = lockFile(folder);
  for (let attempt = 0;; attempt++) {
    using opened = new DisposableStack();
    const file = opened.use(Deno.openSync(path, { read: true, write: true, create: true }));
    if (!file.tryLockSync(true)) {
      const owner = readOwner(path);
      if (owner !== null || attempt >= 50) throw refuse(folder, owner);
      // Its holder may be about to write its name, or to remove the file.
      await sleep(20);
      continue;
    }
    if (!isStill(path, file)) continue;
    const former = readOwner(path);
    if (former !== null && !isGone(former)) throw refuse(folder, former);
    const owner: LockOwner = { ...thisOwner(), what, since: new Date().toISOString() };
    file.truncateSync();
    file.writeSync(new TextEncoder().encode(JSON.stringify(owner) + "\n"));
    // Before it is freed: whoever waits for it looks whether the file is still this one.
    opened.defer(() => isStill(path, file) && Deno.removeSync(path));
    const held = opened.move();
    return { recovered: former, [Symbol.dispose]: () => held.dispose() };
  }
}

function isStill(path: string, file: Deno.FsFile): boolean {
  try {
    return statSync(path).ino === file.statSync().ino;
  } catch {
    return false;
  }
}

function readOwner(path: string): LockOwner | null {
  try {
    const owner = JSON.parse(readFileSync(path, "utf8"));
    return typeof owner?.pid === "number" ? owner : null;
  } catch {
    return null; // Empty: its holder ended before it could write its name.
  }
}

/** Whether a former holder, whose kernel lock is free, has ended. */
function isGone(owner: LockOwner): boolean {
  const state = ownerState(owner);
  // Another container on this very kernel would hold the kernel's lock if it still ran.
  return state === "gone" || (state === "elsewhere" && owner.bootId === thisOwner().bootId);
}

function refuse(folder: string, owner: LockOwner | null): PoolscopeError {
  const why = owner === null
    ? "another process runs it; wait until that has ended"
    : explainOwner(folder, owner);
  return new PoolscopeError(`Cannot run study "${basename(folder)}": ${why}`);
}

function explainOwner(folder: string, owner: LockOwner): string {
  const { pid, host, since, what } = owner;
  const who = `${what} (pid ${pid} on ${host}) has been running it since ${since}`;
  if (ownerState(owner) === "elsewhere") {
    return `${who}; wait until it has ended, or delete ${lockFile(folder)} if it is gone`;
  }
  if (pid === Deno.pid) return "this same process runs it already; await that call first";
  return `${who}; wait until it has ended, stop it with \`kill ${pid}\`, or choose another --study name`;
}
