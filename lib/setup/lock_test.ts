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
    const work = (name: string) => async () => {
      seen.push(`${name} in`);
      await sleep(50);
      seen.push(`${name} out`);
    };
    let waited = 0;
    const first = withLock(path, work("a"));
    await sleep(10);
    await Promise.all([first, withLock(path, work("b"), { onWait: () => waited++ })]);
    equal(seen, ["a in", "a out", "b in", "b out"]);
    equal(waited, 1);
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
