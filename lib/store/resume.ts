/**
 * What is left to do in a study: runs without a manifest, and runs whose files are not those that
 * their manifest was written for.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
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
    const damage = await findDamage(place);
    if (damage !== null) pending.damaged.push({ run, ...damage });
    if (damage !== null || isPending(place, options)) pending.runs.push(run);
  }
  return pending;
}

function isPending(place: string, { retryFailed = false }: PendingOptions): boolean {
  const manifest = readManifest(place);
  return manifest === null || (retryFailed && manifest.status === "failed");
}

/** What is wrong with the files of a complete run; null when nothing is, or it is not complete. */
async function findDamage(place: string): Promise<{ file: string; problem: string } | null> {
  const file = join(place, "manifest.json");
  if (!existsSync(file)) return null;
  try {
    JSON.parse(readFileSync(file, "utf8"));
  } catch {
    // As a power failure may leave it.
    return { file: "manifest.json", problem: "is not JSON" };
  }
  const files: Manifest["files"] = readManifest(place)?.files ?? {};
  for (const [name, hash] of Object.entries(files)) {
    const path = join(place, name);
    if (!existsSync(path)) return { file: name, problem: "is missing" };
    if (await hashFile(path) !== hash) return { file: name, problem: "does not match its hash" };
  }
  return null;
}
