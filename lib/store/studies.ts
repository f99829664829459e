/**
 * The studies under `data/runs/`: which there are, which are complete, and which one a start
 * resumes, begins or reads.
 *
 * @module
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { PoolscopeError, UsageError } from "../errors.ts";
import { didYouMean } from "../nearest.ts";
import { parsePlan, type Plan, planHash, type PlannedRun, planRuns } from "../plan.ts";
import { openLoopFolder, runFolder, runsFolder, studyFolder } from "./layout.ts";
import { writeAtomic } from "./files.ts";
import { lockFile } from "./lock.ts";

/** A study's frozen plan. */
export function readPlan(folder: string): Plan {
  const file = join(folder, "plan.json");
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

/**
 * The runs of a study: all of its plan's rounds, and those of further rounds that are complete. Which
 * further runs are to come is for the study's numbers to say.
 */
export function knownRuns(folder: string, plan: Plan): PlannedRun[] {
  return planRuns(plan, plan.maxRounds)
    .filter((run) => run.round <= plan.rounds || isDone(folder, run));
}

/**
 * Whether a study is over: its numbers ask for no further rounds. It is written down by
 * {@linkcode markDecided}, for numbers are not read here; where it is not, it can be worked out again.
 */
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

/**
 * Writes down what a study's numbers decided, or takes that back.
 *
 * @param folder The study's folder.
 * @param decision What was spent and what follows; null where further runs are to come.
 */
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
  if (existsSync(join(followUp, "plan.json"))) return isComplete(followUp);
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

/** Whether nothing has run in a study and nobody works on it, as when its start was refused. */
function isUntouched(folder: string): boolean {
  return !existsSync(lockFile(folder)) &&
    !planRuns(readPlan(folder)).some((run) => isDone(folder, run));
}

/**
 * Removes the folder of a study that has just begun and whose start was refused before its first run,
 * so that its name is free again.
 *
 * @param error Why it ended. One that was interrupted stays, to be continued.
 * @throws The error.
 */
export function discardRefused(folder: string, error: unknown): never {
  const isRefusal = error instanceof UsageError || error instanceof PoolscopeError;
  const hasRuns = readdirSync(folder, { withFileTypes: true }).some((entry) => entry.isDirectory());
  if (isRefusal && !hasRuns) rmSync(folder, { recursive: true });
  throw error;
}

/** Whether a folder holds a plan; one with a damaged plan must not stand in the way of the others. */
function hasPlan(folder: string): boolean {
  try {
    readPlan(folder);
    return true;
  } catch (error) {
    if (error instanceof UsageError) return false;
    throw error;
  }
}

/** The names of all studies whose plan can be read, the newest first. */
export function listStudies(root?: string): string[] {
  const folder = runsFolder(root);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => hasPlan(join(folder, name)))
    .map((name) => ({ name, time: statSync(join(folder, name, "plan.json")).mtimeMs }))
    .sort((a, b) => b.time - a.time || b.name.localeCompare(a.name))
    .map(({ name }) => name);
}

/**
 * The newest complete study.
 *
 * @param wanted Whether a plan is one of those that are looked for. @default all
 * @returns Its name; undefined where there is none.
 */
export function newestStudy(
  wanted: (plan: Plan) => boolean = () => true,
  root?: string,
): string | undefined {
  return listStudies(root).find((study) => {
    const folder = studyFolder(study, root);
    return wanted(readPlan(folder)) && isComplete(folder);
  });
}

/** One line on a study that is not there. */
export function missingStudy(name: string, root?: string): string {
  const known = listStudies(root);
  return `Cannot open study "${name}": there is none in data/runs${
    didYouMean(name, ["newest", ...known])
  }; known are ${known.join(", ") || "none"}`;
}

/**
 * The study that a reader means.
 *
 * @param name A study's name, or `newest` for the newest complete one.
 * @throws {UsageError} If there is none.
 */
export function findStudy(name: string, root?: string): string {
  if (name !== "newest") {
    const folder = studyFolder(name, root);
    if (!existsSync(join(folder, "plan.json"))) {
      throw new UsageError(missingStudy(name, root));
    }
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
 *
 * @throws {PoolscopeError} If the named study belongs to another plan, of which something has run.
 */
export function openStudyFolder(
  plan: Plan,
  options: { study?: string; root?: string; now?: Date } = {},
): { name: string; folder: string; resumed: boolean } {
  const { study, root, now = new Date() } = options;
  const hash = planHash(plan);
  const open = (name: string, resumed: boolean) => ({
    name,
    resumed,
    folder: studyFolder(name, root),
  });
  if (study !== undefined) {
    const folder = studyFolder(study, root);
    if (existsSync(join(folder, "plan.json"))) {
      if (planHash(readPlan(folder)) === hash) return open(study, true);
      if (!isUntouched(folder)) {
        throw new PoolscopeError(
          `Cannot use study "${study}": it was made with another plan; choose another --study name`,
        );
      }
    }
  } else {
    const unfinished = listStudies(root).find((name) => {
      const folder = studyFolder(name, root);
      return planHash(readPlan(folder)) === hash && !isComplete(folder);
    });
    if (unfinished !== undefined) return open(unfinished, true);
  }
  const stamp = now.toISOString().replace(/[-:]/g, "").slice(0, 15);
  mkdirSync(runsFolder(root), { recursive: true });
  const name = study ?? makeUnique(`${plan.name}-${stamp}Z`, root);
  const opened = open(name, false);
  mkdirSync(opened.folder, { recursive: true });
  writeAtomic(join(opened.folder, "plan.json"), JSON.stringify(plan, null, 2) + "\n");
  return opened;
}

/**
 * Opens the folder of a study that follows another; the first time, its plan is written down. Later
 * that plan stays, whatever the study's numbers then say: its runs belong together.
 *
 * @param folder The folder, as `openLoopFolder` or `confirmationFolder` names it.
 * @param derive The plan, where there is none yet.
 * @returns Null where there is none and none can be derived.
 */
export function followUpStudy(
  folder: string,
  derive: () => Plan | null,
): { folder: string; plan: Plan } | null {
  if (existsSync(join(folder, "plan.json"))) return { folder, plan: readPlan(folder) };
  const plan = derive();
  if (plan === null) return null;
  mkdirSync(folder, { recursive: true });
  writeAtomic(join(folder, "plan.json"), JSON.stringify(plan, null, 2) + "\n");
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
