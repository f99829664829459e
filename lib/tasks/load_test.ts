// test lane: checkout
/** `deno task load` as it is typed, against a server that the test starts. */

import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { listProcesses } from "../hosts/linux/proc.ts";
import { readRequests } from "../frames/run_files.ts";
import { loadPolars } from "../frames/polars.ts";
import { type Behaviour, MisbehavingServer } from "../load/testing/misbehaving_server.ts";
import { loadJson, openLoad } from "../report/load.ts";
import { loadFigure } from "../figures/distribution.ts";
import { hashRunFiles } from "../store/files.ts";
import { ROOT, runsFolder } from "../store/layout.ts";
import { formatNumber, formatPercent } from "../wording/format.ts";

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

function start(task: "load" | "export", ...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-check", join(ROOT, `lib/tasks/${task}.ts`), ...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function ended(child: Deno.ChildProcess): Promise<Ended> {
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

const load = (...args: string[]) => ended(start("load", ...args));
const exportOf = (folder: string) => ended(start("export", "--study", folder));

/** A folder for the run's files, that does not exist yet, and is gone with the test. */
function scratch(): { out: string } & Disposable {
  const parent = mkdtempSync(join(tmpdir(), "poolscope-load-"));
  return {
    out: join(parent, "run"),
    [Symbol.dispose]: () => rmSync(parent, { recursive: true, force: true }),
  };
}

function generators(): number[] {
  return listProcesses().map(({ pid }) => pid).filter((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      return command.includes(join(ROOT, "locust", "locustfile.py"));
    } catch {
      return false; // Ended meanwhile.
    }
  });
}

Deno.test("load of bad input is one line, with no load and no folder", async () => {
  let asked = 0;
  await using server = new MisbehavingServer(() => (asked++, "ok"));
  using free = scratch();
  const refused = "http://127.0.0.1:1";
  const cases: [string[], number, RegExp][] = [
    [[], 2, /missing required argument 'url'; see deno task load --help/],
    [["localhost"], 2, /"localhost": it is not a URL/],
    [["localhost:8000"], 2, /it is not a URL of http or https/],
    [["http://ada:secret@127.0.0.1:1/"], 2, /"http:\/\/127\.0\.0\.1:1\/": it holds a user name/],
    [["https://127.0.0.1:1", "--client", "lean"], 2, /the lean client speaks http alone/],
    [[refused], 1, /nothing answers on port 1; start the service first/],
    [["http://no-such-host.invalid"], 1, /the host "no-such-host\.invalid" is not known/],
    [
      [server.url, "--users", "3", "--arrival-rate", "5"],
      2,
      /'--arrival-rate <r>' cannot be used with option '--users <n>'/,
    ],
    [[server.url, "--users", "0"], 2, /users 0: it must be a whole number of at least 1/],
    [[server.url, "--users", "99999999"], 1, /99999999 users.*open files|with 99999999 users/],
    [
      [server.url, "--arrival-rate", "fast"],
      2,
      /'--arrival-rate <r>' argument 'fast' is invalid: it must be a number/,
    ],
    [[server.url, "--arrival-rate", "0"], 2, /arrival rate 0: it must be a number above 0/],
    [[server.url, "--duration", "0"], 2, /duration 0: it must be a number above 0/],
    [[server.url, "--warm-up=-1"], 2, /warm-up -1: it must be a number of at least 0/],
    [[server.url, "--route", "users"], 2, /route "users": it must be a path/],
    [[`${server.url}/a`, "--route", "/b"], 2, /it has a path of its own/],
    [
      [server.url, "--client", "curl"],
      2,
      /'--client <name>' argument 'curl' is invalid: allowed choices are lean, fast/,
    ],
    [
      [server.url, "--arrivals", "bursts"],
      2,
      /argument 'bursts' is invalid: allowed choices are constant, poisson/,
    ],
    [[server.url, "--out", tmpdir()], 2, /it exists already; choose another --out/],
    [[server.url, "--speed", "9"], 2, /unknown option '--speed' \(did you mean --seed\?\)/],
  ];
  const before = existsSync(runsFolder()) ? readdirSync(runsFolder()) : [];
  for (const [args, status, message] of cases) {
    const { code, stdout, stderr } = await load(
      ...args,
      ...(args.includes("--out") ? [] : [
        "--out",
        free.out,
      ]),
    );
    equal(code, status, `${args}: ${stdout}${stderr}`);
    equal(stdout, "");
    match(stderr, message);
    equal(stderr.trim().split("\n").length, 1, stderr);
    equal(stderr.includes("secret"), false);
    equal(existsSync(free.out), false, `${args}`);
  }
  equal(asked, 0);
  deepEqual(existsSync(runsFolder()) ? readdirSync(runsFolder()) : [], before);
});

/** What `load --json` prints. */
const JSON_KEYS = [
  "url",
  "routes",
  "loop",
  "users",
  "arrival_rate",
  "warm_up_s",
  "duration_s",
  "interrupted",
  "accepted",
  "cause",
  "requests",
  "failures",
  "errors",
  "rps",
  "response_ms",
  "service_ms",
  "late",
  "dropped",
  "folder",
];

Deno.test("load in an open loop prints one JSON line and writes a run's files", async () => {
  const paths = new Set<string>();
  await using server = new MisbehavingServer((_, path) => (paths.add(path), "ok"));
  using folder = scratch();
  const { code, stdout, stderr } = await load(
    ...[server.url, "--arrival-rate", "150", "--duration", "3", "--warm-up", "1"],
    ...["--route", "/a?x=1", "--route", "/café au lait?q=ü", "--json", "--out", folder.out],
  );
  equal(code, 0, stderr);
  equal(stdout.trim().split("\n").length, 1);
  const json = JSON.parse(stdout);
  deepEqual(Object.keys(json), JSON_KEYS);
  deepEqual([json.url, json.loop, json.users, json.arrival_rate], [server.url, "open", null, 150]);
  deepEqual([json.warm_up_s, json.duration_s, json.interrupted], [1, 3, false]);
  deepEqual([json.accepted, json.cause, json.errors], [true, null, []]);
  deepEqual([json.requests, json.folder], [450, folder.out]);
  equal(json.failures + json.dropped, 0);
  // 450 requests: 22 beyond P95, 4 beyond P99.
  for (const latency of [json.response_ms, json.service_ms]) {
    deepEqual(Object.keys(latency), ["p50", "p90", "p95", "p99", "p99.9"]);
    deepEqual([latency.p99, latency["p99.9"]], [null, null]);
    ok(0 < latency.p50 && latency.p50 <= latency.p90 && latency.p90 <= latency.p95, stdout);
  }
  ok(json.response_ms.p50 >= json.service_ms.p50, stdout);

  const manifest = JSON.parse(readFileSync(join(folder.out, "manifest.json"), "utf8"));
  deepEqual([manifest.kind, manifest.status, manifest.cause], ["load", "ok", null]);
  // As a browser encodes them.
  const encoded = ["/a?x=1", "/caf%C3%A9%20au%20lait?q=%C3%BC"];
  deepEqual(manifest.routes, encoded);
  deepEqual([...paths].sort(), encoded);
  deepEqual([manifest.users, manifest.arrivalRate], [null, 150]);
  deepEqual(manifest.files, await hashRunFiles(folder.out));
  deepEqual(Object.keys(manifest.files).sort(), [
    "final.json",
    "locust_exceptions.csv",
    "locust_failures.csv",
    "locust_stats.csv",
    "locust_stats_history.csv",
    "requests.csv",
    "resources.csv",
  ]);
  await loadPolars();
  const requests = await readRequests(folder.out);
  // What the server saw beyond the rows is the one request before the load.
  equal(server.total - 1, requests.height);
  deepEqual(
    [...new Set(requests.getColumn("route").toArray())].sort(),
    encoded.map((path) => `GET ${path}`),
  );
  equal(requests.getColumn("intended_start_us").nullCount(), 0);
  // By when the answers came: one that was due shortly before the window may be among them.
  const [starts, services] = ["start_us", "service_us"].map((name) =>
    requests.getColumn(name).toArray().map(Number)
  );
  const { startUs, endUs } = manifest.window;
  const ends = starts!.map((us, i) => us + services![i]!);
  const inWindow = ends.filter((us) => us >= startUs && us < endUs).length;
  equal(json.rps, Math.round(inWindow / 3 * 1000) / 1000);
  await openAgain(folder, json, requests, encoded);
});

/** A load can be opened again, in a notebook or by export. */
async function openAgain(
  folder: { out: string },
  json: unknown,
  requests: { height: number },
  encoded: string[],
): Promise<void> {
  const opened = await openLoad(folder.out);
  equal((await opened.requests()).height, requests.height);
  equal(opened.latency, "response time");
  deepEqual(loadJson(opened.summary, folder.out), json);
  deepEqual(opened.curve.at(-1)!.percent, 100);
  deepEqual(opened.table().rows.map(([name]) => name), [
    "response time",
    "service time",
    ...encoded,
  ]);
  match(loadFigure(opened).title, /^Half of the requests were answered within [\d.]+ ms/);
  const exported = await exportOf(folder.out);
  equal(exported.code, 0, exported.stderr);
  deepEqual(readdirSync(join(folder.out, "report")).sort(), [
    "latency.png",
    "load.html",
    "load.md",
  ]);
  match(
    readFileSync(join(folder.out, "report", "load.md"), "utf8"),
    /^\| response time \| [\d.]+ /m,
  );
  const page = readFileSync(join(folder.out, "report", "load.html"), "utf8");
  equal(/(src|href)=/.test(page), false);
  await rejects(openLoad("load-of-nobody"), /"load-of-nobody": there is none/);
  writeFileSync(join(folder.out, "requests.csv"), "x");
  await rejects(
    openLoad(folder.out),
    /requests\.csv: it is missing, or was changed after the load/,
  );
}

Deno.test("load in a closed loop has service time alone, in words for people", async () => {
  await using server = new MisbehavingServer(() => "ok");
  using folder = scratch();
  const { code, stdout, stderr } = await load(
    ...[server.url, "--users", "3", "--duration", "2", "--warm-up", "0.5", "--out", folder.out],
  );
  equal(code, 0, stderr);
  // The window closes when the generator comes to it: no sooner than asked for, and as told.
  const { window } = JSON.parse(readFileSync(join(folder.out, "manifest.json"), "utf8"));
  const seconds = (window.endUs - window.startUs) / 1e6;
  ok(seconds >= 2, `${seconds} s`);
  const measured = `${formatNumber(seconds)} s measured after 0.5 s of warm-up`;
  ok(stdout.includes(`: closed loop of 3 users, lean client, ${measured}\n`), stdout);
  match(stdout, /^ms +P50 +P90 +P95 +P99 +P99\.9$/m);
  match(stdout, /^service time +[\d.]+ /m);
  equal(/response time/.test(stdout), false);
  match(stdout, /requests, [\d,.]+ answers\/s, 0 failures$/m);
  match(stdout, /^Half of the correct answers took up to [\d.]+ ms.*waits for an answer/m);
  match(stdout, /^Files: /m);
});

Deno.test("load of a service that fails too many requests names them, and exits 3", async () => {
  const kinds: Behaviour[] = ["error", "error", "close"];
  await using server = new MisbehavingServer((n) => kinds[n % 3]!);
  using folder = scratch();
  const args = [server.url, "--users", "2", "--duration", "1.5", "--warm-up", "0.5"];
  const { code, stdout } = await load(...args, "--out", folder.out);
  equal(code, 3);
  match(stdout, /FAILED: all \d+ requests failed, most of them with "HTTP 500/);
  match(stdout, /\d+ × HTTP 500$/m);
  // So does one that closes every connection, from the first on.
  await using closing = new MisbehavingServer(() => "close");
  using third = scratch();
  const closed = await load(closing.url, ...args.slice(1), "--out", third.out);
  equal(closed.code, 3, closed.stderr);
  match(closed.stdout, /FAILED: all \d+ requests failed/);
  // One failed request in fifty is too many, one in two hundred is not.
  for (const [every, accepted] of [[50, false], [200, true]] as const) {
    await using now = new MisbehavingServer((n) => n % every === 0 ? "error" : "ok");
    using place = scratch();
    const { code, stdout } = await load(now.url, ...args.slice(1), "--out", place.out, "--json");
    equal(code, accepted ? 0 : 3, stdout);
    const json = JSON.parse(stdout);
    deepEqual([json.accepted, json.errors.length], [accepted, 1], stdout);
    const { requests, failures } = json;
    deepEqual(json.errors[0].count, failures);
    // Of requests in a row each n-th fails; of two users' one may be out of turn at either end.
    ok(Math.abs(failures - requests / every) < 3, stdout);
    const share = `${formatPercent(failures / requests)} of the requests failed`;
    const cause = `${share} (${failures} of ${requests}), most of them with "HTTP 500"`;
    equal(json.cause, accepted ? null : cause);
  }
  using other = scratch();
  const asJson = await load(...args, "--out", other.out, "--json");
  equal(asJson.code, 3);
  const json = JSON.parse(asJson.stdout);
  ok(json.requests > 0 && json.failures === json.requests, asJson.stdout);
  deepEqual([json.response_ms, json.service_ms.p50], [null, null]);
  const exported = await exportOf(other.out);
  equal(exported.code, 3, exported.stderr);
  match(readFileSync(join(other.out, "report", "load.md"), "utf8"), /\*\*FAILED: all \d+ requests/);
});

Deno.test("load counts from when requests were due, which a stall does not hide", async () => {
  // The service stops for 600 ms; the requests that are due meanwhile wait for it.
  let stalledUntil = 0;
  await using server = new MisbehavingServer((n) => {
    if (n === 250) stalledUntil = performance.now() + 600;
    while (performance.now() < stalledUntil);
    return "ok";
  });
  using folder = scratch();
  const { code, stdout, stderr } = await load(
    ...[server.url, "--arrival-rate", "100", "--duration", "4", "--warm-up", "1", "--json"],
    ...["--out", folder.out],
  );
  equal(code, 0, stderr);
  const { response_ms: response, requests } = JSON.parse(stdout);
  equal(requests, 400);
  // 60 of 400 requests are due in the stall and wait 600, 590, … 10 ms, all of them longer by the time
  // that the first took to get there. By nearest rank, P95 is the 21st slowest, which waits 400 ms and
  // that time, and P90 the 41st, with 200 ms. A busy machine may only add to that.
  ok(400 < response.p95 && response.p95 < 600, stdout);
  ok(200 < response.p90 && response.p90 < 400, stdout);
  ok(response.p50 < 50, stdout);
});

Deno.test("load ends on a signal with the summary of what was measured, nothing left running", async () => {
  const running = generators();
  await using server = new MisbehavingServer(() => "ok");
  const cases = [
    ["1", "window", "SIGINT", 130],
    ["2", "window", "SIGTERM", 143],
    ["1", "warm-up", "SIGHUP", 129],
  ] as const;
  for (const [processes, during, signal, status] of cases) {
    using folder = scratch();
    const child = start(
      "load",
      ...[server.url, "--arrival-rate", "50", "--duration", "60", "--out", folder.out],
      ...["--warm-up", during === "window" ? "0.5" : "60", "--processes", processes],
    );
    const live = join(folder.out, ".live.json");
    const until = Date.now() + 30_000;
    while (!(existsSync(live) && readFileSync(live, "utf8").includes(`"${during}"`))) {
      ok(Date.now() < until, "no load within 30 s");
      await sleep(50);
    }
    await sleep(1500);
    child.kill(signal);
    // In a terminal it comes twice: `deno task` passes on what the terminal sent to both.
    await sleep(5);
    child.kill(signal);
    const { code, stdout, stderr } = await ended(child);
    equal(code, status, stdout + stderr);
    if (during === "window") {
      match(stdout, /open loop at 50\/s.* s measured after 0\.5 s of warm-up \(ended early\)/);
      match(stdout, /^response time +[\d.]+ /m);
    } else match(stdout, /^Nothing was measured: the load was ended within its 60 s of warm-up/);
    deepEqual(generators(), running);
    const manifest = JSON.parse(readFileSync(join(folder.out, "manifest.json"), "utf8"));
    deepEqual([manifest.interrupted, manifest.window === null], [true, during === "warm-up"]);
  }
});
