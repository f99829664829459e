// test lane: copy
/** Disks that are really full, and what is told and kept then. */

import { equal, rejects } from "node:assert/strict";
import { appendFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { LocalEngine } from "./engine/local.ts";
import { PoolscopeError } from "./errors.ts";
import { setUp } from "./setup/mod.ts";
import { FaultyStudy, keepsNumbers } from "./testing/faulty_study.ts";

const tools = await setUp();

/** A tiny disk of its own; null, with the reason printed, where this user may not mount one. */
function tinyDisk(
  mib: number,
): (Disposable & { folder: string; fill(leaveBytes?: number): void }) | null {
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-disk-" });
  const mounted = new Deno.Command("mount", {
    args: ["-t", "tmpfs", "-o", `size=${mib}m`, "poolscope-test", folder],
  }).outputSync();
  if (!mounted.success) {
    console.log(`  skipped: ${new TextDecoder().decode(mounted.stderr).trim()}`);
    Deno.removeSync(folder);
    return null;
  }
  return {
    folder,
    fill(leaveBytes = 0) {
      const filler = join(folder, "filler");
      for (const bytes of [2 ** 20, 4096, 1]) {
        try {
          for (;;) appendFileSync(filler, new Uint8Array(bytes));
        } catch {
          // Full to this size of a piece.
        }
      }
      Deno.truncateSync(filler, Deno.statSync(filler).size - leaveBytes);
    },
    [Symbol.dispose]() {
      new Deno.Command("umount", { args: ["-l", folder] }).outputSync();
      Deno.removeSync(folder);
    },
  };
}

Deno.test("full disks are told, cost no earlier result, and the next run succeeds", async (t) => {
  await t.step("the disk of PostgreSQL: no copy, no new rows", async () => {
    using disk = tinyDisk(600);
    if (disk === null) return;
    const { user } = tools;
    const data = join(disk.folder, "data");
    mkdirSync(data);
    if (user) {
      Deno.chownSync(data, user.uid, user.gid);
      Deno.chmodSync(disk.folder, 0o755);
    }
    // Seeded there by its good run.
    await using study = await FaultyStudy.open(
      new LocalEngine(tools, undefined, { dataFolder: data }),
    );
    await study.fails(
      { onStart: () => disk.fill(2 ** 18) },
      "FastAPI direct: the disk is full (no space left on device): cannot start PostgreSQL",
    );
    const free = () => rmSync(join(disk.folder, "filler"));
    free();
    const result = await study.fails({
      scenario: { framework: "flask" },
      beforeLoad: async () => await disk.fill(),
    }, /^Flask direct: the disk is full \(no space left on device, says (PostgreSQL|the app)\)$/);
    keepsNumbers(result, { windowS: 2, whole: true });
    free();
    await study.succeeds();
  });

  await t.step("the disk of the results", async () => {
    using disk = tinyDisk(4);
    if (disk === null) return;
    const folder = join(disk.folder, "study");
    mkdirSync(folder);
    await using study = await FaultyStudy.open(new LocalEngine(tools), folder);
    const earlier = await study.fails({
      beforeLoad: () => Promise.reject(new PoolscopeError("an earlier result")),
    }, "FastAPI direct: an earlier result");
    const file = join(earlier.folder, "manifest.json");
    const before = readFileSync(file, "utf8");
    await study.fails({
      beforeLoad: () => {
        disk.fill();
        return Promise.resolve();
      },
    }, "FastAPI direct: the disk is full (no space left on device): cannot begin to sample");
    rmSync(join(disk.folder, "filler"));
    await study.fails(
      { duringLoad: () => disk.fill() },
      /^FastAPI direct: the disk is full/,
    );
    await rejects(
      study.run({}),
      (error: Error) =>
        error instanceof PoolscopeError &&
        /^Cannot write the run's folder: .*no space left on device.*; free some disk space/i.test(
          error.message,
        ),
    );
    equal(readFileSync(file, "utf8"), before);
    rmSync(join(disk.folder, "filler"));
    await study.succeeds();
  });
});
