// test lane: checkout
import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PGBOUNCER_COLUMNS, POSTGRES_COLUMNS, RESOURCE_COLUMNS } from "../store/layout.ts";
import { FileError } from "../errors.ts";
import { readPgbouncer, readPostgres, readRequests, readResources } from "./run_files.ts";
import { requestsCsv, syntheticPlan, syntheticStudy } from "../testing/synthetic_study.ts";

const one = [{ startUs: 1_700_000_000_000_000, serviceUs: 5000 }];

async function failure(text: string | null): Promise<FileError> {
  const folder = mkdtempSync(join(tmpdir(), "poolscope-test-"));
  try {
    if (text !== null) writeFileSync(join(folder, "requests.csv"), text);
    await readRequests(folder);
  } catch (error) {
    assert.ok(error instanceof FileError, String(error));
    assert.ok(!error.message.includes("\n"), "one line");
    assert.match(error.message, /requests\.csv/);
    return error;
  } finally {
    rmSync(folder, { recursive: true });
  }
  throw new Error("nothing was thrown");
}

Deno.test("every reader reads a run's files with fixed dtypes", async () => {
  using study = syntheticStudy(syntheticPlan({ users: [10], rounds: 1 }));
  const requests = await readRequests(study.firstRun);
  assert.ok(requests.height > 0);
  const dtypes = Object.entries(requests.schema).map(([name, type]) => `${name} ${type}`);
  assert.ok(dtypes.includes("service_us DataType(Int64)"), dtypes.join());
  assert.equal(requests.getColumn("intended_start_us").nullCount(), requests.height);

  assert.ok((await readResources(study.firstRun)).height > 0);
  const postgres = await readPostgres(study.firstRun);
  assert.deepEqual(postgres.columns, [...POSTGRES_COLUMNS]);
  assert.equal(postgres.getColumn("wait_events").nullCount(), postgres.height);
  assert.deepEqual((await readPgbouncer(study.firstRun)).columns, [...PGBOUNCER_COLUMNS]);
});

Deno.test("readRequests() keeps quotes, commas and line breaks of an error", async () => {
  const folder = mkdtempSync(join(tmpdir(), "poolscope-test-"));
  try {
    const header = requestsCsv([]);
    const row = ',1,2,,/users/{id},500,"it said ""no"",\ntwice",12\n';
    writeFileSync(join(folder, "requests.csv"), header + row + row);
    const frame = await readRequests(folder);
    assert.equal(frame.height, 2);
    assert.equal(frame.getColumn("error").get(1), 'it said "no",\ntwice');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

Deno.test("readPostgres(), readPgbouncer() and readResources() read files of earlier versions, with nulls", async () => {
  const folder = mkdtempSync(join(tmpdir(), "poolscope-test-"));
  try {
    const header = POSTGRES_COLUMNS.slice(0, 12).join(",");
    writeFileSync(join(folder, "postgres.csv"), `${header}\n5,4,0,4,0,0,7,11,0,2803,1479,0\n`);
    const postgres = await readPostgres(folder);
    assert.deepEqual(postgres.columns, [...POSTGRES_COLUMNS]);
    assert.deepEqual(postgres.getColumn("sessions").toArray(), [7]);
    assert.equal(postgres.getColumn("waiting_io").nullCount(), 1);
    writeFileSync(
      join(folder, "pgbouncer.csv"),
      PGBOUNCER_COLUMNS.slice(0, 12).join(",") + "\n9,0,0,0,4,0,0,0,27,27,159380,384535\n",
    );
    const pgbouncer = await readPgbouncer(folder);
    assert.deepEqual(pgbouncer.columns, [...PGBOUNCER_COLUMNS]);
    writeFileSync(
      join(folder, "resources.csv"),
      RESOURCE_COLUMNS.slice(0, 6).join(",") + "\n9,app,1.5,0,80,3\n9,host,2,0,900,0\n",
    );
    const resources = await readResources(folder);
    assert.deepEqual(resources.columns, [...RESOURCE_COLUMNS]);
    assert.equal(resources.getColumn("context_switches").nullCount(), 2);
    assert.equal(pgbouncer.getColumn("last_client_id").nullCount(), 1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

Deno.test("readPostgres() names the line whose time is not after the one before", async () => {
  using study = syntheticStudy(syntheticPlan({ users: [10], rounds: 1 }));
  const file = join(study.firstRun, "postgres.csv");
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  appendFileSync(file, lines.at(-1)! + "\n");
  await assert.rejects(readPostgres(study.firstRun), (error: FileError) => {
    assert.equal(error.line, lines.length + 1);
    assert.match(error.message, /postgres\.csv, line 7: its time is not after the line before/);
    return error instanceof FileError;
  });
});

Deno.test("readRequests() throws when the file is missing or empty", async () => {
  assert.match((await failure(null)).message, /no such file/);
  assert.match((await failure("")).message, /empty/);
});

Deno.test("readRequests() throws when the header is another's", async () => {
  const error = await failure("a,b\n1,2\n");
  assert.equal(error.line, 1);
  assert.match(error.message, /header is "a,b"/);
});

Deno.test("readRequests() throws when the last line is cut off", async () => {
  // Cut inside the last number: every field is there, and only the line's end shows it.
  const whole = requestsCsv([...one, ...one]);
  const error = await failure(whole.slice(0, -2));
  assert.equal(error.line, 3);
  assert.match(error.message, /truncated/);
});

Deno.test("readRequests() names the line of a short or long row", async () => {
  const short = await failure(requestsCsv(one) + ",17000000\n" + ",1,2,,/ping,200,,1\n");
  assert.equal(short.line, 3);
  assert.match(short.message, /2 fields where 8 belong: the row is truncated/);
  const long = await failure(requestsCsv(one) + ",1,2,,/ping,200,,1,9\n");
  assert.equal(long.line, 3);
  assert.match(long.message, /too long/);
});

Deno.test("readRequests() names line, column and value of what is no number", async () => {
  const error = await failure(requestsCsv(one) + ",1,soon,,/ping,200,,1\n");
  assert.equal(error.line, 3);
  assert.match(error.message, /service_us is "soon", must be an integer/);
});

Deno.test("a FileError does not show where the checkout lies", async () => {
  using study = syntheticStudy(syntheticPlan({ users: [10], rounds: 1 }));
  appendFileSync(join(study.firstRun, "requests.csv"), "cut");
  await assert.rejects(readRequests(study.firstRun), (error: Error) => {
    assert.match(error.message, /^Cannot read synthetic\/[^/]+\/round-1\/requests\.csv, line \d+:/);
    return true;
  });
});
