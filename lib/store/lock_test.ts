// test lane: checkout
import { equal, match, ok, rejects } from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PoolscopeError } from "../errors.ts";
import { lockFile, lockStudy } from "./lock.ts";
import { type Owner, ownerState, thisOwner } from "./owner.ts";

const MODULE = fileURLToPath(new URL("./lock.ts", import.meta.url));

/** Another process that holds the lock until it is killed. */
async function holder(folder: string): Promise<Deno.ChildProcess> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { lockStudy } from ${JSON.stringify(MODULE)};
       globalThis.lock = await lockStudy(${JSON.stringify(folder)}, "a test");
       console.log("held");
       setInterval(() => {}, 1000);`,
    ],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  return child;
}

function refused(folder: string, message: RegExp): Promise<void> {
  return rejects(() => lockStudy(folder, "a test"), (error) => {
    ok(error instanceof PoolscopeError);
    equal(error.message.includes("\n"), false);
    match(error.message, message);
    return true;
  });
}

Deno.test("lockStudy() lets one in, names it to the others, and leaves no file", async () => {
  const folder = Deno.makeTempDirSync();
  const lock = await lockStudy(folder, "a test");
  equal(lock.recovered, null);
  const owner = JSON.parse(readFileSync(lockFile(folder), "utf8"));
  equal(owner.pid, Deno.pid);
  ok(Date.now() - Date.parse(owner.since) < 60_000);
  await refused(folder, /this same process runs it already; await that call first/);
  lock[Symbol.dispose]();
  equal(existsSync(lockFile(folder)), false);
  (await lockStudy(folder, "a test"))[Symbol.dispose]();
});

Deno.test("lockStudy() lets exactly one of many in at a time", async () => {
  const folder = Deno.makeTempDirSync();
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, () => lockStudy(folder, "a test")),
  );
  const won = results.filter((result) => result.status === "fulfilled");
  equal(won.length, 1);
  won[0]!.value[Symbol.dispose]();
});

Deno.test("lockStudy() names a process that holds it, and recovers the lock when it is killed", async () => {
  const folder = Deno.makeTempDirSync();
  const child = await holder(folder);
  await refused(
    folder,
    new RegExp(`a test \\(pid ${child.pid} on .*stop it with .kill ${child.pid}`),
  );
  child.kill("SIGKILL");
  await child.status;
  using lock = await lockStudy(folder, "a test");
  equal(lock.recovered?.pid, child.pid);
});

Deno.test("lockStudy() recovers a recycled pid, another boot and an empty file, and no other host", async () => {
  const gone: Partial<Owner>[] = [{ startTicks: 1 }, { bootId: "another" }];
  for (const change of gone) {
    const folder = Deno.makeTempDirSync();
    writeFileSync(lockFile(folder), JSON.stringify({ ...thisOwner(), ...change, what: "x" }));
    using lock = await lockStudy(folder, "a test");
    equal(lock.recovered?.pid, Deno.pid, JSON.stringify(change));
  }
  const folder = Deno.makeTempDirSync();
  writeFileSync(lockFile(folder), "");
  (await lockStudy(folder, "a test"))[Symbol.dispose]();
  const elsewhere = { ...thisOwner(), host: "another", bootId: "another", what: "x", since: "y" };
  writeFileSync(lockFile(folder), JSON.stringify(elsewhere));
  await refused(
    folder,
    /on another\) has been running it since y; wait .* or delete .*\.lock if it/,
  );
  ok(existsSync(join(folder, ".lock")));
});

Deno.test("ownerState() tells this process from one that had its pid", () => {
  equal(ownerState(thisOwner()), "running");
  equal(ownerState({ ...thisOwner(), startTicks: 1 }), "gone");
  equal(ownerState({ ...thisOwner(), host: "another" }), "elsewhere");
});
