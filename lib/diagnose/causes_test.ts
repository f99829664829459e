import { equal } from "node:assert/strict";
import { createScenario } from "../scenario.ts";
import { type Evidence, findCause } from "./causes.ts";

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
  const sentence = "fastapi direct: PostgreSQL refused connections (too many clients already): ";
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
    "flask pooled: PgBouncer gave up clients that waited longer than query_wait_timeout 15 s for one of 20 server connections",
  );
  equal(
    cause({ logs: { app: "QueuePool limit of size 40 overflow 0 reached, timeout 30.00" } }),
    "fastapi direct: requests waited longer than 30 s for a connection of the app's own pool of 40",
  );
});

Deno.test("findCause() falls back to exits, then errors thrown, then the requests' errors", () => {
  equal(
    cause({ exited: { app: 3 }, logs: { app: "line one\nport in use\n" }, thrown: "x" }),
    "fastapi direct: the app exited with code 3 (port in use)",
  );
  equal(
    cause({ thrown: "the app broke the contract" }),
    "fastapi direct: the app broke the contract",
  );
  const errors = [
    { error: "unfinished", count: 90, example: "" },
    { error: "HTTP 500", count: 7, example: "" },
    { error: "timeout", count: 3, example: "" },
  ];
  equal(cause({ errors }), 'fastapi direct: 7 of 10 failed requests met "HTTP 500"');
  equal(cause({}), "fastapi direct: no request was answered in the window");
});
