/** The recorded runs below `data/published/` that the benchmarks draw their noise from. */

import { readCsv } from "./read_csv.ts";

const RECORDED_RUN = {
  scenario_id: "text",
  round: "integer",
  framework: "text",
  path: "text",
  users: "integer",
  status: "text",
  requests: "integer",
  failures: "integer",
  unfinished: "integer",
  rps: "number",
  p50_ms: "number?",
  p95_ms: "number?",
  p99_ms: "number?",
  percentiles_are_lower_bounds: "text",
  cause: "text?",
} as const;

const PAIRED_RUN = {
  pair: "integer",
  scenario_id: "text",
  round: "integer",
  name: "text",
  rps: "number",
} as const;

const RECORDED_BLOCK = {
  seed: "integer",
  arm: "text",
  round: "integer",
  block: "integer",
  place: "integer",
  base: "number",
  other: "number",
} as const;

/** A row without missing values. */
type RowOf<Kinds> = { [C in keyof Kinds]: Kinds[C] extends "text" ? string : number };

/** A run of a published study; `rps` are correct answers per second. */
export type RecordedRun = Pick<
  RowOf<typeof RECORDED_RUN>,
  "scenario_id" | "round" | "status" | "rps"
>;

/** One run of an A/A pair: the same scenario under two names, `a` and `b`, given at random. */
export type PairedRun = RowOf<typeof PAIRED_RUN>;

export const PAIRED_RUN_COLUMNS = Object.keys(PAIRED_RUN) as (keyof PairedRun)[];

/**
 * A block of an arm and its copy, which took turns: answers per second of both. `place` is that of the
 * arm itself within the block, from 1; `round` counts the starts of one recording, which has its seed.
 */
export type RecordedBlock = RowOf<typeof RECORDED_BLOCK>;

export const RECORDED_BLOCK_COLUMNS = Object.keys(RECORDED_BLOCK) as (keyof RecordedBlock)[];

export async function readRecordedRuns(file: string): Promise<RecordedRun[]> {
  return (await readCsv(file, RECORDED_RUN)).toRecords() as RecordedRun[];
}

export async function readRecordedBlocks(file: string): Promise<RecordedBlock[]> {
  return (await readCsv(file, RECORDED_BLOCK)).toRecords() as RecordedBlock[];
}

export async function readPairedRuns(file: string): Promise<PairedRun[]> {
  return (await readCsv(file, PAIRED_RUN)).toRecords() as PairedRun[];
}
