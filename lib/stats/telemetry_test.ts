// test lane: checkout
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DataFrame } from "nodejs-polars";
import { readAppTimes, readPgbouncer, readPostgres } from "../frames/run_files.ts";
import { APP_COLUMNS, PGBOUNCER_COLUMNS, POSTGRES_COLUMNS } from "../store/layout.ts";
import { findFault } from "./readings.ts";
import {
  appActivity,
  connectionChurn,
  heldScore,
  heldTransactions,
  PGBOUNCER_COUNTERS,
  pgbouncerActivity,
  POSTGRES_COUNTERS,
  postgresActivity,
  type Telemetry,
} from "./telemetry.ts";

type Values = Record<string, number | string>;

const KINDS = {
  postgres: { columns: POSTGRES_COLUMNS, read: readPostgres },
  pgbouncer: { columns: PGBOUNCER_COLUMNS, read: readPgbouncer },
  app: { columns: APP_COLUMNS, read: readAppTimes },
};

/** A frame of such rows, read from a file as a run's are; what is not given is 0. */
async function frameOf(kind: keyof typeof KINDS, rows: Values[]): Promise<DataFrame> {
  const folder = mkdtempSync(join(tmpdir(), "poolscope-test-"));
  try {
    const { columns, read } = KINDS[kind];
    const lines = rows.map((row) =>
      columns.map((column) => row[column] ?? (column === "wait_events" ? "" : 0)).join(",")
    );
    writeFileSync(join(folder, `${kind}.csv`), [columns.join(","), ...lines].join("\n") + "\n");
    return await read(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const S = 1e6;
const window = { startUs: 100 * S, endUs: 104 * S };

Deno.test("postgresActivity() counts between the window's ends, not between the readings", async () => {
  const frame = await frameOf("postgres", [
    {
      time_us: 98 * S,
      backends: 90,
      active: 80,
      waiting_lock: 70,
      sessions: 5,
      xact_commit: 0,
      xact_rollback: 0,
    },
    // Half a second before and after the beginning.
    { time_us: 99.5 * S, backends: 70, sessions: 10, xact_commit: 100, xact_rollback: 10 },
    {
      time_us: 100.5 * S,
      backends: 40,
      active: 4,
      idle_in_transaction: 2,
      waiting_lock: 0,
      sessions: 20,
      xact_commit: 200,
      xact_rollback: 30,
    },
    {
      time_us: 103.9 * S,
      backends: 45,
      active: 6,
      idle_in_transaction: 5,
      waiting_lock: 3,
      sessions: 50,
      xact_commit: 900,
      xact_rollback: 100,
    },
    // Right after the end.
    { time_us: 104.0001 * S, backends: 80, sessions: 51, xact_commit: 1000, xact_rollback: 100 },
    { time_us: 105 * S, backends: 99, sessions: 99, xact_commit: 5000, xact_rollback: 900 },
  ]);
  const activity = postgresActivity(frame, window);
  assert.deepEqual(activity, {
    sessions: 36,
    transactions: 850 + 80 - 36,
    maxConnections: 45,
    meanActive: 5,
    meanWaitingLock: 1.5,
    meanIdleInTransaction: 3.5,
  });
  assert.equal(findFault(frame, POSTGRES_COUNTERS, window), null);
});

Deno.test("findFault() says what is missing: beginning, end, all, or a server that was started anew", async () => {
  const gap = async (rows: Values[]) =>
    findFault(await frameOf("postgres", rows), POSTGRES_COUNTERS, window);
  assert.equal(await gap([]), "it has no readings");
  assert.equal(
    await gap([{ time_us: 101.5 * S }, { time_us: 105 * S }]),
    "its readings begin 1.5 s into the window",
  );
  assert.equal(
    await gap([{ time_us: 99 * S }, { time_us: 101 * S }]),
    "its readings end 3.0 s before the window does",
  );
  assert.equal(
    await gap([
      { time_us: 99 * S, xact_commit: 5 },
      { time_us: 101 * S, xact_commit: 9 },
      { time_us: 105 * S, xact_commit: 2 },
    ]),
    "xact_commit falls on line 4: the server was started anew",
  );
});

const pooler = (time: number, id: number | "", rest: Values = {}) => ({
  time_us: Math.round(time * S),
  cl_active: 6,
  cl_waiting: 4,
  sv_active: 3,
  sv_idle: 2,
  last_client_id: id,
  total_xact_count: Math.round(100 * (time - 90)),
  total_query_count: Math.round(300 * (time - 90)),
  total_wait_time_us: Math.round(5000 * (time - 90)),
  total_query_time_us: Math.round(7000 * (time - 90)),
  total_xact_time_us: Math.round(8000 * (time - 90)),
  ...rest,
});

Deno.test("pgbouncerActivity() counts transactions, queries and waiting, and the largest pools", async () => {
  const frame = await frameOf("pgbouncer", [
    pooler(99, 40, { cl_waiting: 900, sv_login: 50 }),
    pooler(100, 41),
    pooler(102, "", { cl_active: 10, cl_waiting: 54, sv_active: 18, sv_used: 1, sv_login: 1 }),
    pooler(104, 42),
    pooler(105, 43, { cl_waiting: 700 }),
  ]);
  assert.equal(findFault(frame, PGBOUNCER_COUNTERS, window), null);
  const counts = {
    transactions: 400,
    queries: 1200,
    waitUs: 20_000,
    // No client waited for long: all that they waited was counted.
    starvedUs: 0,
    queryUs: 8000,
    transactionUs: 12_000,
    maxClients: 64,
    meanClients: (10 + 64 + 10) / 3,
    meanWaiting: (4 + 54 + 4) / 3,
  };
  const expected = {
    ...counts,
    maxServers: 22,
    maxServersActive: 18,
    meanServersActive: (3 + 18 + 3) / 3,
  };
  assert.deepEqual(pgbouncerActivity(frame, 0, window), { ...expected, logins: 0 });
  assert.equal(pgbouncerActivity(frame, null, window).logins, null);
});

Deno.test("pgbouncerActivity() has clients that starve wait for their number times the window", async () => {
  // As recorded in session mode: total_wait_time stands still, and PgBouncer gives clients up after 15 s.
  const starving = (time: number, maxwaitS: number, waiting = 44) =>
    pooler(time, "", {
      cl_active: 20,
      cl_waiting: waiting,
      sv_active: 20,
      sv_idle: 0,
      maxwait_us: maxwaitS * S,
      total_wait_time_us: 6_135_138,
    });
  const readings = (maxwaitS: number) =>
    [99, 100, 101, 102, 103, 104, 105].map((time) =>
      starving(time, time === 103 ? 0.1 : maxwaitS, time === 103 ? 39 : 44)
    );
  const activity = async (maxwaitS: number) =>
    pgbouncerActivity(await frameOf("pgbouncer", readings(maxwaitS)), 0, window);
  const { waitUs, starvedUs, meanClients, meanWaiting } = await activity(14.9);
  assert.deepEqual([meanWaiting, meanClients], [43, 63]);
  // The window has four seconds.
  assert.deepEqual([waitUs, starvedUs], [43 * 4 * S, 43 * 4 * S]);
  // Where waits are short, the readings are chance, and the counter is right.
  assert.equal((await activity(1.9)).waitUs, 0);
  // What the counter has of it is not counted twice.
  const moving = readings(14.9).map((row) => ({ ...row, total_wait_time_us: row.time_us }));
  const some = pgbouncerActivity(await frameOf("pgbouncer", moving), 0, window);
  assert.deepEqual([some.waitUs, some.starvedUs], [43 * 4 * S, 42 * 4 * S]);
});

Deno.test("pgbouncerActivity() tells logins from the numbers of clients, less servers and its own", async () => {
  const frame = await frameOf("pgbouncer", [
    pooler(99, 40),
    pooler(100, 100),
    ...[101, 102, 103].map((time) => pooler(time, "")),
    pooler(104, 1101),
    pooler(104.5, 1102),
  ]);
  // Ten were servers, and one was the sampler.
  assert.equal(pgbouncerActivity(frame, 10, window).logins, 990);
  const old = await frameOf("pgbouncer", [pooler(99, ""), pooler(101, ""), pooler(105, "")]);
  assert.equal(pgbouncerActivity(old, 10, window).logins, null);
  const cut = await frameOf("pgbouncer", [pooler(99, 4), pooler(101, 5), pooler(105, "")]);
  assert.equal(pgbouncerActivity(cut, 10, window).logins, null);
});

Deno.test("connectionChurn() is per 1,000 requests, and unknown where either part is", () => {
  const counts = { sessions: 4, transactions: 4000, maxConnections: 20 };
  const postgres = { ...counts, meanActive: 3, meanWaitingLock: 0, meanIdleInTransaction: 0 };
  const pgbouncer = {
    transactions: 4000,
    queries: 4000,
    waitUs: 0,
    queryUs: 0,
    transactionUs: 0,
    maxClients: 9,
    maxServers: 20,
    maxServersActive: 9,
    meanServersActive: 3,
    logins: 3900,
    starvedUs: 0,
    meanClients: 5,
    meanWaiting: 0,
  };
  const telemetry = { postgres, pgbouncer, work: null, app: null };
  assert.deepEqual(connectionChurn({ requests: 4000, telemetry }), { sessions: 1, logins: 975 });
  const direct = { ...telemetry, pgbouncer: null };
  assert.deepEqual(connectionChurn({ requests: 4000, telemetry: direct }), {
    sessions: 1,
    logins: null,
  });
  assert.equal(connectionChurn({ requests: 0, telemetry }), null);
  assert.equal(connectionChurn({ requests: 10, telemetry: null }), null);
  const unseen = { ...telemetry, postgres: null };
  assert.equal(connectionChurn({ requests: 10, telemetry: unseen }), null);
});

/** What a worker told: sums that grow with its requests. */
const worker = (pid: number, second: number, requests: number): Values => ({
  time_us: second * S,
  worker: pid,
  requests,
  handler_us: 9000 * requests,
  pool_wait_us: 1000 * requests,
  connect_us: 500 * requests,
  connections: requests / 10,
  database_us: 4000 * requests,
});

Deno.test("appActivity() sums what each worker counted within the window", async () => {
  const frame = await frameOf("app", [
    worker(7, 98, 0),
    worker(8, 98, 0),
    // Between readings, the line between them counts.
    worker(7, 99.95, 100),
    worker(8, 99.95, 200),
    worker(7, 100.45, 200),
    worker(8, 100.45, 300),
    // One that takes the place of another begins at 0; of another, this reading failed.
    worker(7, 102, 350),
    worker(9, 102, 50),
    worker(7, 103.95, 490),
    worker(9, 103.95, 140),
    worker(8, 103.95, 600),
    worker(7, 104.45, 590),
    worker(9, 104.45, 140),
    worker(8, 104.45, 700),
  ]);
  const told = appActivity(frame, window);
  assert.ok(typeof told !== "string");
  // 500 - 110, 610 - 210 and 140.
  const requests = 390 + 400 + 140;
  assert.equal(told.requests, requests);
  const near = (ms: number, each: number) => Math.abs(ms - each * requests) < 1e-6;
  assert.ok(near(told.handlerMs, 9) && near(told.poolWaitMs, 1) && near(told.connectMs, 0.5));
  assert.ok(near(told.databaseMs, 4) && told.connections === 93);
});

Deno.test("appActivity() says what is missing or wrong", async () => {
  const tell = async (...rows: Values[]) => appActivity(await frameOf("app", rows), window);
  assert.equal(await tell(), "it has no readings");
  assert.equal(
    await tell(worker(7, 101.5, 0), worker(7, 104, 10)),
    "its readings begin 1.5 s into the window",
  );
  assert.equal(
    await tell(worker(7, 99, 0), worker(7, 103, 10)),
    "its readings end 1.0 s before the window does",
  );
  assert.equal(
    await tell(worker(7, 99, 20), worker(7, 104, 10)),
    "requests of a worker falls",
  );
});

Deno.test("heldTransactions() is by PgBouncer's clock, and on the direct path by who was seen idle", () => {
  const postgres = { meanActive: 1, meanIdleInTransaction: 19 };
  const pgbouncer = { transactionUs: 400 * 52_000, queryUs: 400 * 2_000 };
  const of = (telemetry: object, rps = 380, requests = 400) =>
    heldTransactions({ telemetry: telemetry as Telemetry, rps, requests });
  assert.deepEqual(of({ postgres, pgbouncer }), { occupiedMs: 52, heldMs: 50 });
  // 20 connections are in use for 380 requests each second.
  const direct = of({ postgres, pgbouncer: null })!;
  assert.ok(Math.abs(direct.occupiedMs - 20_000 / 380) < 1e-9);
  assert.ok(Math.abs(direct.heldMs - 50) < 1e-9);
  assert.equal(of({ postgres: null, pgbouncer: null }), null);
  assert.equal(of({ postgres, pgbouncer: null }, 0), null);
  assert.equal(of({ postgres, pgbouncer }, 380, 0), null);
  // An app's own code between two statements is no held transaction, however short they are.
  assert.equal(heldScore({ occupiedMs: 2, heldMs: 1.8 }) < 1, true);
  assert.equal(heldScore({ occupiedMs: 60, heldMs: 20 }) < 1, true);
  assert.equal(heldScore(direct) > 1, true);
  assert.deepEqual([heldScore(null), heldScore({ occupiedMs: 0, heldMs: 0 })], [0, 0]);
});
