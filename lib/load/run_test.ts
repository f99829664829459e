// test lane: copy
/** The real Locust, with the project's own locustfile, against a server that misbehaves. */

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../store/layout.ts";
import type { FinalAccount } from "../store/manifest.ts";
import { explainExit, locustCommand } from "./locust.ts";
import {
  checkCounts,
  convertRequests,
  type LiveSample,
  type LocustTotals,
  readFinal,
  readLive,
  type RequestCounts,
} from "./requests.ts";
import { readLocustTotals } from "../frames/locust.ts";
import { type Behaviour, MisbehavingServer } from "./testing/misbehaving_server.ts";
import { testPython } from "./testing/python.ts";

interface Run {
  /** Closed loop; with none of the two, 20 users. */
  users?: number;
  /** Open loop. */
  arrivalRate?: number;
  /** @default "constant" */
  arrivals?: "constant" | "poisson";
  /** @default "lean" */
  client?: "lean" | "fast";
  /** @default 1 */
  processes?: number;
  warmUpS: number;
  windowS: number;
  /** @default 1 */
  seed?: number;
  /** Send a signal this long after the start of the load, or as soon as this is true. */
  terminateAfterS?: number;
  terminateWhen?: () => boolean;
  /** To the process, or to all of its group, as a terminal sends Ctrl-C. @default "SIGTERM" */
  signal?: "SIGTERM" | "SIGINT to all";
  env?: Record<string, string>;
  /** Arguments to add. */
  master?: string[];
  /** Called with the command when it has been started. */
  onStart?: (argv: string[], env: Record<string, string>, pid: number) => void;
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

async function locust(
  url: string,
  folder: string,
  run: Run,
): Promise<Pick<Outcome, "exit" | "endedUs" | "log" | "live">> {
  const { argv, env, startFile } = locustCommand({
    python: testPython(),
    locustfile: join(ROOT, "locust", "locustfile.py"),
    host: url,
    scenario: {
      spawnRate: 1000,
      thinkTimeMinS: 0,
      thinkTimeMaxS: 0,
      ...(run.arrivalRate === undefined
        ? { users: run.users ?? 20, arrivalRate: null }
        : { users: null, arrivalRate: run.arrivalRate }),
      arrivals: run.arrivals ?? "constant",
      client: run.client ?? "lean",
    },
    seed: run.seed ?? 1,
    warmUpS: run.warmUpS,
    windowS: run.windowS,
    folder,
    processes: run.processes,
  });
  writeFileSync(startFile, "");
  const child = new Deno.Command(argv[0]!, {
    args: [...argv.slice(1), ...(run.master ?? [])],
    env: { ...env, ...run.env },
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    detached: true, // a process group of its own
  }).spawn();
  run.onStart?.(argv, env, child.pid);
  const live: LiveSample[] = [];
  let termination: ReturnType<typeof setTimeout> | undefined;
  const watch = setInterval(() => {
    const sample = readLive(folder);
    if (sample !== null && sample.timeS !== live.at(-1)?.timeS) live.push(sample);
    if (
      termination === undefined && (run.terminateWhen?.() ?? run.terminateAfterS !== undefined) &&
      readdirSync(folder).some((name) => name.startsWith("requests."))
    ) {
      termination = setTimeout(() => {
        if (run.signal === "SIGINT to all") Deno.kill(-child.pid, "SIGINT");
        else child.kill("SIGTERM");
      }, (run.terminateAfterS ?? 0) * 1000);
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
    // A request that was sent as the load ended may not have reached the server.
    const having = (error: string) => rows.filter((row) => row[6] === error).length;
    const unseen = counts.rows - having("dropped") - server.total;
    assert.ok(0 <= unseen && unseen <= having("unfinished"), `${unseen} of ${counts.rows} unseen`);
    examine({ ...ended, counts, final, locust: totals, rows, file }, server);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

Deno.test("locust counts what the server did, by kind of failure", async () => {
  const kinds: Behaviour[] = ["error", "close", "cut", "html", "redirect"];
  await load(
    (n) => kinds[n % 10] ?? "ok",
    // Each phase long enough for three of the samples that are taken each second.
    { users: 50, warmUpS: 3.5, windowS: 3.5 },
    ({ counts, final, live, rows, file }, server) => {
      assert.ok(final.warmUpRequests > 0 && final.requests > 0);
      assert.equal(final.usersAtWindowStart, 50);
      assert.ok(Math.abs(final.windowEndUs - final.windowStartUs - 3.5e6) < 2e5);
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
      assert.ok(final.windowEndUs - final.windowStartUs < 3e6);
      assert.equal(final.failures, 0);
      assert.equal(server.connections, 1000);
    },
  );
});

Deno.test("locust records 1000 unfinished requests of a server that hangs, and quits", async () => {
  await load(
    () => "hang",
    { users: 1000, warmUpS: 1.5, windowS: 1 },
    ({ final, rows, endedUs, log }) => {
      assert.equal(final.requests, 0);
      assert.equal(final.unfinished, 1000);
      // Neither does Locust end its users one by one, nor is anything waited for in vain.
      assert.doesNotMatch(log, /Shutting down/);
      assert.ok(endedUs - final.windowEndUs < 5e6, `${endedUs - final.windowEndUs} µs`);
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
    const terminateWhen = () => paths.length >= 30;
    await load(behave, { users: 1, warmUpS: 0, windowS: 60, seed, terminateWhen }, () => {});
    return paths.slice(0, 30);
  }));
  assert.equal(sequences[0]!.length, 30);
  assert.deepEqual(sequences[0], sequences[1]);
  assert.notDeepEqual(sequences[0], sequences[2]);
});

/** What must hold for the rows of an open loop. */
function assertOpenLoop({ rows, final }: Outcome, rate: number): void {
  const windowS = (final.windowEndUs - final.windowStartUs) / 1e6;
  assert.ok(Math.abs(final.arrivals - rate * windowS) <= 1, `${final.arrivals} in ${windowS} s`);
  assert.equal(final.requests + final.unfinished + final.dropped, final.arrivals);
  for (const [intended, start, service, response, , , error] of rows) {
    assert.ok(Number(start) >= Number(intended));
    if (error === "dropped") continue;
    const waited = Number(start) - Number(intended);
    assert.ok(Math.abs(Number(response) - Number(service) - waited) <= 1);
  }
}

Deno.test("locust sends arrivals at their times, whatever the server does", async () => {
  const kinds: Behaviour[] = ["error", "close", "cut", "html", "redirect"];
  for (const client of ["lean", "fast"] as const) {
    await load(
      (n, path) => path.endsWith("/summary") ? "hang" : kinds[n % 20] ?? "ok",
      { arrivalRate: 200, warmUpS: 0.5, windowS: 2, client },
      (outcome, server) => {
        const { rows, final, counts, file } = outcome;
        assertOpenLoop(outcome, 200);
        const intended = rows.map((row) => Number(row[0])).sort((a, b) => a - b);
        intended.forEach((us, i) => assert.ok(Math.abs(us - final.loadStartUs - i * 5000) <= 1));
        assert.equal(final.windowStartUs, final.loadStartUs + 500_000);
        assert.equal(final.windowEndUs, final.windowStartUs + 2_000_000);
        assert.equal(final.dropped, 0);
        assert.ok(final.unfinished > 0 && final.drainRequests > 0);
        const seen = (error: string) => rows.filter((row) => row[6] === error).length;
        // The server may have answered some that the load's end has left without an answer: of those
        // that were due in the drain, as the window's had all of that for it.
        const left = rows.filter((row) => row[6] === "unfinished" && !row[4]!.endsWith("/summary"));
        assert.ok(left.every(([intended]) => Number(intended) >= final.windowEndUs), `${left}`);
        const near = (a: number, b: number) =>
          assert.ok(b - left.length <= a && a <= b, `${a}, ${b} but for ${left.length}`);
        near(seen("HTTP 500"), server.seen.error);
        near(seen("connection closed"), server.seen.close);
        near(seen("HTTP 302"), server.seen.redirect);
        near(seen("wrong body") + seen("HTTP 200"), server.seen.html);
        assert.match(file("locust_failures.csv"), /HTTP 500/);
        assert.equal(
          counts.errors.find(({ error }) => error === "unfinished")?.count,
          final.unfinished,
        );
      },
    );
  }
});

Deno.test({
  name: "locust times an answer by when the system has received it, not by when it is read",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    let generator = 0;
    await load(
      (n) => {
        if (n === 150) {
          Deno.kill(generator, "SIGSTOP");
          setTimeout(() => Deno.kill(generator, "SIGCONT"), 2000);
        }
        return "ok";
      },
      { arrivalRate: 100, warmUpS: 0.5, windowS: 4, onStart: (_, _env, pid) => generator = pid },
      (outcome) => {
        assertOpenLoop(outcome, 100);
        const times = outcome.rows.map((row) => row.slice(0, 4).map(Number));
        const waits = times.map(([intended, start]) => start! - intended!);
        assert.ok(Math.max(...waits) > 1e6, "what was due meanwhile is late, and says so");
        const service = Math.max(...times.map(([, , serviceUs]) => serviceUs!));
        assert.ok(service < 1e6, `${service} µs`);
      },
    );
  },
});

Deno.test("locust counts a request by its intended start when its answer comes after the window", async () => {
  const startMs = Date.now();
  await load(
    () => Date.now() < startMs ? "hang" : "ok",
    { arrivalRate: 100, arrivals: "poisson", warmUpS: 0.5, windowS: 1 },
    ({ final, rows }) => {
      assert.equal(final.unfinished, 0);
      assert.equal(final.requests, final.arrivals);
      const intended = rows.map((row) => Number(row[0])).sort((a, b) => a - b);
      // The load ends as soon as the window's last request is answered, and not after all of DRAIN_S,
      // in which requests would be due until its end.
      assert.ok(intended.at(-1)! < final.windowEndUs + 1e6);
      const gaps = intended
        .map((us, i, all) => us - (all[i - 1] ?? us)).slice(1);
      assert.ok(new Set(gaps).size > gaps.length * 0.9, "Poisson arrivals have no common distance");
    },
  );
});

Deno.test("locust drops arrivals when too many are without an answer, and says so", async () => {
  await load(
    () => "hang",
    {
      arrivalRate: 100,
      warmUpS: 0.5,
      windowS: 1,
      env: { POOLSCOPE_MAX_CONNECTIONS: "70" },
    },
    (outcome) => {
      const { final, rows, log } = outcome;
      assert.equal(rows.filter((row) => row[6] === "unfinished").length, 70);
      assert.equal(final.arrivals, 100);
      assert.ok(outcome.live.some(({ dropped }) => dropped! > 0));
      assert.equal(final.unfinished, 20); // 50 of the warm-up
      assert.equal(final.dropped, 80);
      assert.match(log, /80 of 100 arrivals were never sent/);
      const dropped = rows.filter((row) =>
        row[6] === "dropped" && Number(row[0]) < final.windowEndUs
      );
      for (const [intended, , service, response, , status] of dropped) {
        assert.deepEqual([service, status], ["0", "0"]);
        assert.equal(Number(intended) + Number(response), final.windowEndUs);
      }
    },
  );
});

Deno.test("locust loses nothing with two processes, closed and open", async () => {
  for (const run of [{ users: 30 }, { arrivalRate: 300 }] as Partial<Run>[]) {
    await load(
      (n) => n % 50 === 0 ? "error" : "ok",
      // The master tells of the second before last: of three of them here.
      { ...run, processes: 2, warmUpS: 0.5, windowS: 4 },
      (outcome) => {
        const { final, live } = outcome;
        const [a, b] = final.processes;
        assert.equal(final.processes.length, 2);
        assert.notEqual(a!.seed, b!.seed);
        assert.equal(a!.requests + b!.requests, final.requests);
        assert.ok(a!.requests > 0 && b!.requests > 0 && final.failures > 0);
        assert.equal(a!.windowStartUs, b!.windowStartUs);
        assert.ok(final.cpuS > 0 && live.length > 0);
        if (run.arrivalRate !== undefined) assertOpenLoop(outcome, run.arrivalRate);
        else assert.equal(final.usersAtWindowStart, 30);
      },
    );
  }
});

Deno.test("locust loses nothing when a signal ends two processes", async () => {
  for (const signal of ["SIGTERM", "SIGINT to all"] as const) {
    await load(
      () => "ok",
      { users: 20, processes: 2, warmUpS: 0.3, windowS: 60, terminateAfterS: 1.5, signal },
      ({ final }) => {
        assert.equal(final.processes.length, 2);
        assert.ok(final.requests > 0 && final.windowEndUs - final.windowStartUs < 10e6);
      },
    );
  }
});

Deno.test("locust loses nothing when Ctrl-C ends an open loop", async () => {
  await load(
    () => "ok",
    {
      arrivalRate: 200,
      warmUpS: 0.3,
      windowS: 60,
      terminateAfterS: 1.5,
      signal: "SIGINT to all",
    },
    (outcome) => {
      assertOpenLoop(outcome, 200);
      assert.ok(outcome.final.requests > 50);
    },
  );
});

Deno.test("locust works as master and workers that are started by themselves", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = String((listener.addr as Deno.NetAddr).port);
  listener.close();
  const workers: Deno.ChildProcess[] = [];
  try {
    await load(
      () => "ok",
      {
        users: 10,
        warmUpS: 0.3,
        windowS: 1,
        master: ["--master", "--master-bind-port", port, "--expect-workers", "2"],
        onStart: (argv, env) => {
          const file = argv[argv.indexOf("--locustfile") + 1]!;
          const args = ["-m", "locust", "--locustfile", file, "--worker", "--master-port", port];
          for (let i = 0; i < 2; i++) {
            workers.push(
              new Deno.Command(argv[0]!, { args, env, cwd: ROOT, stdout: "null", stderr: "null" })
                .spawn(),
            );
          }
        },
      },
      ({ final }) => {
        assert.equal(final.processes.length, 2);
        assert.equal(final.usersAtWindowStart, 10);
        assert.equal(final.processes[0]!.requests + final.processes[1]!.requests, final.requests);
      },
    );
    for (const worker of workers) assert.equal((await worker.status).code, 0);
  } finally {
    for (const worker of workers) {
      try {
        worker.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await worker.status;
    }
  }
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
