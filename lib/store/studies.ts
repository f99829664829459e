/**
 * The studies under `data/runs/`: which one a start resumes, begins or reads, and what is left
 * to do in it.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { FileError, PoolscopeError, SchemaVersionError, UsageError } from "../errors.ts";
import { didYouMean } from "../nearest.ts";
import { parsePlan, type Plan, planHash, type PlannedRun, planRuns } from "../plan.ts";
import { hashFile, readManifest, writeAtomic } from "./files.ts";
import { openLoopFolder, runFolder, runsFolder, studyFolder } from "./layout.ts";
import { lockFile } from "./lock.ts";
import type { Manifest } from "./manifest.ts";

function planFile(folder: string): string {
  return join(folder, "plan.json");
}

function writePlan(folder: string, plan: Plan): void {
  mkdirSync(folder, { recursive: true });
  writeAtomic(planFile(folder), JSON.stringify(plan, null, 2) + "\n");
}

export function readPlan(folder: string): Plan {
  const file = planFile(folder);
  if (!existsSync(file)) {
    throw new UsageError(
      `Cannot open study: ${file} does not exist; list data/runs for the studies`,
    );
  }
  return parsePlan(readFileSync(file, "utf8"), file);
}

/** Whether a run has a manifest, which means that it is complete. */
function isDone(folder: string, { id, round }: PlannedRun): boolean {
  return existsSync(join(runFolder(folder, id, round), "manifest.json"));
}

/** The runs of a study: all of its plan's rounds, and those of further rounds that are complete. */
export function knownRuns(folder: string, plan: Plan): PlannedRun[] {
  return planRuns(plan, plan.maxRounds)
    .filter((run) => run.round <= plan.rounds || isDone(folder, run));
}

/** The first of a run's files that is not as its manifest says. */
interface Damage {
  file: string;
  problem: string;
}

/**
 * Finds the runs of a study that are still to be run: without a manifest, or with files that are not
 * those that it was written for. Nothing is changed.
 */
export async function findPending(
  folder: string,
  runs: PlannedRun[],
  { retryFailed = false }: { retryFailed?: boolean } = {},
): Promise<{ runs: PlannedRun[]; damaged: (Damage & { run: PlannedRun })[] }> {
  const pending: Awaited<ReturnType<typeof findPending>> = { runs: [], damaged: [] };
  for (const run of runs) {
    const { status, damage } = await inspectRun(runFolder(folder, run.id, run.round));
    if (damage !== undefined) pending.damaged.push({ run, ...damage });
    if (status === undefined || (retryFailed && status === "failed")) pending.runs.push(run);
  }
  return pending;
}

/** A run's status; or, where it is not complete, what is wrong with its files if there are any. */
async function inspectRun(
  place: string,
): Promise<{ status?: Manifest["status"]; damage?: Damage }> {
  let manifest: Manifest | null;
  try {
    manifest = readManifest(place);
  } catch (error) {
    // What another version wrote is whole; only that version may touch it.
    if (!(error instanceof FileError) || error instanceof SchemaVersionError) throw error;
    return { damage: { file: "manifest.json", problem: "is damaged" } };
  }
  if (manifest === null) return {};
  for (const [file, hash] of Object.entries(manifest.files)) {
    const path = join(place, file);
    if (!existsSync(path)) return { damage: { file, problem: "is missing" } };
    if (await hashFile(path) !== hash) {
      return { damage: { file, problem: "does not match its hash" } };
    }
  }
  return { status: manifest.status };
}

/** Whether a study's numbers ask for no further rounds, as {@linkcode markDecided} wrote down. */
export function isDecided(folder: string, plan: Plan): boolean {
  return (plan.maxRounds ?? plan.rounds) === plan.rounds || existsSync(join(folder, DECIDED));
}

/** What is left behind by a study whose numbers ask for no further rounds. */
const DECIDED = "decided.json";

/** What a study's numbers decided, as far as it is read again. */
export interface Decision extends Record<string, unknown> {
  /** Whether an open loop follows: one does where the plan asks for it and an arm has a capacity. */
  openLoop: boolean;
}

/** Writes down what a study's numbers decided; null where further runs are to come. */
export function markDecided(folder: string, decision: Decision | null): void {
  const file = join(folder, DECIDED);
  if (decision === null) rmSync(file, { force: true });
  else writeAtomic(file, JSON.stringify(decision, null, 2) + "\n");
}

/** Whether all runs of a study have their manifest and ask for no more, those of its open loop too. */
export function isComplete(folder: string): boolean {
  const plan = readPlan(folder);
  return planRuns(plan).every((run) => isDone(folder, run)) && isDecided(folder, plan) &&
    isOpenLoopComplete(folder);
}

/** Whether the open loop that a study's plan asks for is complete, or there can be none. */
export function isOpenLoopComplete(folder: string): boolean {
  const plan = readPlan(folder);
  if (plan.openLoop === undefined) return true;
  const followUp = openLoopFolder(folder);
  if (existsSync(planFile(followUp))) return isComplete(followUp);
  // Without an accepted run there is no capacity that an open loop could go by.
  return readDecision(folder)?.openLoop === false;
}

function readDecision(folder: string): Partial<Decision> | null {
  try {
    return JSON.parse(readFileSync(join(folder, DECIDED), "utf8"));
  } catch {
    return null; // There is none, or it is damaged: the numbers decide again.
  }
}

/**
 * Removes the folder of a study whose start was refused before its first run, so that its name is free
 * again, and throws the error. A study that was interrupted stays, to be continued.
 */
export function discardRefused(folder: string, error: unknown): never {
  const isRefusal = error instanceof UsageError || error instanceof PoolscopeError;
  const hasRuns = readdirSync(folder, { withFileTypes: true }).some((entry) => entry.isDirectory());
  if (isRefusal && !hasRuns) rmSync(folder, { recursive: true });
  throw error;
}

/** All studies whose plan can be read, the newest first; a damaged plan is in nobody's way. */
function readStudies(root?: string) {
  const runs = runsFolder(root);
  if (!existsSync(runs)) return [];
  const studies = readdirSync(runs).flatMap((name) => {
    const folder = join(runs, name);
    try {
      const plan = readPlan(folder);
      return [{ name, folder, plan, time: statSync(planFile(folder)).mtimeMs }];
    } catch (error) {
      if (error instanceof UsageError) return [];
      throw error;
    }
  });
  return studies.sort((a, b) => b.time - a.time || b.name.localeCompare(a.name));
}

export function listStudies(root?: string): string[] {
  return readStudies(root).map(({ name }) => name);
}

/** The name of the newest complete study of such a plan. */
export function newestStudy(
  wanted: (plan: Plan) => boolean = () => true,
  root?: string,
): string | undefined {
  return readStudies(root).find(({ folder, plan }) => wanted(plan) && isComplete(folder))?.name;
}

export function missingStudy(name: string, root?: string): string {
  const known = listStudies(root);
  return `Cannot open study "${name}": there is none in data/runs${
    didYouMean(name, ["newest", ...known])
  }; known are ${known.join(", ") || "none"}`;
}

/** The study that a reader means by its name, or by `newest`: the newest complete one. */
export function findStudy(name: string, root?: string): string {
  if (name !== "newest") {
    const folder = studyFolder(name, root);
    if (!existsSync(planFile(folder))) throw new UsageError(missingStudy(name, root));
    return name;
  }
  const newest = newestStudy(undefined, root);
  if (newest === undefined) {
    throw new UsageError(
      "Cannot open the newest study: there is no complete one in data/runs; run `deno task run-all` first",
    );
  }
  return newest;
}

/**
 * Decides which study a start works on and writes its plan down: the named one, else an incomplete
 * one of the same plan, else a new one named after plan and time.
 */
export function openStudyFolder(
  plan: Plan,
  options: { study?: string; root?: string; now?: Date } = {},
): { name: string; folder: string; resumed: boolean } {
  const { study, root, now = new Date() } = options;
  const isSame = (other: Plan) => planHash(other) === planHash(plan);
  const named = study ??
    readStudies(root).find((one) => isSame(one.plan) && !isComplete(one.folder))?.name;
  if (named !== undefined) {
    const folder = studyFolder(named, root);
    if (existsSync(planFile(folder))) {
      const former = readPlan(folder);
      if (isSame(former)) return { name: named, folder, resumed: true };
      // Where nothing has run and nobody works on it, its start was refused.
      if (existsSync(lockFile(folder)) || planRuns(former).some((run) => isDone(folder, run))) {
        throw new PoolscopeError(
          `Cannot use study "${named}": it was made with another plan; choose another --study name`,
        );
      }
    }
  }
  mkdirSync(runsFolder(root), { recursive: true });
  const stamp = now.toISOString().replace(/[-:]/g, "").slice(0, 15);
  const name = named ?? makeUnique(`${plan.name}-${stamp}Z`, root);
  const folder = studyFolder(name, root);
  writePlan(folder, plan);
  return { name, folder, resumed: false };
}

/**
 * Opens the folder of a study that follows another; the first time, its plan is derived and written
 * down. Later that plan stays, whatever the study's numbers then say: its runs belong together.
 */
export function followUpStudy(
  folder: string,
  derive: () => Plan | null,
): { folder: string; plan: Plan } | null {
  if (existsSync(planFile(folder))) return { folder, plan: readPlan(folder) };
  const plan = derive();
  if (plan === null) return null;
  writePlan(folder, plan);
  return { folder, plan };
}

/** Makes a folder that nobody has yet: two studies may begin within one second. */
function makeUnique(name: string, root?: string): string {
  for (let i = 1;; i++) {
    const candidate = i === 1 ? name : `${name}-${i}`;
    try {
      mkdirSync(studyFolder(candidate, root));
      return candidate;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}
