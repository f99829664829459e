// test lane: checkout
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { PoolscopeError } from "../errors.ts";
import type { FinalAccount } from "../store/manifest.ts";
import { checkCounts, convertRequests, readFinal, readLive } from "./requests.ts";

const START_US = 1_790_000_000_000_000;

const FINAL: FinalAccount = {
  schemaVersion: 1,
  requests: 2,
  failures: 1,
  unfinished: 1,
  warmUpRequests: 1,
  drainRequests: 0,
  arrivals: 0,
  late: 0,
  dropped: 0,
  loadStartUs: START_US,
  windowStartUs: START_US + 1_000_000,
  windowEndUs: START_US + 3_000_000,
  usersAtWindowStart: 10,
  cpuS: 0.5,
  loopLagMaxMs: 3,
  loopLagMeanMs: 1,
  processes: [{
    seed: 7,
    loadStartUs: START_US,
    windowStartUs: START_US + 1_000_000,
    windowEndUs: START_US + 3_000_000,
    requests: 2,
    cpuS: 0.5,
    loopLagMaxMs: 3,
  }],
};

const TABLES = {
  rowBytes: 40,
  routes: ["GET /posts/{id}", 'GET /a,"b"'],
  errors: [
    { error: "", example: "" },
    { error: "HTTP 500", example: "HTTP 500" },
    { error: "unfinished", example: "" },
  ],
};

/** start after START_US, service, bytes, route, status, error; in an open loop also intended start */
type Row = [number, number, number, number, number, number, number?];

const ROWS: Row[] = [
  [500_000, 499_999, 10, 0, 200, 0], // answered before the window
  [900_000, 200_000, 11, 1, 200, 0], // sent before, answered in it
  [2_000_000, 999_999, 12, 0, 500, 1],
  [1_000_000, 2_000_000, 0, 0, 0, 2],
];

function binary(rows: Row[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(rows.length * 40));
  rows.forEach(([start, service, bytes, route, status, error, intended], i) => {
    if (intended !== undefined) {
      view.setBigInt64(i * 40, BigInt(START_US + intended), true);
      view.setUint32(i * 40 + 20, start + service - intended, true);
    }
    view.setBigInt64(i * 40 + 8, BigInt(START_US + start), true);
    view.setUint32(i * 40 + 16, service, true);
    view.setUint32(i * 40 + 24, bytes, true);
    view.setUint16(i * 40 + 28, route, true);
    view.setUint16(i * 40 + 30, status, true);
    view.setUint16(i * 40 + 32, error, true);
  });
  return new Uint8Array(view.buffer);
}

/** A run folder with these files, removed at the end of its scope. */
class RunFolder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "poolscope-load-"));

  constructor(files: Record<string, string | Uint8Array | object>) {
    for (const [name, content] of Object.entries(files)) {
      const text = typeof content === "string" || content instanceof Uint8Array
        ? content
        : JSON.stringify(content);
      writeFileSync(join(this.path, name), text);
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

function recorded(rows: Row[]): Record<string, string | Uint8Array | object> {
  return { "requests.bin": binary(rows), "requests.tables.json": TABLES };
}

Deno.test("convertRequests() writes one row per request and counts by the time of the answer", async () => {
  using folder = new RunFolder({ ...recorded(ROWS), "final.json": FINAL });
  const counts = await convertRequests(folder.path);
  assert.deepEqual(counts, {
    rows: 4,
    requests: 2,
    failures: 1,
    unfinished: 1,
    dropped: 0,
    warmUpRequests: 1,
    drainRequests: 0,
    errors: [
      { error: "HTTP 500", count: 1, example: "HTTP 500" },
      { error: "unfinished", count: 1, example: "" },
    ],
  });
  assert.equal(
    readFileSync(join(folder.path, "requests.csv"), "utf8"),
    `intended_start_us,start_us,service_us,response_us,route,status,error,bytes
,1790000000500000,499999,,GET /posts/{id},200,,10
,1790000000900000,200000,,"GET /a,""b""",200,,11
,1790000002000000,999999,,GET /posts/{id},500,HTTP 500,12
,1790000001000000,2000000,,GET /posts/{id},0,unfinished,0
`,
  );
  assert.ok(!existsSync(join(folder.path, "requests.bin")));
  assert.ok(!existsSync(join(folder.path, "requests.tables.json")));
});

Deno.test("convertRequests() counts an open loop's requests by their intended start", async () => {
  const errors = [...TABLES.errors, { error: "dropped", example: "" }];
  const rows: Row[] = [
    [900_000, 200_000, 10, 0, 200, 0, 900_000], // meant for the warm-up
    [1_000_100, 50_000, 10, 0, 200, 0, 1_000_000],
    [2_999_999, 400_000, 10, 0, 500, 1, 2_999_998], // answered in the drain
    [3_000_000, 1_000, 10, 0, 200, 0, 3_000_000], // meant for it
    [2_000_000, 2_000_000, 0, 0, 0, 2, 2_000_000],
    [2_500_000, 0, 0, 0, 0, 3, 2_500_000],
  ];
  using folder = new RunFolder({
    "requests.bin": binary(rows),
    "requests.tables.json": { ...TABLES, errors },
    "final.json": { ...FINAL, arrivals: 4, dropped: 1, drainRequests: 1 },
  });
  const counts = await convertRequests(folder.path);
  const { rows: _, errors: __, ...rest } = counts;
  assert.deepEqual(rest, {
    requests: 2,
    failures: 1,
    unfinished: 1,
    dropped: 1,
    warmUpRequests: 1,
    drainRequests: 1,
  });
  const locust = { requests: 2, failures: 1, exceptions: 0 };
  assert.equal(checkCounts(counts, readFinal(folder.path), locust), null);
  const lines = readFileSync(join(folder.path, "requests.csv"), "utf8").split("\n");
  assert.equal(
    lines[3],
    "1790000002999998,1790000002999999,400000,400001,GET /posts/{id},500,HTTP 500,10",
  );
});

Deno.test("convertRequests() merges several processes in order of completion", async () => {
  const of = (k: number, n: number) =>
    Array.from({ length: n }, (_, i): Row => [1_000_000 + i * (k + 1), k, 9, 0, 200, 1]);
  const tables = (name: string) => ({
    rowBytes: 40,
    routes: [`GET /${name}`],
    errors: [{ error: "", example: "" }, { error: name, example: `${name}!` }],
  });
  using folder = new RunFolder({
    "requests.0.bin": binary(of(0, 20_000)),
    "requests.0.tables.json": tables("a"),
    "requests.1.bin": binary(of(1, 9_000)),
    "requests.1.tables.json": tables("b"),
    "final.json": FINAL,
  });
  const counts = await convertRequests(folder.path);
  assert.equal(counts.requests, 29_000);
  assert.deepEqual(counts.errors, [
    { error: "a", count: 20_000, example: "a!" },
    { error: "b", count: 9_000, example: "b!" },
  ]);
  const rows = readFileSync(join(folder.path, "requests.csv"), "utf8").trimEnd().split("\n").slice(
    1,
  )
    .map((row) => row.split(","));
  assert.equal(rows.length, 29_000);
  let last = 0;
  for (const [, start, service, , route, , error] of rows) {
    const end = Number(start) + Number(service);
    assert.ok(end >= last, `${end} after ${last}`);
    assert.equal(route, `GET /${error}`);
    last = end;
  }
  assert.deepEqual(readdirSync(folder.path).sort(), ["final.json", "requests.csv"]);
});

Deno.test("convertRequests() takes each of 300,000 rows in little time, however many there are", async () => {
  const rows = Array.from({ length: 300_000 }, (_, i): Row => [1_000_000 + i, 5, 9, 0, 200, 0]);
  using folder = new RunFolder({ ...recorded(rows), "final.json": FINAL });
  const csv = join(folder.path, "requests.csv");
  // Of the processor, as other programs have theirs at the same time.
  const cpuMs = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  const startedMs = cpuMs();
  const counts = await convertRequests(folder.path);
  const tookMs = cpuMs() - startedMs;
  assert.equal(counts.requests, 300_000);
  const readMs = cpuMs();
  const read = readFileSync(csv, "utf8").trimEnd().split("\n").map((line) => line.split(","));
  const againMs = cpuMs() - readMs;
  assert.equal(read.length, 300_001);
  assert.ok(tookMs < 4 * againMs, `took ${tookMs} ms, to read them back ${againMs} ms`);
});

Deno.test("convertRequests() keeps the whole rows of a killed Locust and reports it", async () => {
  const whole = binary(ROWS);
  using folder = new RunFolder({ ...recorded(ROWS), "requests.bin": whole.subarray(0, 100) });
  await assert.rejects(
    convertRequests(folder.path),
    (error: Error) =>
      error instanceof PoolscopeError && /final\.json is missing/.test(error.message),
  );
  const lines = readFileSync(join(folder.path, "requests.csv"), "utf8").trimEnd().split("\n");
  assert.equal(lines.length, 3);
});

Deno.test("convertRequests() names the file that is missing", async () => {
  using folder = new RunFolder({});
  await assert.rejects(convertRequests(folder.path), /Cannot read .*requests\.tables\.json: it is/);
});

Deno.test("readFinal() reads the account", () => {
  using folder = new RunFolder({ "final.json": FINAL });
  assert.deepEqual(readFinal(folder.path), FINAL);
});

Deno.test("readFinal() names file and field of what is wrong", () => {
  const cases: [object | string, RegExp][] = [
    ["{", /final\.json, line 1: it is not JSON/],
    [{ ...FINAL, cpuS: undefined }, /final\.json: field "cpuS" is missing, must be a number/],
    [{ ...FINAL, requests: 1.5 }, /field "requests" is 1\.5, must be a whole number/],
    [{ ...FINAL, failures: -1 }, /field "failures" is -1/],
    [{ ...FINAL, loopLagMaxMs: "3" }, /field "loopLagMaxMs" is "3"/],
    [{ ...FINAL, processes: [] }, /field "processes" is \[\], must be a list of at least one/],
    [{ ...FINAL, processes: [{}] }, /field "processes\[0\]\.seed" is missing/],
  ];
  for (const [content, message] of cases) {
    using folder = new RunFolder({ "final.json": content });
    assert.throws(() => readFinal(folder.path), { name: "FileError", message });
  }
  using folder = new RunFolder({ "final.json": { ...FINAL, schemaVersion: 2 } });
  const message = /schema version is 2, this Poolscope reads 1/;
  assert.throws(() => readFinal(folder.path), { name: "SchemaVersionError", message });
});

Deno.test("readLive() is null when there is no sample", () => {
  using folder = new RunFolder({});
  assert.equal(readLive(folder.path), null);
});

Deno.test("checkCounts() says which source disagrees", () => {
  const counts = {
    rows: 4,
    requests: 2,
    failures: 1,
    unfinished: 1,
    dropped: 0,
    warmUpRequests: 1,
    drainRequests: 0,
  };
  const locust = { requests: 2, failures: 1, exceptions: 0 };
  assert.equal(checkCounts(counts, FINAL, locust), null);
  assert.equal(
    checkCounts({ ...counts, requests: 3 }, FINAL, locust),
    "requests.csv has 3 requests, final.json 2",
  );
  assert.equal(
    checkCounts({ ...counts, rows: 5 }, FINAL, locust),
    "requests.csv has 5 rows, final.json accounts for 4",
  );
  assert.equal(
    checkCounts(counts, FINAL, { ...locust, failures: 0 }),
    "locust_stats.csv has 0 failures, final.json 1",
  );
  assert.match(checkCounts(counts, FINAL, { ...locust, exceptions: 2 })!, /raised 2 exceptions/);
});
