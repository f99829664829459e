/** The real Locust, loading several arms in turn: alone, as a turn ends on time where a core is free. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { LiveSample } from "./requests.ts";
import { isInWindow, lengthUs, loadArms, type Outcome, throughputs } from "./testing/arms.ts";
import { MisbehavingServer } from "./testing/misbehaving_server.ts";

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

Deno.test("arms with arrivals have the same ones in each block, whatever the server does", async () => {
  const RATE = 200;
  await using quick = new MisbehavingServer(() => "ok", 2);
  await using slow = new MisbehavingServer((n) => n % 40 === 0 ? "error" : "ok", 50);
  await loadArms(
    [{ server: quick, arrivalRate: RATE }, { server: slow, arrivalRate: RATE, client: "fast" }],
    { blocksS: 6 },
    (arms, live) => {
      for (const [i, { final, requests }] of arms.entries()) {
        const due = requests.filter((one) => one.due >= final.windowStartUs);
        assert.equal(due.length, final.arrivals);
        assert.deepEqual([final.requests, final.unfinished, final.dropped], [due.length, 0, 0]);
        assert.equal(final.failures > 0, i === 1);
        assert.equal(requests.length, [quick, slow][i]!.total);
        assert.equal(final.usersAtWindowStart, 1);
      }
      const arrivals = ({ slices, requests }: Outcome) =>
        slices.filter(({ block }) => block > 0).map(({ start, end }) =>
          requests.filter(({ due }) => due >= start && due < end).map(({ due }) => due - start)
            .sort((a, b) => a - b)
        );
      const [one, other] = arms.map(arrivals) as [number[][], number[][]];
      assert.ok(one.length > 4 && one.length === other.length);
      for (const [block, offsets] of one.entries()) {
        const common = Math.min(offsets.length, other[block]!.length);
        assert.ok(common > 20, `${common} arrivals`);
        for (let i = 0; i < common; i++) {
          assert.ok(Math.abs(offsets[i]! - other[block]![i]!) <= 1, "not the same arrivals");
        }
      }
      assert.ok(one.some((offsets, block) => block > 0 && offsets[0] !== one[0]![0]));
      assert.ok(live.at(-1)!.arms!.every(({ dropped, late }) => dropped === 0 && late! >= 0));
    },
  );
});

Deno.test("candidates that are far behind the best get no more turns after three blocks", async () => {
  await using quick = new MisbehavingServer(() => "ok", 10);
  await using good = new MisbehavingServer(() => "ok", 11);
  await using slow = new MisbehavingServer(() => "ok", 60);
  await using other = new MisbehavingServer(() => "ok", 60);
  await loadArms(
    [{ server: quick }, { server: good }, { server: slow }, { server: other }],
    { blocksS: 12, candidates: [0, 1, 2] },
    (arms) => {
      const blocks = arms.map(({ slices }) => Math.max(...slices.map(({ block }) => block)));
      // The fourth is no candidate, however slow it is.
      assert.ok(blocks[0]! > 4 && blocks[2] === 3, `${blocks}`);
      assert.deepEqual([blocks[1], blocks[3]], [blocks[0], blocks[0]]);
      assert.deepEqual(
        arms.map(({ final }) => [final.lost, final.failures]),
        arms.map(() => [null, 0]),
      );
    },
  );
});
