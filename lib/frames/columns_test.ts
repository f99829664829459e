// test lane: checkout
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RequestColumns, requestColumns } from "./columns.ts";
import { readRequests } from "./run_files.ts";
import { requestsCsv, type SyntheticRequest } from "../testing/synthetic_study.ts";

async function columnsOf(rows: SyntheticRequest[]): Promise<RequestColumns> {
  const folder = mkdtempSync(join(tmpdir(), "poolscope-test-"));
  try {
    writeFileSync(join(folder, "requests.csv"), requestsCsv(rows));
    return requestColumns(await readRequests(folder));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const startUs = 1_764_000_000_123_457;

Deno.test("requestColumns() keeps every digit, and what became of each request", async () => {
  // Both halves of a 64-bit number, with and without the low half's highest bit.
  const starts = [startUs, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 0, Number.MAX_SAFE_INTEGER];
  const errors = [undefined, "unfinished", "500", "dropped", undefined, "unfinished "];
  const columns = await columnsOf(starts.map((start, i) => ({
    startUs: start,
    serviceUs: 7 * i,
    ...(errors[i] === undefined ? {} : { error: errors[i] }),
  })));
  assert.deepEqual([...columns.startUs], starts);
  assert.deepEqual([...columns.serviceUs], [0, 7, 14, 21, 28, 35]);
  assert.deepEqual([...columns.outcome], [0, 2, 1, 3, 0, 1]);
  assert.deepEqual([columns.length, columns.intendedUs, columns.responseUs], [6, null, null]);
});

Deno.test("requestColumns() of an open loop, of a mixture, and of nothing", async () => {
  const due = { startUs, serviceUs: 5, intendedUs: startUs - 3, responseUs: 8 };
  const open = await columnsOf([due, { ...due, responseUs: 9 }]);
  assert.deepEqual([...open.intendedUs!], [startUs - 3, startUs - 3]);
  assert.deepEqual([...open.responseUs!], [8, 9]);
  const mixed = await columnsOf([due, { startUs, serviceUs: 5 }]);
  assert.deepEqual([...mixed.responseUs!], [8, NaN]);
  const none = await columnsOf([]);
  assert.deepEqual([none.length, none.startUs.length, none.outcome.length], [0, 0, 0]);
});
