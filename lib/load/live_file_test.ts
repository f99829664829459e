// test lane: checkout
import { deepEqual, equal } from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../store/layout.ts";
import { testPython } from "./testing/python.ts";

/** Runs a script that has a file `live` in a folder, and says what is in the folder then. */
function run(script: string): { folder: string; names: string[] } {
  const folder = Deno.makeTempDirSync();
  const head = `
import sys
import gevent.monkey
gevent.monkey.patch_all()
sys.path.insert(0, "locust")
import account
import gevent
import time
from pathlib import Path

live = account.LiveFile(Path(sys.argv[1]))
`;
  const { success, stderr } = new Deno.Command(testPython(), {
    args: ["-c", head + script, folder],
    cwd: ROOT,
    clearEnv: true,
  }).outputSync();
  equal(success, true, new TextDecoder().decode(stderr));
  return { folder, names: readdirSync(folder) };
}

Deno.test("LiveFile is written whole, however many write at once", () => {
  const { folder, names } = run(`
jobs = [gevent.spawn(live.write, {"n": n}, []) for n in range(200)]
gevent.joinall(jobs, raise_error=True)
`);
  deepEqual(names, [".live.json"]);
  deepEqual(JSON.parse(readFileSync(join(folder, ".live.json"), "utf8")), { n: 199, p95Ms: null });
});

Deno.test("LiveFile is gone for good, and nothing is sent while the disk is waited for", () => {
  const { names } = run(`
write_whole, sleep = account.write_whole, gevent.monkey.get_original("time", "sleep")

def write_slowly(path, text):
    sleep(0.3)
    write_whole(path, text)

account.write_whole = write_slowly
writing = gevent.spawn(live.write, {"n": 1}, [])
gevent.sleep(0.1)
others = []
gevent.spawn(others.append, "sent")
live.remove()
assert not others, others
writing.join()
live.write({"n": 2}, [])
`);
  deepEqual(names, []);
});
