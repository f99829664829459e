/** The real Locust, loading several arms in turn. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLocustTotals } from "../frames/locust.ts";
import { ROOT } from "../store/layout.ts";
import type { FinalAccount } from "../store/manifest.ts";
import { SleeplessCores } from "../testing/sleepless_cores.ts";
import { explainExit, groupCommand, LOCUSTFILE } from "./locust.ts";
import { checkCounts, convertRequests, type LiveSample, readFinal, readLive } from "./requests.ts";
import { MisbehavingServer } from "./testing/misbehaving_server.ts";
import { testPython } from "./testing/python.ts";

interface Arm {
  server: MisbehavingServer;
  /** Of its only route. @default "/posts" */
  path?: string;
  /** @default 8 */
  users?: number;
  /** @default 0 */
  thinkTimeS?: number;
  /** @default "lean" */
  client?: "lean" | "fast";
  /** A locustfile of its own. @default none */
  ownLocustfile?: string;
}

interface Schedule {
  /** @default 0.3 */
  sliceS?: number;
  /** @default 0.9 */
  warmUpS?: number;
  blocksS: number;
  /** Silence after which a request fails, in seconds. @default 60 */
  timeoutS?: number;
  /** Called each second; the signal is sent when it is true. */
  terminateWhen?: (live: LiveSample) => boolean;
  /** @default "SIGTERM" */
  signal?: "SIGTERM" | "SIGINT";
}

interface Slice {
  arm: number;
  block: number;
  place: number;
  start: number;
  settled: number;
  end: number;
  drained: number;
}

interface Outcome {
  folder: string;
  final: FinalAccount;
  slices: Slice[];
  requests: { start: number; end: number; route: string; error: string }[];
}

function routeOf(path: string) {
  return { name: `GET ${path}`, path, weight: 1, status: 200 };
}

/** The rows of a CSV file, without its header. */
function readRows(file: string, header: string): string[][] {
  const [first, ...lines] = readFileSync(file, "utf8").trimEnd().split("\n");
  assert.equal(first, header);
  return lines.map((line) => line.split(","));
}

async function readOutcome(folder: string, arm: number): Promise<Outcome> {
  const counts = await convertRequests(folder);
  const final = readFinal(folder);
  assert.equal(checkCounts(counts, final, readLocustTotals(folder)), null);
  const requests = readRows(
    join(folder, "requests.csv"),
    "intended_start_us,start_us,service_us,response_us,route,status,error,bytes",
  ).map(([, start, service, , route, , error]) => ({
    start: Number(start),
    end: Number(start) + Number(service),
    route: route!,
    error: error!,
  }));
  const slices = readRows(
    join(folder, "slices.csv"),
    "block,place,start_us,settled_us,end_us,drained_us",
  ).map((row) => {
    const [block, place, start, settled, end, drained] = row.map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    return { arm, block, place, start, settled, end, drained };
  });
  return { folder, final, slices, requests };
}

/** What must hold for each group: never two arms at once, and each request within one slice. */
function assertTurns(arms: readonly Outcome[]): void {
  const all = arms.flatMap(({ slices }) => slices).sort((a, b) => a.start - b.start);
  all.forEach((slice, i) => {
    assert.ok(slice.start <= slice.settled && slice.settled <= slice.end);
    assert.ok(slice.end <= slice.drained);
    assert.ok(i === 0 || all[i - 1]!.drained < slice.start, "never two arms at once");
  });
  for (const { requests, slices, final } of arms) {
    for (const { start, end, error } of requests) {
      const slice = slices.findLast((slice) => slice.start <= start)!;
      assert.ok(start <= slice.end && end <= slice.drained, `${start} ${end} of ${error}`);
    }
    const inWindow = slices.filter(({ block }) => block > 0);
    if (slices.length > 0) assert.equal(slices[0]!.start, final.loadStartUs);
    assert.ok(inWindow.every(({ start }) => start >= final.windowStartUs));
    assert.ok(slices.every(({ drained }) => drained <= final.windowEndUs));
  }
}

async function loadArms(
  arms: readonly Arm[],
  schedule: Schedule,
  examine: (arms: Outcome[], live: LiveSample[]) => void,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "poolscope-arms-"));
  try {
    const folders = arms.map((_, i) => join(folder, `arm-${i}`));
    folders.forEach((folder) => mkdirSync(folder));
    const { argv, env, files, startFile } = groupCommand({
      python: testPython(),
      locustfile: LOCUSTFILE,
      folder,
      sliceS: schedule.sliceS ?? 0.3,
      warmUpS: schedule.warmUpS ?? 0.9,
      blocksS: schedule.blocksS,
      seed: 3,
      arms: arms.map((arm, i) => ({
        folder: folders[i]!,
        host: arm.server.url,
        routes: [routeOf(arm.path ?? "/posts")],
        scenario: {
          users: arm.users ?? 8,
          client: arm.client ?? "lean",
          spawnRate: 40,
          thinkTimeMinS: arm.thinkTimeS ?? 0,
          thinkTimeMaxS: arm.thinkTimeS ?? 0,
        },
        ...(arm.ownLocustfile !== undefined && { ownLocustfile: arm.ownLocustfile }),
        seed: 7,
      })),
    });
    for (const [file, text] of Object.entries(files)) writeFileSync(file, text);
    writeFileSync(startFile, "");
    const child = new Deno.Command(argv[0]!, {
      args: argv.slice(1),
      env: { ...env, POOLSCOPE_TIMEOUT_S: String(schedule.timeoutS ?? 60) },
      cwd: ROOT,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const live: LiveSample[] = [];
    let isTerminated = false;
    const watch = setInterval(() => {
      const sample = readLive(folder);
      if (sample !== null && sample.timeS !== live.at(-1)?.timeS) live.push(sample);
      if (sample === null || isTerminated || !schedule.terminateWhen?.(sample)) return;
      isTerminated = true;
      child.kill(schedule.signal ?? "SIGTERM");
    }, 20);
    try {
      const { code, signal, stderr } = await child.output();
      const log = new TextDecoder().decode(stderr);
      assert.equal(explainExit(code, signal, log), null, log);
      assert.doesNotMatch(log, /Traceback/);
    } finally {
      clearInterval(watch);
    }
    assert.equal(readLive(folder), null);
    const outcomes = await Promise.all(folders.map(readOutcome));
    assertTurns(outcomes);
    examine(outcomes, live);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const lengthUs = ({ start, end }: Slice) => end - start;

const isInWindow = (live: LiveSample) => live.phase === "window";

/** Answers per second of the settled part of an arm's slice, block by block. */
function throughputs({ requests, slices }: Outcome): number[] {
  return slices.filter(({ block }) => block > 0).map(({ settled, end }) => {
    const answered = requests.filter((request) => request.end >= settled && request.end < end);
    return answered.length / (end - settled) * 1e6;
  });
}

Deno.test("two arms are loaded in turn, each by its own contract and into its own folder", async () => {
  await using first = new MisbehavingServer((n) => n % 50 === 0 ? "error" : "ok", 2);
  await using second = new MisbehavingServer(() => "ok", 2);
  await loadArms(
    [{ server: first, path: "/posts" }, { server: second, path: "/users", users: 12 }],
    { blocksS: 8 },
    (arms, live) => {
      const [a, b] = arms as [Outcome, Outcome];
      for (const [outcome, route] of [[a, "GET /posts"], [b, "GET /users"]] as const) {
        assert.deepEqual(
          new Set(outcome.requests.map((request) => request.route)),
          new Set([route]),
        );
        assert.ok(outcome.final.requests > 100 && outcome.final.warmUpRequests > 100);
        assert.equal(outcome.final.unfinished, 0);
        const history = readFileSync(join(outcome.folder, "locust_stats_history.csv"), "utf8");
        assert.match(history, new RegExp(`,${outcome === a ? 8 : 12},GET,${route.slice(4)},`));
      }
      assert.ok(a.final.failures > 0 && b.final.failures === 0);
      assert.deepEqual([a, b].map(({ final }) => final.usersAtWindowStart), [8, 12]);
      // No connection is opened anew for a turn.
      assert.deepEqual([a, b].map(({ final }) => final.connections), [0, 0]);
      assert.deepEqual([first.connections, second.connections], [8, 12]);
      assert.deepEqual([a.requests.length, b.requests.length], [first.total, second.total]);

      const slices = arms.flatMap((arm) => arm.slices).sort((x, y) => x.start - y.start);
      const blocks = Map.groupBy(slices, ({ block }) => block);
      assert.deepEqual([...blocks.keys()], [...blocks.keys()].map((_, i) => i));
      const windowUs = a.final.windowEndUs - a.final.windowStartUs;
      assert.ok(Math.abs(windowUs - 8e6) < 1e6 && blocks.size > 8, `${blocks.size} blocks`);
      const orders = [...blocks.values()].map((block) => block.map(({ arm }) => arm).join());
      assert.deepEqual(new Set(orders), new Set(["0,1", "1,0"]));
      for (const block of blocks.values()) {
        assert.deepEqual(block.map(({ place }) => place), [1, 2]);
      }
      for (const slice of slices) {
        assert.ok(lengthUs(slice) >= (slice.block === 0 ? 0.9e6 : 0.3e6));
        if (slice.block > 0) assert.equal(slice.settled - slice.start, 1e5);
      }
      const last = live.at(-1)!;
      assert.ok(last.block! > 5 && Math.abs(last.blocks! - blocks.size) <= 2);
      assert.ok(last.arms!.every(({ rps, slices }) => rps > 0 && slices >= last.block! - 1));
    },
  );
});

Deno.test("an arm that is slow to answer gets longer slices, and an arm that thinks keeps its turn", async () => {
  await using fast = new MisbehavingServer(() => "ok", 2);
  await using slow = new MisbehavingServer(() => "ok", 150);
  await loadArms(
    [{ server: fast, users: 3, thinkTimeS: 0.05 }, { server: slow, users: 3 }],
    { blocksS: 3, warmUpS: 1.5 },
    ([a, b]) => {
      // A machine that is busy ends a slice late, but not all of them.
      const shortestS = ({ slices }: Outcome) =>
        Math.min(...slices.filter(({ block }) => block > 0).map(lengthUs)) / 1e6;
      assert.ok(shortestS(a!) >= 0.3 && shortestS(a!) < 0.4, `${shortestS(a!)} s`);
      assert.ok(shortestS(b!) >= 0.6 && shortestS(b!) < 0.9, `${shortestS(b!)} s`);
      // 20 service times after the ramp.
      assert.ok(lengthUs(b!.slices[0]!) > 3e6);
      // What was under way at a slice's end was waited for, which holds of all that was sent in it.
      const last = ({ start, end }: Slice) =>
        Math.max(
          ...b!.requests.filter((sent) => sent.start >= start && sent.start <= end)
            .map((sent) => sent.end),
        );
      assert.ok(b!.slices.every((slice) => last(slice) <= slice.drained));
      assert.ok(b!.slices.some((slice) => slice.end < last(slice)));
      assert.ok(throughputs(a!).every((rate) => rate > 0 && rate < 3 / 0.04), `${throughputs(a!)}`);
    },
  );
});

Deno.test("SIGTERM in the middle of a slice keeps everything", async () => {
  await using first = new MisbehavingServer(() => "ok", 100);
  await using second = new MisbehavingServer(() => "ok", 100);
  await loadArms(
    [{ server: first }, { server: second }],
    { blocksS: 60, sliceS: 5, terminateWhen: isInWindow },
    (arms) => {
      const finals = arms.map(({ final }) => final);
      assert.ok(
        finals.every(({ windowEndUs, windowStartUs }) => windowEndUs - windowStartUs < 5e6),
      );
      // All users of the arm that had its turn were waiting, or nearly so.
      const unfinished = finals.map((final) => final.unfinished).sort((x, y) => x - y);
      assert.ok(unfinished[0] === 0 && unfinished[1]! >= 4, `${unfinished}`);
      for (const { requests, final } of arms) {
        const rows = requests.filter(({ error }) => error === "unfinished");
        assert.equal(rows.length, final.unfinished);
      }
      const slices = arms.flatMap((arm) => arm.slices);
      // What was cut short counts no more than a warm-up.
      assert.deepEqual(slices.map(({ block }) => block).sort(), [0, 0, 0]);
      assert.equal(Math.max(...slices.map(({ drained }) => drained)), finals[0]!.windowEndUs);
    },
  );
});

Deno.test("Ctrl-C in the warm-up leaves an empty window", async () => {
  await using server = new MisbehavingServer(() => "ok", 5);
  await loadArms(
    [{ server }, { server, path: "/users" }],
    { blocksS: 60, warmUpS: 60, terminateWhen: () => true, signal: "SIGINT" },
    (arms) => {
      assert.deepEqual(arms.map(({ final }) => final.requests), [0, 0]);
      const warmUps = arms.map(({ final }) => final.warmUpRequests).sort((x, y) => x - y);
      assert.ok(warmUps[0] === 0 && warmUps[1]! > 100);
    },
  );
});

Deno.test("an arm that does not answer any more is given up, and the others go on", async () => {
  let hangs = false;
  await using dying = new MisbehavingServer(() => hangs ? "hang" : "ok", 5);
  await using living = new MisbehavingServer(() => "ok", 5);
  const terminateWhen = ({ block }: LiveSample) => {
    hangs ||= block! >= 2;
    return false;
  };
  await loadArms(
    [{ server: dying }, { server: living }],
    { blocksS: 9, timeoutS: 4, terminateWhen },
    ([dead, alive]) => {
      assert.equal(dead!.final.unfinished, 8);
      assert.equal(dead!.requests.length, dying.total);
      const last = dead!.slices.at(-1)!;
      assert.ok(last.drained - last.end >= 3e6, `${last.drained - last.end} µs`);
      assert.deepEqual(dead!.final.lost, { atUs: last.drained, silentS: 3 });
      assert.equal(alive!.final.lost, null);
      const later = alive!.slices.filter(({ block }) => block > last.block);
      assert.ok(later.length > 3 && later.every(({ place }) => place === 1));
      assert.deepEqual([alive!.final.unfinished, alive!.final.failures], [0, 0]);
    },
  );
});

Deno.test("an arm whose requests all fail is given up, and the others go on", async () => {
  let isDead = false;
  await using dying = new MisbehavingServer(() => isDead ? "error" : "ok", 5);
  await using living = new MisbehavingServer(() => "ok", 5);
  const terminateWhen = ({ block }: LiveSample) => {
    isDead ||= block! >= 2;
    return false;
  };
  await loadArms(
    [{ server: dying }, { server: living }],
    { blocksS: 9, terminateWhen },
    ([dead, alive]) => {
      const last = dead!.slices.at(-1)!;
      assert.deepEqual(dead!.final.lost, { atUs: last.drained, silentS: null });
      assert.ok(dead!.final.failures > 0 && dead!.final.failures < dead!.final.requests);
      assert.equal(dead!.final.unfinished, 0);
      assert.ok(alive!.slices.filter(({ block }) => block > last.block).length > 3);
      assert.deepEqual([alive!.final.lost, alive!.final.failures], [null, 0]);
    },
  );
});

Deno.test("users pause in their own turns, so that a turn does not begin with all of them", async () => {
  await using pausing = new MisbehavingServer(() => "ok", 2);
  await using other = new MisbehavingServer(() => "ok", 300);
  await loadArms(
    // The other's slices are twice as long as the pauses, and these have four of them.
    [{ server: pausing, users: 20, thinkTimeS: 0.6 }, { server: other, users: 3 }],
    { blocksS: 16, warmUpS: 1.5 },
    ([arm]) => {
      const turns = arm!.slices.filter(({ block }) => block > 0);
      const sent = (from: number, to: number) =>
        arm!.requests.filter(({ start }) => start >= from && start < to).length;
      const early = turns.map(({ start }) => sent(start, start + 1e5));
      assert.ok(turns.length >= 2 && turns.every((turn) => lengthUs(turn) >= 2.4e6));
      assert.ok(early.every((count) => count <= 10), `sent in the first 100 ms: ${early}`);
      // Settling takes in a pause.
      assert.ok(turns.every(({ start, settled }) => settled - start >= 6e5));
      const rates = throughputs(arm!);
      assert.ok(rates.every((rate) => rate > 20 && rate < 20 / 0.6 * 1.1), `${rates} per second`);
    },
  );
});

Deno.test("connections that a server closes while they are idle are opened before the turn", async () => {
  await using closing = new MisbehavingServer(() => "ok", 2, 100);
  await using other = new MisbehavingServer(() => "ok", 2);
  await loadArms([{ server: closing }, { server: other }], { blocksS: 6 }, ([arm]) => {
    const begins = arm!.slices.filter(({ block }) => block > 0).map(({ start }) => start);
    assert.equal(arm!.final.failures, 0);
    // Two turns in a row leave no time to close them.
    assert.ok(arm!.final.connections! >= 8 * begins.length / 2, `${arm!.final.connections}`);
    // What is accepted here is told of a moment after it was connected.
    const late = closing.acceptedUs.filter((time) =>
      begins.some((begin) => time >= begin + 2e3 && time < begin + 5e4)
    );
    assert.ok(late.length < closing.connections / 2, `${late.length} of ${closing.connections}`);
  });
});

const OWN_LOCUSTFILE = `
import gevent
from locust import HttpUser, TaskSet, between, task

class Posts(TaskSet):
    @task
    def read(self):
        self.client.get("/posts")
        gevent.sleep(0.01)
        self.client.get("/posts", name="/again")

    @task
    def leave(self):
        self.interrupt()

class Reader(HttpUser):
    weight = 3
    wait_time = between(0.02, 0.04)
    tasks = [Posts]

    def on_start(self):
        self.client.get("/login")

class Writer(HttpUser):
    @task
    def write(self):
        self.client.post("/posts", json={})
`;

Deno.test("an arm can have user classes of its own, and another the fast client", async () => {
  await using own = new MisbehavingServer(() => "ok", 5);
  await using fast = new MisbehavingServer(() => "ok", 5);
  await loadArms(
    [{ server: own, ownLocustfile: OWN_LOCUSTFILE }, { server: fast, client: "fast" }],
    { blocksS: 6 },
    ([a, b]) => {
      const routes = new Set(a!.requests.map(({ route }) => route));
      assert.deepEqual([...routes].sort(), [
        "GET /again",
        "GET /login",
        "GET /posts",
        "POST /posts",
      ]);
      const count = (route: string) => a!.requests.filter((one) => one.route === route).length;
      assert.equal(count("GET /login"), 6);
      assert.ok(count("POST /posts") > count("GET /again"), "the two writers do not pause");
      assert.ok(count("GET /again") > 20);
      assert.deepEqual(new Set(b!.requests.map(({ route }) => route)), new Set(["GET /posts"]));
      for (const [arm, { total }] of [[a!, own], [b!, fast]] as const) {
        assert.equal(arm.requests.length, total);
        assert.deepEqual([arm.final.failures, arm.final.connections], [0, null]);
        assert.equal(arm.final.usersAtWindowStart, 8);
        assert.ok(throughputs(arm).every((rate) => rate > 0));
      }
    },
  );
});

Deno.test("the same arm twice is as fast as itself", async () => {
  await using _cores = new SleeplessCores();
  // Of so long an answer little is the machine's own, whose share changes with what else it does.
  await using server = new MisbehavingServer(() => "ok", 60);
  await loadArms([{ server }, { server }], { blocksS: 20, sliceS: 2 }, (arms) => {
    const [a, b] = arms.map(throughputs) as [number[], number[]];
    const ratios = a.map((rate, i) => rate / b[i]!).sort((x, y) => x - y);
    const median = ratios[ratios.length >> 1]!;
    assert.ok(median > 0.9 && median < 1.1, `${ratios}`);
  });
});
