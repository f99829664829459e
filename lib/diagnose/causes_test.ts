import { equal } from "node:assert/strict";
import { createScenario } from "../scenario.ts";
import { type Evidence, findCause, hasLostProcess } from "./causes.ts";

const scenario = createScenario({
  ...{ framework: "fastapi", path: "direct", users: 1000, workers: 4, poolSize: 40 },
});
const none: Evidence = {
  ...{ scenario, step: "load", logs: {}, exited: {}, memoryKills: {}, freeMiB: null },
  ...{ requests: 0, failures: 0, errors: [], thrown: null },
};

function cause(evidence: Partial<Evidence>): string {
  return findCause({ ...none, ...evidence });
}

Deno.test("findCause() names too many clients with the arithmetic behind it", () => {
  const sentence = "FastAPI direct: PostgreSQL refused connections (too many clients already): ";
  const logs = { app: "asyncpg: sorry, too many clients already" };
  equal(cause({ logs }), sentence + "4 workers × 40 > max_connections 100");
  const postgres = "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER";
  equal(cause({ logs: { postgres } }), sentence + "4 workers × 40 > max_connections 100");
  equal(
    cause({ logs, scenario: { ...scenario, reuse: "per_request" } }),
    sentence + "a connection for each of 1000 users' requests > max_connections 100",
  );
});

Deno.test("findCause() names PgBouncer's and the app's own waiting limits", () => {
  const pooled = createScenario({ framework: "flask", path: "pooled", users: 1000 });
  equal(
    cause({ scenario: pooled, logs: { app: "psycopg.errors: query_wait_timeout" } }),
    "Flask pooled: PgBouncer gave up clients that waited longer than query_wait_timeout 15 s for one of 20 server connections",
  );
  equal(
    cause({ logs: { app: "QueuePool limit of size 40 overflow 0 reached, timeout 30.00" } }),
    "FastAPI direct: requests waited longer than 30 s for a connection of the app's own pool of 40",
  );
});

Deno.test("findCause() falls back to exits, then errors thrown, then the requests' errors", () => {
  equal(
    cause({ step: "verify", exited: { app: 3 }, logs: { app: "one\nno port\n" }, thrown: "x" }),
    "FastAPI direct: the app exited with code 3 before the load (no port)",
  );
  equal(
    cause({ thrown: "the app broke the contract" }),
    "FastAPI direct: the app broke the contract",
  );
  const errors = [
    { error: "unfinished", count: 90, example: "" },
    { error: "HTTP 500", count: 7, example: "" },
    { error: "timeout", count: 3, example: "" },
  ];
  const counts = { requests: 200, failures: 10, errors };
  equal(
    cause(counts),
    'FastAPI direct: 10 of 200 requests failed, 7 of them with "HTTP 500"',
  );
  equal(
    cause({
      ...counts,
      requests: 10,
      logs: { app: "ERROR: GET /x failed: DataError: bad\nINFO: y" },
    }),
    'FastAPI direct: all 10 requests failed, 7 of them with "HTTP 500"; the app\'s log says: ERROR: GET /x failed: DataError: bad',
  );
  equal(cause({}), "FastAPI direct: no request was answered in the window");
});

Deno.test("findCause() names the service that took the others along", () => {
  equal(
    cause({ exited: { app: 1, pgbouncer: 1, postgres: 137 }, requests: 80, failures: 5 }),
    "FastAPI direct: PostgreSQL was killed by signal 9 during the load, after 80 requests of which 5 failed",
  );
});

Deno.test("findCause() tells of memory by the kernel's count, before the exit that it caused", () => {
  equal(
    cause({ exited: { postgres: 137 }, memoryKills: { app: 0, postgres: 1 } }),
    "FastAPI direct: PostgreSQL ran out of memory at its limit of 512 MiB (processes killed by the kernel: 1)",
  );
});

Deno.test("findCause() tells of a full disk by what was thrown, by logs, and by the space left", () => {
  const thrown = 'Cannot clone the database: could not write "base/5/16": No space left on device';
  equal(
    cause({ thrown }),
    "FastAPI direct: the disk is full (no space left on device): cannot clone the database",
  );
  equal(
    cause({ thrown: "unexpected error: ENOSPC: no space left on device, write" }),
    "FastAPI direct: the disk is full (no space left on device): cannot write the run's files",
  );
  const postgres = 'ERROR:  could not extend file "base/16403/16415": No space left on device';
  equal(
    cause({ logs: { postgres } }),
    "FastAPI direct: the disk is full (no space left on device, says PostgreSQL)",
  );
  equal(
    cause({ freeMiB: 0.1, thrown: "x" }),
    "FastAPI direct: the disk is full: there is no space left for the run's files",
  );
});

Deno.test("hasLostProcess() is true for a crash that cost few requests, false for failures alone", () => {
  const postgres = "LOG:  server process (PID 7) was terminated by signal 11: Segmentation fault";
  const app = "[ERROR] Worker (pid:9) was sent SIGKILL! Perhaps out of memory?";
  equal(hasLostProcess({ ...none, logs: { postgres }, requests: 9000, failures: 3 }), true);
  equal(hasLostProcess({ ...none, logs: { app } }), true);
  equal(hasLostProcess({ ...none, memoryKills: { app: 1 } }), true);
  equal(hasLostProcess({ ...none, exited: { app: 0 } }), true);
  equal(hasLostProcess({ ...none, logs: { app: "too many clients already" }, failures: 9 }), false);
  equal(
    cause({ logs: { app }, requests: 900, failures: 2 }),
    "FastAPI direct: the app lost a worker process by SIGKILL: 2 of 900 requests failed",
  );
});

Deno.test("findCause() tells which service is unhealthy, what its check says, and its last line", () => {
  equal(
    cause({
      step: "load",
      unhealthy: { app: "its health check says: timed out" },
      logs: { app: "starting\nworker 7 hangs" },
      requests: 100,
      failures: 2,
    }),
    "FastAPI direct: the app became unhealthy during the load, its health check says: timed out" +
      ": 2 of 100 requests failed; its log ends with: worker 7 hangs",
  );
  equal(hasLostProcess({ ...none, unhealthy: { pgbouncer: "its health check fails" } }), true);
});
