/** What other programs did to a study's runs, from the files of all arms of each start. */

import { MAX_OTHERS } from "../diagnose/gate_table.ts";
import { FileError } from "../errors.ts";
import { readSlices, type Slice } from "../frames/own_time.ts";
import { readResourcesByClock } from "../frames/run_files.ts";
import type { PlannedRun } from "../plan.ts";
import { type Disturbance, judgeOthers, othersByBlock } from "../stats/disturbed.ts";
import { resourceRows } from "../stats/readings.ts";
import { readManifest } from "../store/files.ts";
import { runFolder } from "../store/layout.ts";

/** What other programs did to each run that took turns, as far as that is known. */
export type Disturbances = Map<PlannedRun, Disturbance>;

interface Beside {
  run: PlannedRun;
  folder: string;
  cores: number;
  loadStarted: string;
  slices: Slice[];
}

/**
 * A run that took turns, whatever became of it: what it used was no other program's. Null for any
 * other, and for one whose damage is told when it is read.
 */
function readTurns(study: string, run: PlannedRun): Beside | null {
  const folder = runFolder(study, run.id, run.round);
  try {
    const manifest = readManifest(folder);
    if (manifest?.slices === undefined) return null;
    const slices = readSlices(folder);
    const { host: { cpus: cores }, times: { loadStarted } } = manifest;
    return slices && loadStarted ? { run, folder, cores, loadStarted, slices } : null;
  } catch (error) {
    if (error instanceof FileError) return null;
    throw error;
  }
}

/** Finds what other programs did to the runs of a study; nothing in the consecutive design. */
export async function findDisturbed(
  study: string,
  runs: readonly PlannedRun[],
): Promise<Disturbances> {
  const found: Disturbances = new Map();
  const beside = runs.flatMap((run) => readTurns(study, run) ?? []);
  // One generator loads all arms of a start.
  const startOf = ({ run, loadStarted }: Beside) => `${run.round} ${loadStarted}`;
  for (const arms of Map.groupBy(beside, startOf).values()) {
    try {
      const read = await Promise.all(arms.map(async ({ folder, slices }) => ({
        slices,
        rows: resourceRows(await readResourcesByClock(folder)),
      })));
      const disturbance = judgeOthers(othersByBlock(read, arms[0]!.cores), MAX_OTHERS);
      for (const { run } of arms) found.set(run, disturbance);
    } catch (error) {
      // What is not known drops nothing; the run's warnings name the file.
      if (!(error instanceof FileError)) throw error;
    }
  }
  return found;
}
