// test lane: checkout
import { deepEqual, equal } from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../store/layout.ts";
import { testPython } from "./testing/python.ts";

const SCRIPT = `
import sys
import gevent.monkey
gevent.monkey.patch_all()
sys.path.insert(0, "locust")
import gevent
from pathlib import Path
from account import LiveFile

live = LiveFile(Path(sys.argv[1]))
jobs = [gevent.spawn(live.write, {"n": n}, []) for n in range(200)]
gevent.joinall(jobs, raise_error=True)
`;

Deno.test("LiveFile is written whole, however many write at once", () => {
  const folder = Deno.makeTempDirSync();
  const { success, stderr } = new Deno.Command(testPython(), {
    args: ["-c", SCRIPT, folder],
    cwd: ROOT,
    clearEnv: true,
  }).outputSync();
  equal(success, true, new TextDecoder().decode(stderr));
  deepEqual(readdirSync(folder), [".live.json"]);
  deepEqual(JSON.parse(readFileSync(join(folder, ".live.json"), "utf8")), { n: 199, p95Ms: null });
});
