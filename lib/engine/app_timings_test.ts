import { deepEqual, equal } from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseAppTimings, PAUSED_FILE, readAppTimings } from "./app_timings.ts";
import { KeptFiles } from "./kept_files.ts";

Deno.test("parseAppTimings() takes no line that was read while it was being written", () => {
  const line = (time: number, requests: number) =>
    `${time} ${requests} 9 1 2 3 4 ${time}`.padEnd(99);
  const [old, next] = [line(1999, 99), line(2000, 100)];
  equal(parseAppTimings("7", old)!.requests, 99);
  for (let at = 1; at < next.trimEnd().length; at++) {
    const torn = parseAppTimings("7", next.slice(0, at) + old.slice(at));
    equal(torn, null, `torn at ${at}: ${JSON.stringify(torn)}`);
  }
});

Deno.test("readAppTimings() reads each worker's file, and no other", () => {
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-test-" });
  using files = new KeptFiles();
  const read = (name: string) => readAppTimings(join(folder, name), files);
  try {
    deepEqual(read("none"), []);
    mkdirSync(join(folder, "timings"));
    const write = (name: string, text: string) =>
      writeFileSync(join(folder, "timings", name), text);
    write("31", "1000 2 90 5 6 1 60 1000   \n");
    write("32", "");
    write(PAUSED_FILE, "1");
    const timings = {
      ...{ timeUs: 1000, worker: 31, requests: 2, handlerUs: 90, poolWaitUs: 5, connectUs: 6 },
      ...{ connections: 1, databaseUs: 60 },
    };
    deepEqual(read("timings"), [timings]);
    write("31", "2000 3 90 5 6 1 60 2000   \n");
    deepEqual(read("timings"), [{ ...timings, timeUs: 2000, requests: 3 }]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
