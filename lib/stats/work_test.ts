// test lane: checkout
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readRequests, readStatements } from "../frames/run_files.ts";
import { requestsCsv } from "../testing/synthetic_study.ts";
import { STATEMENT_COLUMNS } from "../store/layout.ts";
import { statementKind, workWithin } from "./work.ts";

Deno.test("statementKind() tells data from transaction control and from what a connection needs", () => {
  const kinds = {
    data: [
      "SELECT posts.id FROM posts JOIN users ON users.id = posts.author_id",
      "  (select 1 from users)",
      "/* by the ORM */ UPDATE users SET username = $1",
      "INSERT INTO posts (title) VALUES ($1) RETURNING id",
      "with newest as (select * from posts) select * from newest",
      "delete from posts",
      // A column may bear such a name.
      'SELECT "commit" FROM users',
    ],
    transaction: [
      "BEGIN",
      "BEGIN;",
      "begin isolation level read committed",
      "COMMIT",
      "ROLLBACK;",
      "SAVEPOINT s1",
      "RELEASE SAVEPOINT s1",
      "START TRANSACTION",
    ],
    setup: [
      "select pg_catalog.version()",
      "select current_schema()",
      "SELECT $1",
      "show standard_conforming_strings",
      "SET TIME ZONE 'UTC'",
      "SELECT t.oid FROM pg_type t WHERE t.typname = $1",
      "SELECT typname FROM pg_catalog.pg_type JOIN users ON true",
      "DEALLOCATE ALL",
      "DISCARD ALL",
    ],
  };
  for (const [kind, queries] of Object.entries(kinds)) {
    for (const query of queries) assert.equal(statementKind(query), kind, query);
  }
});

const S = 1e6;
const window = { startUs: 100 * S, endUs: 104 * S };

async function workOf(
  statements: (string | number)[][],
  contract: Parameters<typeof workWithin>[3],
): Promise<ReturnType<typeof workWithin>> {
  const folder = mkdtempSync(join(tmpdir(), "poolscope-test-"));
  try {
    const answers = [
      // Answered before, in and after the window; one that failed; one without an answer.
      ...[99.9, 100.1, 101, 102, 103.9, 104.1].map((at) => ({ at, route: "GET /posts" })),
      { at: 101.5, route: "POST /posts" },
      { at: 101.6, route: "POST /posts", error: "500", status: 500 },
      { at: 104, route: "GET /posts", error: "unfinished", status: 0 },
    ];
    const rows = answers.map(({ at, ...rest }) => ({
      startUs: Math.round((at - 0.05) * S),
      serviceUs: 0.05 * S,
      ...rest,
    }));
    writeFileSync(join(folder, "requests.csv"), requestsCsv(rows));
    const lines = [STATEMENT_COLUMNS.join(), ...statements.map((row) => row.join())];
    writeFileSync(join(folder, "statements.csv"), lines.join("\n") + "\n");
    return workWithin(await readStatements(folder), await readRequests(folder), window, contract);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

Deno.test("workWithin() counts calls, rows and time of the window by kind, and the contract's", async () => {
  const select = '"SELECT id, title FROM posts"';
  const work = await workOf([
    [98 * S, "1", 100, 2000, 10.5, select],
    [100 * S, "1", 200, 4000, 20.5, select],
    [100 * S, "2", 50, 0, 1, "BEGIN"],
    // A statement that was first seen within the window.
    [104 * S, "-3", 6, 6, 3, "INSERT INTO posts VALUES ($1)"],
    [104 * S, "1", 240, 4800, 24.5, select],
    [104 * S, "2", 90, 0, 2.5, "BEGIN"],
    [104 * S, "4", 2, 2, 0.5, "select current_schema()"],
  ], { "GET /posts": { statements: 1, rows: 20 }, "POST /posts": { statements: 2, rows: 2 } });
  assert.deepEqual(work, {
    requests: 5,
    astride: 0,
    serviceMs: 250,
    dataStatements: 46,
    rows: 806,
    transactionControl: 40,
    setup: 2,
    dataMs: 7,
    otherMs: 2,
    contract: { statements: 6, rows: 82 },
  });
});

Deno.test("workWithin() says how much the distance of readings from the window's ends leaves open", async () => {
  const row = (at: number, calls: number) => [at * S, "1", calls, calls, 1, "COMMIT"];
  // Half a second late at the begin, and a tenth at the end, of four: 15% of five answers.
  const work = await workOf([row(98, 0), row(100.5, 10), row(103, 50), row(104.1, 70)], {});
  assert.ok(typeof work !== "string");
  assert.equal(work.astride.toFixed(6), "0.750000");
});

Deno.test("workWithin() says why it cannot tell", async () => {
  assert.equal(await workOf([], {}), "it has no readings");
  const rows = [[98 * S, "1", 5, 5, 1, "BEGIN"], [101 * S, "1", 6, 6, 1, "BEGIN"]];
  assert.equal(await workOf(rows, {}), "its readings end 3.0 s before the window does");
  assert.equal(
    await workOf([...rows, [105 * S, "2", 6, 6, 1, "COMMIT"]], {}),
    "the calls of statement 1 fall",
  );
});
