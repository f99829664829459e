// test lane: checkout
import { equal } from "node:assert/strict";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { KeptFiles } from "./kept_files.ts";

Deno.test("KeptFiles reads a file as it is now, none that is gone, and opens those again that come back", () => {
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-test-" });
  const open = () => readdirSync("/proc/self/fd").length;
  const before = open();
  const file = join(folder, "one");
  try {
    using files = new KeptFiles();
    equal(files.read(file), null);
    writeFileSync(file, "a");
    equal(files.read(file), "a");
    writeFileSync(file, "longer");
    equal(files.read(file), "longer");
    equal(open(), before + 1);
    files.keepOnly(new Set());
    equal(open(), before);
    equal(files.read(file), "longer");
  } finally {
    rmSync(folder, { recursive: true });
  }
  equal(open(), before);
});

Deno.test("KeptFiles gives null for a file of a process that has ended since", async () => {
  using files = new KeptFiles();
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  const file = `/proc/${child.pid}/schedstat`;
  equal(files.read(file)!.length > 0, true);
  child.kill("SIGKILL");
  await child.status;
  equal(files.read(file), null);
});
