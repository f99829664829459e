/**
 * The recorded runs that the benchmarks draw their noise from: small CSV files below
 * `data/published/`.
 *
 * @module
 */

import { type Column, readCsv } from "./read_csv.ts";

const text = (header: string, optional = false): Column => ({
  header,
  name: header,
  kind: "text",
  optional,
});
const integer = (header: string): Column => ({ header, name: header, kind: "integer" });
const number = (header: string, optional = false): Column => ({
  header,
  name: header,
  kind: "number",
  optional,
});

/** A run of a published study. */
export interface RecordedRun {
  scenario_id: string;
  /** From 1. */
  round: number;
  status: "ok" | "failed";
  /** Correct answers per second. */
  rps: number;
}

/**
 * Reads the `runs.csv` of a published study.
 *
 * @throws {FrameError} If it is missing, truncated or has another header.
 */
export async function readRecordedRuns(file: string): Promise<RecordedRun[]> {
  const frame = await readCsv(file, [
    text("scenario_id"),
    integer("round"),
    text("framework"),
    text("path"),
    integer("users"),
    text("status"),
    integer("requests"),
    integer("failures"),
    integer("unfinished"),
    number("rps"),
    number("p50_ms", true),
    number("p95_ms", true),
    number("p99_ms", true),
    text("percentiles_are_lower_bounds"),
    text("cause", true),
  ]);
  return frame.toRecords() as unknown as RecordedRun[];
}

/** One run of an A/A pair: the same scenario under two names. */
export interface PairedRun {
  /** The pair. */
  pair: number;
  scenario_id: string;
  /** Round of the pair, from 1. */
  round: number;
  /** The name that the run was given at random. */
  name: "a" | "b";
  /** Correct answers per second. */
  rps: number;
}

/** The columns of a file of A/A pairs. */
export const PAIRED_RUN_COLUMNS = ["pair", "scenario_id", "round", "name", "rps"] as const;

/**
 * Reads a file of A/A pairs.
 *
 * @throws {FrameError} If it is missing, truncated or has another header.
 */
export async function readPairedRuns(file: string): Promise<PairedRun[]> {
  const frame = await readCsv(file, [
    integer("pair"),
    text("scenario_id"),
    integer("round"),
    text("name"),
    number("rps"),
  ]);
  return frame.toRecords() as unknown as PairedRun[];
}
