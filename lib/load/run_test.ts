/** The real Locust, with the project's own locustfile, against a server that misbehaves. */

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, TOOLS } from "../store/layout.ts";
import type { FinalAccount } from "../store/manifest.ts";
import { explainExit, locustCommand, releaseLoad } from "./locust.ts";
import {
  checkCounts,
  convertRequests,
  type LiveSample,
  type LocustTotals,
  readFinal,
  readLive,
  readLocustTotals,
  type RequestCounts,
} from "./requests.ts";
import { type Behaviour, MisbehavingServer } from "./testing/misbehaving_server.ts";

interface Run {
  users: number;
  warmUpS: number;
  windowS: number;
  /** @default 1 */
  seed?: number;
  /** Send SIGTERM this long after the start of the load. */
  terminateAfterS?: number;
  env?: Record<string, string>;
}

interface Outcome {
  exit: string | null;
  endedUs: number;
  log: string;
  live: LiveSample[];
  counts: RequestCounts;
  final: FinalAccount;
  locust: LocustTotals;
  /** Rows of requests.csv, without the header. */
  rows: string[][];
  file: (name: string) => string;
}

function testPython(): string {
  const python = Deno.env.get("POOLSCOPE_TEST_PYTHON") ?? join(TOOLS, "venv", "bin", "python");
  assert.ok(
    existsSync(python),
    `Cannot test the load: there is no ${python}; run "deno task test", or set POOLSCOPE_TEST_PYTHON to a Python that has Locust`,
  );
  return python;
}

async function locust(
  url: string,
  folder: string,
  run: Run,
): Promise<Pick<Outcome, "exit" | "endedUs" | "log" | "live">> {
  const { argv, env } = locustCommand({
    python: testPython(),
    host: url,
    scenario: {
      ...{ users: run.users, spawnRate: 1000, thinkTimeMinS: 0, thinkTimeMaxS: 0 },
      ...{ arrivalRate: null, arrivals: "constant", client: "lean" },
    },
    seed: run.seed ?? 1,
    warmUpS: run.warmUpS,
    windowS: run.windowS,
    folder,
  });
  releaseLoad(folder);
  const child = new Deno.Command(argv[0]!, {
    args: argv.slice(1),
    env: { ...env, ...run.env },
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const live: LiveSample[] = [];
  let termination: ReturnType<typeof setTimeout> | undefined;
  const watch = setInterval(() => {
    const sample = readLive(folder);
    if (sample !== null && sample.timeS !== live.at(-1)?.timeS) live.push(sample);
    if (
      run.terminateAfterS !== undefined && termination === undefined &&
      existsSync(join(folder, "requests.bin"))
    ) {
      termination = setTimeout(() => child.kill("SIGTERM"), run.terminateAfterS * 1000);
    }
  }, 20);
  try {
    const output = await child.output();
    const endedUs = Date.now() * 1000;
    const log = new TextDecoder().decode(output.stderr);
    return { exit: explainExit(output.code, output.signal, log), endedUs, log, live };
  } finally {
    clearInterval(watch);
    clearTimeout(termination);
  }
}

/** Runs Locust against a server, checks what must hold for each run, and hands over the rest. */
async function load(
  behave: (request: number, path: string) => Behaviour,
  run: Run,
  examine: (outcome: Outcome, server: MisbehavingServer) => void,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "poolscope-load-"));
  try {
    await using server = new MisbehavingServer(behave);
    const ended = await locust(server.url, folder, run);
    assert.equal(ended.exit, null, ended.log);
    const file = (name: string) => readFileSync(join(folder, name), "utf8");
    const counts = await convertRequests(folder);
    const final = readFinal(folder);
    const totals = readLocustTotals(folder);
    assert.equal(checkCounts(counts, final, totals), null);
    assert.ok(!existsSync(join(folder, ".live.json")));
    const rows = file("requests.csv").trimEnd().split("\n").slice(1).map((row) => row.split(","));
    assert.equal(rows.length, counts.rows);
    // A request that was sent as the window ended may not have reached the server.
    const unseen = counts.rows - server.total;
    assert.ok(0 <= unseen && unseen <= counts.unfinished, `${unseen} of ${counts.rows} unseen`);
    examine({ ...ended, counts, final, locust: totals, rows, file }, server);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

Deno.test("locust counts what the server did, by kind of failure", async () => {
  const kinds: Behaviour[] = ["error", "close", "cut", "html", "redirect"];
  await load(
    (n) => kinds[n % 10] ?? "ok",
    { users: 50, warmUpS: 1.5, windowS: 2 },
    ({ counts, final, live, rows, file }, server) => {
      assert.ok(final.warmUpRequests > 0 && final.requests > 0);
      assert.equal(final.usersAtWindowStart, 50);
      assert.ok(Math.abs(final.windowEndUs - final.windowStartUs - 2e6) < 2e5);
      assert.deepEqual(new Set(live.map((sample) => sample.phase)), new Set(["warm-up", "window"]));
      const seen = (error: string) => rows.filter((row) => row[6] === error).length;
      assert.deepEqual(
        counts.errors.map(({ error }) => error).filter((error) => error !== "HTTP 200").sort(),
        ["HTTP 302", "HTTP 500", "HTTPParseError", "connection closed", "unfinished", "wrong body"],
      );
      // At most one request per user is on its way in either direction.
      const near = (a: number, b: number) => assert.ok(Math.abs(a - b) <= 50, `${a}, ${b}`);
      near(seen("HTTP 500"), server.seen.error);
      near(seen("connection closed"), server.seen.close);
      near(seen("HTTP 302"), server.seen.redirect);
      near(seen(""), server.seen.ok);
      // Longest body is 9002 bytes: it was read to its end.
      assert.ok(rows.some((row) => row[5] === "500" && row[7] === "9002"));
      assert.match(file("locust_failures.csv"), /GET,\/posts\/\{id\},.*HTTP 500/);
      assert.match(file("locust_stats_history.csv"), /,50,GET,\/posts\/\{id\},/);
      for (const row of rows) {
        assert.match(row[4]!, /^(GET|POST) \/[a-z{}/]+$/);
        const end = Number(row[1]) + Number(row[2]);
        assert.ok(Number(row[1]) >= final.loadStartUs && end <= final.windowEndUs);
      }
    },
  );
});

Deno.test("locust loses nothing at full rate with 1000 users on 1000 connections", async () => {
  await load(
    () => "ok",
    { users: 1000, warmUpS: 1.5, windowS: 2 },
    ({ final }, server) => {
      assert.equal(final.usersAtWindowStart, 1000);
      assert.equal(final.failures, 0);
      assert.equal(server.connections, 1000);
    },
  );
});

Deno.test("locust records 1000 unfinished requests of a server that hangs, and quits", async () => {
  await load(
    () => "hang",
    { users: 1000, warmUpS: 1.5, windowS: 1 },
    ({ final, rows, endedUs }) => {
      assert.equal(final.requests, 0);
      assert.equal(final.unfinished, 1000);
      assert.ok(endedUs - final.windowEndUs < 500_000, `${endedUs - final.windowEndUs} µs`);
      for (const [, start, service, , , status, error] of rows) {
        assert.deepEqual([status, error], ["0", "unfinished"]);
        assert.ok(
          Number(start) > 0 && Math.abs(Number(start) + Number(service) - final.windowEndUs) < 2,
        );
      }
    },
  );
});

Deno.test("locust keeps what it has recorded when SIGTERM ends the window early", async () => {
  await load(
    (n) => n % 100 === 0 ? "error" : "ok",
    { users: 20, warmUpS: 0.5, windowS: 60, terminateAfterS: 1.5 },
    ({ final }) => {
      assert.ok(final.warmUpRequests > 0 && final.requests > 0 && final.failures > 0);
      assert.ok(final.windowEndUs - final.windowStartUs < 5e6);
    },
  );
});

Deno.test("locust has an empty window when SIGTERM ends the warm-up", async () => {
  await load(
    () => "ok",
    { users: 20, warmUpS: 60, windowS: 60, terminateAfterS: 0.7 },
    ({ final }) => {
      assert.ok(final.warmUpRequests > 0);
      assert.equal(final.requests, 0);
    },
  );
});

Deno.test("locust sends one user's requests in the same order for the same seed", async () => {
  const sequences = await Promise.all([1, 1, 2].map(async (seed) => {
    const paths: string[] = [];
    const behave = (_: number, path: string): Behaviour => {
      paths.push(path);
      return "ok";
    };
    await load(behave, { users: 1, warmUpS: 0, windowS: 0.5, seed }, () => {});
    return paths.slice(0, 30);
  }));
  assert.equal(sequences[0]!.length, 30);
  assert.deepEqual(sequences[0], sequences[1]);
  assert.notDeepEqual(sequences[0], sequences[2]);
});

Deno.test("locust that cannot start is explained in one sentence", async () => {
  const folder = mkdtempSync(join(tmpdir(), "poolscope-load-"));
  try {
    const run = { users: 1, warmUpS: 0, windowS: 1 };
    const { exit } = await locust("http://127.0.0.1:9", folder, {
      ...run,
      env: { POOLSCOPE_WINDOW_S: "soon" },
    });
    assert.match(exit!, /^Locust stopped with exit code 1: .*POOLSCOPE_WINDOW_S "soon"/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
