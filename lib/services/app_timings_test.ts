// test lane: checkout
import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { setUp } from "../setup/mod.ts";
import {
  allAppTimings,
  GO_ON,
  type Page,
  PAGE_NUMBERS,
  parseAppTimings,
  PAUSE,
  PAUSED_FILE,
} from "./app_timings.ts";
import { KeptFiles } from "../hosts/linux/kept_files.ts";

function readAppTimings(folder: string, files: KeptFiles) {
  return allAppTimings(() => files.readNumbers(folder, PAGE_NUMBERS));
}

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

Deno.test("allAppTimings() reads each worker's file, and no other", async () => {
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
      worker: 31,
      requests: 2,
      handlerUs: 90,
      poolWaitUs: 5,
      connectUs: 6,
      connections: 1,
      databaseUs: 60,
    };
    deepEqual(await read("timings"), [timings]);
    write("31", [3, 90_000, 5999, 6000, 1, 60_000, 3]);
    deepEqual(await read("timings"), [{ ...timings, requests: 3 }]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/**
 * Counts requests in as many threads as fast as it can, or at a rate in one, for some seconds or until
 * its input ends, or for a minute; prints its page at last.
 */
const WORKER = `
import select, sys, threading, time
import timings

folder, seconds, threads, rate = sys.argv[1], *map(float, sys.argv[2:])
worker = timings.Worker(folder)
lock = threading.Lock()
begun = time.monotonic()
given = measured = 0
running = True

def work():
    global given, measured
    turn = 0
    while running:
        with lock:
            request = worker.begin()
            given += 1
        if request is None:
            time.sleep(0)
        else:
            request.pool_wait, request.connect, request.connections, request.database = 1000, 2000, 3, 4000
            with lock:
                worker.add(request)
                measured += 1
        turn += 1
        if rate:
            time.sleep(max(0, begun + turn / rate - time.monotonic()))

others = [threading.Thread(target=work) for _ in range(int(threads))]
for thread in others:
    thread.start()
time.sleep(seconds) if seconds else select.select([sys.stdin], [], [], 60)
running = False
for thread in others:
    thread.join()
print(given, measured, *timings.PAGE.unpack(worker._page))
`;

/** As apps/timings has it: at least one of so many requests is measured, and stands for them. */
const LONGEST_STRIDE = 16;
const THREADS = 4;

/**
 * Starts it with its folder, for how many seconds (0: until it is waited for), in how many threads, and at
 * how many requests/s.
 */
async function startWorker(folder: string, ...how: [number, number, number]) {
  const { python } = await setUp();
  const process = new Deno.Command(python.python, {
    args: ["-c", WORKER, folder, ...how.map(String)],
    env: { PYTHONPATH: join(import.meta.dirname!, "../../apps") },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  return async (): Promise<number[]> => {
    await process.stdin.close();
    const { code, stdout } = await process.output();
    equal(code, 0);
    return new TextDecoder().decode(stdout).trim().split(" ").map(Number);
  };
}

Deno.test("a worker's page is whole and never old, and rests while paused", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-test-" });
  using files = new KeptFiles();
  try {
    const ended = await startWorker(folder, 0, THREADS, 0);
    const pause = (how: string) => writeFileSync(join(folder, PAUSED_FILE), how, { flag: "r+" });
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
    // What each thread had begun by then it may still add.
    const most = (await one())!.requests + THREADS * LONGEST_STRIDE;
    await sleep(100);
    const { requests: paused } = (await one())!;
    ok(paused <= most, `${paused} of ${most}`);
    pause(GO_ON);
    const until = Date.now() + 30_000;
    while ((await one())!.requests <= most) {
      ok(Date.now() < until, "nothing is counted any more");
      await sleep(5);
    }
    const [, , requests] = await ended();
    equal((await one())!.requests, requests);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

Deno.test("a worker measures every request of few, of many a part, and counts all, in one thread or more", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-test-" });
  try {
    const run = async (...how: [seconds: number, threads: number, rate: number]) => {
      const ended = await startWorker(folder, ...how);
      const [given, measured, requests, , poolWait, connect, connections, database] = await ended();
      deepEqual(
        [poolWait, connect, connections, database],
        [1000, 2000, 3, 4000].map((each) => each * requests!),
      );
      return { given: given!, measured: measured!, requests: requests! };
    };
    const few = await run(4, 1, 40);
    ok(few.given > 80, `${few.given} given`);
    deepEqual([few.measured, few.requests], [few.given, few.given]);
    const many = await run(4, 1, 400);
    // All of the first second, and at least 50 in each of the others.
    ok(many.measured >= 150 && many.measured < 0.7 * many.given, `${many.measured}, ${many.given}`);
    // Long enough for what follows the first second to outweigh it, whoever takes cores meanwhile.
    const most = await run(5, THREADS, 0);
    ok(most.measured < 0.7 * most.given, `${most.measured}, ${most.given}`);
    for (const { given, requests } of [many, most]) {
      const uncounted = given - requests;
      ok(uncounted >= 0 && uncounted < LONGEST_STRIDE, `${uncounted} of ${given} not counted yet`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
