// test lane: checkout
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { readFileSync } from "node:fs";
import postgres from "postgres";
import { LocalEngine } from "../engine/local.ts";
import { UsageError } from "../errors.ts";
import { waitUntil } from "../hosts/wait.ts";
import { FRAMEWORKS } from "../plan.ts";
import { createScenario, PATHS, type Scenario, type ScenarioValues } from "../scenario.ts";
import type { ServerSettings } from "../server_settings.ts";
import { setUp } from "../setup/mod.ts";
import { startOne } from "../testing/one_run.ts";
import { readSettings } from "./settings.ts";
import { verifyApp } from "./verify.ts";

/** One statement on a route, and more clients than server connections, so that they take turns. */
const ROUTE = "/users/7";
const REQUESTS = 240;
const CLIENTS = 8;
const POOL_SIZE = 3;

/** What PostgreSQL was asked to do for the route's statement. */
interface Work {
  /** Statements parsed, by the name they were given; "" for those without one. */
  parsed: Map<string, number>;
  /** Executions, by the same names. */
  executed: Map<string, number>;
  /** Parses by a process that had parsed or executed the same name before. */
  reparsed: number;
  /** PostgreSQL's processes that executed it. */
  backends: Set<string>;
}

/**
 * Reads the server's own log, in which every parse, bind and execute has its line: a success alone
 * would not tell whether a statement was prepared once or each time.
 */
function readWork(log: string): Work {
  const work: Work = {
    parsed: new Map(),
    executed: new Map(),
    reparsed: 0,
    backends: new Set(),
  };
  const known = new Set<string>();
  const lines = log.matchAll(
    /\[(\d+)\] LOG: {2}duration: [\d.]+ ms {2}(parse|execute) ([^:]+): (?:fetch from )?([^\n]*(?:\n\t[^\n]*)*)/g,
  );
  for (const [, backend, step, name, statement] of lines) {
    if (!/\bFROM "?users"?/i.test(statement!.replace(/\s+/g, " "))) continue;
    const counts = step === "parse" ? work.parsed : work.executed;
    const key = name === "<unnamed>" ? "" : name!;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    const own = `${backend} ${key}`;
    if (step === "parse" && known.has(own)) work.reparsed++;
    known.add(own);
    if (step === "execute") work.backends.add(backend!);
  }
  return work;
}

function total(counts: Map<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

async function measure(engine: LocalEngine, scenario: Scenario): Promise<Work & { most: number }> {
  await using services = await startOne(engine, scenario);
  const { pid } = services.services.get("postgres") as unknown as { pid: number };
  const log = () => readFileSync(`/proc/${pid}/fd/2`, "utf8");
  const admin = postgres({ ...services.postgres, max: 1, onnotice: () => {} });
  try {
    await verifyApp(services, scenario);
    // Enough of them that psycopg, which prepares at the sixth execution, is done with it everywhere.
    await sendRequests(services.appUrl, REQUESTS);
    // Takes effect in the sessions that there are.
    await admin.unsafe("alter system set log_line_prefix = '[%p] '");
    await admin.unsafe("alter system set log_min_duration_statement = 0");
    await admin.unsafe("select pg_reload_conf()");
    const shown = async () => {
      const fresh = postgres({ ...services.postgres, max: 1 });
      const [row] = await fresh`show log_min_duration_statement`.finally(() => fresh.end());
      return row!.log_min_duration_statement === "0" || null;
    };
    // Once one shows it, the postmaster is telling the others, before it takes the next connection.
    await waitUntil(shown, { what: "the log's settings" });
    await shown();
    const before = log().length;
    let most = 0;
    const looking = setInterval(async () => {
      const [row] = await admin`
        select count(*)::int n from pg_stat_activity
        where usename = 'app' and datname = current_database()`;
      most = Math.max(most, row!.n);
    }, 20);
    await sendRequests(services.appUrl, REQUESTS);
    clearInterval(looking);
    await admin.unsafe("alter system reset log_min_duration_statement");
    await admin.unsafe("select pg_reload_conf()");
    return { ...readWork(log().slice(before)), most };
  } finally {
    await admin.end({ timeout: 1 });
  }
}

async function sendRequests(url: string, count: number): Promise<void> {
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    for (let i = 0; i < count / CLIENTS; i++) {
      const response = await fetch(url + ROUTE);
      await response.bytes();
      equal(response.status, 200);
    }
  }));
}

Deno.test("prepared statements are reused on both paths, and switched off they are off on both", async (t) => {
  await using engine = new LocalEngine(await setUp());
  for (const framework of FRAMEWORKS) {
    for (const path of PATHS) {
      for (const preparedStatements of [true, false]) {
        const switched = preparedStatements ? "on" : "off";
        await t.step(`${framework} ${path}, ${switched}`, async () => {
          const scenario = createScenario({
            framework,
            path,
            preparedStatements,
            users: CLIENTS,
            workers: 1,
            poolSize: CLIENTS,
            threads: framework === "fastapi" ? 1 : CLIENTS,
            defaultPoolSize: POOL_SIZE,
            dbCpus: null,
            dbMemoryMiB: null,
          });
          const { parsed, executed, reparsed, backends, most } = await measure(engine, scenario);
          const said = `${total(executed)} executions of ${
            [...executed.keys()].slice(0, 3).join(", ") || "nothing"
          }, ${total(parsed)} parses, ${backends.size} server connections`;
          console.log(`${framework} ${path} ${switched}: ${said}`);
          equal(total(executed), REQUESTS, said);
          if (path === "pooled") ok(most <= POOL_SIZE, `${most} server connections`);
          if (preparedStatements) {
            // Parsed before the log began, if at all: executed by name, and not parsed again. But
            // PgBouncer may give a server connection that had rested its first query meanwhile.
            const first = path === "pooled" ? backends.size - 1 : 0;
            ok(total(parsed) <= first, said);
            equal(reparsed, 0, said);
            equal(executed.has(""), false, said);
            const names = path === "pooled"
              ? /^PGBOUNCER_\d+$/
              : framework === "fastapi"
              ? /^__asyncpg_/
              : /^_pg3_\d+$/;
            for (const name of executed.keys()) match(name, names);
          } else {
            // Each execution has a parse of its own, without a name or with one that is used once.
            equal(total(parsed), REQUESTS, said);
            for (const [name, count] of executed) ok(name === "" || count === 1, said);
          }
        });
      }
    }
  }
});

Deno.test("settings by the servers' own names are checked, in force, and read back", async () => {
  await using engine = new LocalEngine(await setUp());
  const arm = { framework: "flask", path: "pooled", users: 1 } as const;
  const check = (values: ScenarioValues) =>
    engine.checkServerSettings([createScenario({ ...arm, ...values })]);
  const wrong: [ScenarioValues, RegExp][] = [
    [
      { "postgres.work_mme": "8MB" },
      /^Cannot set .*no such setting \(did you mean "work_mem"\?\)$/,
    ],
    [{ "postgres.auto_explain.log_min_duration": 0 }, /PostgreSQL 16\.\d+ has no such setting$/],
    [
      { "postgres.work_mem": "8XB" },
      /: PostgreSQL says: invalid value .*8XB"; Valid units for .*$/,
    ],
    [{ "postgres.work_mem": 1 }, /: PostgreSQL says: 1 kB is outside the valid range for .*$/],
    [
      { "pgbouncer.reserve_pool_sze": 5 },
      /no such setting \(did you mean "reserve_pool_size"\?\)$/,
    ],
    [
      { "pgbouncer.reserve_pool_size": "x" },
      /: PgBouncer says: invalid value "x" for .*_pool_size$/,
    ],
  ];
  for (const [values, message] of wrong) {
    await rejects(check(values), (error: Error) => {
      ok(error instanceof UsageError, `${error}`);
      match(error.message, message);
      return !error.message.includes("\n");
    });
  }
  const scenario = createScenario({
    ...arm,
    "pgbouncer.reserve_pool_size": 5,
    "pgbouncer.server_lifetime": 60,
    "pgbouncer.log_stats": 0,
    "postgres.work_mem": "8MB",
    // Its default: what was asked for is told all the same.
    "postgres.enable_seqscan": true,
  });
  await engine.checkServerSettings([scenario]);
  await using services = await startOne(engine, scenario);
  await verifyApp(services, scenario);
  const { pgbouncer, postgres } = await readSettings(services, scenario);
  const { reserve_pool_size, server_lifetime, log_stats } = pgbouncer!;
  deepEqual([reserve_pool_size, server_lifetime, log_stats], ["5", "60", "0"]);
  deepEqual([postgres!.work_mem, postgres!.enable_seqscan], ["8192", "on"]);
  const other = (values: ServerSettings) => readSettings(services, { ...scenario, ...values });
  await rejects(
    other({ "pgbouncer.server_lifetime": "61" }),
    /^PoolscopeError: Cannot set pgbouncer\.server_lifetime: 61 was asked for, but 60 is in force$/,
  );
  await rejects(
    other({ "postgres.work_men": "1" }),
    /no such setting \(did you mean "work_mem"\?\)/,
  );
  await rejects(
    other({ "postgres.temp_buffers": "1MB" }),
    /1MB was asked for, but 1024 .*, by default/,
  );
});
