import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setUp } from "../setup/mod.ts";
import {
  allAppTimings,
  GO_ON,
  type Page,
  parseAppTimings,
  PAUSE,
  PAUSED_FILE,
  readAppTimings,
} from "./app_timings.ts";
import { KeptFiles } from "./kept_files.ts";

const page = (requests: number) => [requests, 9 * requests, 1, 2, 3, 4, requests];

Deno.test("parseAppTimings() takes no page that was read while it was being written", () => {
  const [old, next] = [page(9999), page(10_000)];
  equal(parseAppTimings(["7", old])!.requests, 9999);
  equal(parseAppTimings(["7", next])!.requests, 10_000);
  for (let at = 1; at < next.length; at++) {
    for (const [one, other] of [[old, next], [next, old]] as const) {
      const torn = [...one.slice(0, at), ...other.slice(at)];
      equal(parseAppTimings(["7", torn]), null, `torn at ${at}`);
    }
  }
});

Deno.test("allAppTimings() reads a page again that was being written, and each worker once", async () => {
  const torn = [...page(7).slice(0, 3), ...page(8).slice(3)];
  const paused: Page = [PAUSED_FILE, []];
  const readings: Page[][] = [
    [["31", page(5)], ["32", torn], paused],
    [["31", page(6)], ["32", page(8)], paused],
  ];
  const told = await allAppTimings(() => readings.shift()!);
  deepEqual(told.map(({ worker, requests }) => [worker, requests]), [[31, 5], [32, 8]]);
  equal(readings.length, 0);
  // One that never is whole does not keep the others from being told, nor anyone waiting.
  let times = 0;
  const others = await allAppTimings(() => (times++, [["31", page(5)], ["32", torn]]));
  deepEqual(others.map(({ worker }) => worker), [31]);
  ok(times > 1 && times < 10, `${times}`);
});

Deno.test("readAppTimings() reads each worker's file, and no other", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-test-" });
  using files = new KeptFiles();
  const read = (name: string) => readAppTimings(join(folder, name), files);
  try {
    deepEqual(await read("none"), []);
    mkdirSync(join(folder, "timings"));
    const write = (name: string, content: string | number[]) =>
      writeFileSync(
        join(folder, "timings", name),
        typeof content === "string"
          ? content
          : new Uint8Array(BigInt64Array.from(content.map(BigInt)).buffer),
      );
    write("31", [2, 90_000, 5999, 6000, 1, 60_000, 2]);
    write("32", "");
    write(PAUSED_FILE, PAUSE);
    const timings = {
      ...{ worker: 31, requests: 2, handlerUs: 90, poolWaitUs: 5, connectUs: 6, connections: 1 },
      databaseUs: 60,
    };
    deepEqual(await read("timings"), [timings]);
    write("31", [3, 90_000, 5999, 6000, 1, 60_000, 3]);
    deepEqual(await read("timings"), [{ ...timings, requests: 3 }]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** Counts requests in as many threads as fast as it can; none while it is paused. */
const BUSY_WORKER = `
import sys, threading, time
import timings

worker = timings.Worker(sys.argv[1])
lock = threading.Lock()
end = time.monotonic() + 1.5

def work():
    while time.monotonic() < end:
        if worker.paused:
            time.sleep(0.001)
            continue
        request = timings.Request()
        request.begun = timings.clock()
        request.pool_wait, request.connect, request.connections, request.database = 1000, 2000, 3, 4000
        with lock:
            worker.add(request)

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(timings.PAGE.unpack(worker._page)[0])
`;

Deno.test("a worker's page is whole and never old, counts every request, and rests while paused", async () => {
  const tools = await setUp();
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-test-" });
  using files = new KeptFiles();
  try {
    const process = new Deno.Command(tools.python.python, {
      args: ["-c", BUSY_WORKER, folder],
      env: { PYTHONPATH: join(import.meta.dirname!, "../../apps") },
      stdout: "piped",
    }).spawn();
    const output = process.output();
    const pause = (how: string) => writeFileSync(join(folder, PAUSED_FILE), how, { flag: "r+" });
    const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    const one = async () => (await readAppTimings(folder, files))[0];
    while (await one() === undefined) await sleep(5);
    let before = 0;
    for (let i = 0; i < 300; i++) {
      const told = await one();
      ok(told !== undefined, "read while it was being written, each time");
      ok(told.requests >= before, `${told.requests} after ${before}`);
      before = told.requests;
      equal(told.connections, 3 * told.requests);
      deepEqual(
        [told.poolWaitUs, told.connectUs, told.databaseUs],
        [1, 2, 4].map((us) => us * told.requests),
      );
      await sleep(1);
    }
    ok(before > 1000, `${before}`);
    pause(PAUSE);
    await sleep(20);
    const paused = (await one())!.requests;
    await sleep(100);
    equal((await one())!.requests, paused);
    pause(GO_ON);
    await sleep(100);
    ok((await one())!.requests > paused);
    const { code, stdout } = await output;
    equal(code, 0);
    equal((await one())!.requests, Number(new TextDecoder().decode(stdout)));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
