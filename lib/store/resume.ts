/**
 * What is left to do in a study: runs without a manifest, and runs whose files are not those that
 * their manifest was written for.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { FileError, SchemaVersionError } from "../errors.ts";
import type { PlannedRun } from "../plan.ts";
import { hashFile, readManifest } from "./files.ts";
import { runFolder } from "./layout.ts";
import type { Manifest } from "./manifest.ts";

/** A complete run that cannot be believed. */
export interface DamagedRun {
  run: PlannedRun;
  /** The first of its files that is not as the manifest says. */
  file: string;
  /** What is wrong with it: `is missing`. */
  problem: string;
}

/** What {@linkcode findPending} found. */
export interface Pending {
  /** The runs to run, in the plan's order. */
  runs: PlannedRun[];
  /** Those of them that seemed complete. */
  damaged: DamagedRun[];
}

/** Options of {@linkcode findPending}. */
export interface PendingOptions {
  /** Whether failed runs are run again. @default false */
  retryFailed?: boolean;
}

/**
 * Finds the runs of a study that are still to be run. Nothing is changed.
 *
 * @param folder The study's folder.
 * @param runs The plan's runs.
 * @param options Options for this call.
 */
export async function findPending(
  folder: string,
  runs: PlannedRun[],
  options: PendingOptions = {},
): Promise<Pending> {
  const pending: Pending = { runs: [], damaged: [] };
  for (const run of runs) {
    const place = runFolder(folder, run.id, run.round);
    const { manifest, damage } = await inspectRun(place);
    if (damage !== null) pending.damaged.push({ run, ...damage });
    const wanted = manifest === null || (options.retryFailed && manifest.status === "failed");
    if (damage !== null || wanted) pending.runs.push(run);
  }
  return pending;
}

/** A run's manifest, null when it has none, and what is wrong with its files. */
async function inspectRun(
  place: string,
): Promise<{ manifest: Manifest | null; damage: Omit<DamagedRun, "run"> | null }> {
  let manifest: Manifest | null;
  try {
    manifest = readManifest(place);
  } catch (error) {
    // What another version wrote is whole; only that version may touch it.
    if (!(error instanceof FileError) || error instanceof SchemaVersionError) throw error;
    return { manifest: null, damage: { file: "manifest.json", problem: "is damaged" } };
  }
  return { manifest, damage: manifest && await findDamage(place, manifest) };
}

async function findDamage(
  place: string,
  { files }: Manifest,
): Promise<Omit<DamagedRun, "run"> | null> {
  for (const [name, hash] of Object.entries(files)) {
    const path = join(place, name);
    if (!existsSync(path)) return { file: name, problem: "is missing" };
    if (await hashFile(path) !== hash) return { file: name, problem: "does not match its hash" };
  }
  return null;
}
