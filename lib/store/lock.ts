/**
 * One runner per study. The lock is the kernel's own (`flock`), so that it is free the moment its
 * holder ends, however that happens; the file says who holds it. Readers need none.
 *
 * @module
 */

import { readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PoolscopeError } from "../errors.ts";
import { type Owner, ownerState, thisOwner } from "./owner.ts";

/** What `.lock` says about the runner of a study. */
export interface LockOwner extends Owner {
  /** What it is, as in `a notebook kernel`. */
  what: string;
  /** Since when it has held the lock, ISO 8601 in UTC. */
  since: string;
}

/** A held lock; disposing of it frees the study. */
export interface StudyLock extends Disposable {
  /** The runner that ended without freeing the study; null when there was none. */
  recovered: LockOwner | null;
}

/** The lock's file in a study's folder. */
export function lockFile(folder: string): string {
  return join(folder, ".lock");
}

/**
 * Takes a study for this process.
 *
 * @param folder The study's folder; it exists.
 * @param what What this process is, for whoever comes second: `deno task run-all`.
 * @throws {PoolscopeError} If somebody else has it; the message names them and says what to do.
 */
export async function lockStudy(folder: string, what: string): Promise<StudyLock> {
  const path = lockFile(folder);
  for (let attempt = 0;; attempt++) {
    const file = Deno.openSync(path, { read: true, write: true, create: true });
    try {
      if (!file.tryLockSync(true)) {
        const owner = readOwner(path);
        // Its holder may be about to write its name, or to remove the file.
        if (owner === null && attempt < 50) {
          file.close();
          await sleep(20);
          continue;
        }
        throw refuse(folder, owner);
      }
      if (!isStill(path, file)) {
        file.close();
        continue;
      }
      const former = readOwner(path);
      if (former !== null && !isGone(former)) throw refuse(folder, former);
      const owner: LockOwner = { ...thisOwner(), what, since: new Date().toISOString() };
      file.truncateSync();
      file.writeSync(new TextEncoder().encode(JSON.stringify(owner) + "\n"));
      return {
        recovered: former,
        [Symbol.dispose]: () => {
          // Before it is freed: whoever waits for it looks whether the file is still this one.
          if (isStill(path, file)) Deno.removeSync(path);
          file.close();
        },
      };
    } catch (error) {
      try {
        file.close();
      } catch {
        // Closed above.
      }
      throw error;
    }
  }
}

/** Whether the path still leads to the open file. */
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
  const begin = `Cannot run study "${basename(folder)}": `;
  if (owner === null) {
    return new PoolscopeError(`${begin}another process runs it; wait until that has ended`);
  }
  const { pid, host, since, what } = owner;
  const who = `${what} (pid ${pid} on ${host}) has been running it since ${since}`;
  const state = ownerState(owner);
  if (state === "elsewhere") {
    return new PoolscopeError(
      `${begin}${who}; wait until it has ended, or delete ${lockFile(folder)} if it is gone`,
    );
  }
  if (pid === Deno.pid) {
    return new PoolscopeError(`${begin}this same process runs it already; await that call first`);
  }
  return new PoolscopeError(
    `${begin}${who}; wait until it has ended, stop it with \`kill ${pid}\`, or choose another --study name`,
  );
}
