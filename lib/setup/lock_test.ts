// test lane: checkout
import { deepStrictEqual as equal, rejects } from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { withLock } from "./lock.ts";

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("withLock() lets one in at a time and tells the others that they wait", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "deeper", "lock");
    const seen: string[] = [];
    let second: Promise<void> | undefined;
    await withLock(path, async () => {
      await new Promise<void>((resolve) => {
        const see = (what: string) => () => resolve(void seen.push(what));
        second = withLock(path, () => Promise.resolve(see("b in")()), { onWait: see("b waits") });
      });
      // While the other looks again.
      await sleep(250);
      seen.push("a out");
    });
    await second;
    equal(seen, ["b waits", "a out", "b in"]);
  });
});

Deno.test("withLock() gives the lock back after a failure", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "lock");
    await rejects(withLock(path, () => Promise.reject(new Error("no"))), new Error("no"));
    equal(await withLock(path, () => Promise.resolve(7)), 7);
  });
});

Deno.test("withLock() stops waiting when it is aborted", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "lock");
    await withLock(path, async () => {
      const signal = AbortSignal.timeout(50);
      await rejects(withLock(path, () => Promise.resolve(), { signal }), { name: "TimeoutError" });
    });
  });
});
