/**
 * Reads one run and trusts nothing: every file is held against the hash that the manifest has of it,
 * and what the files count against each other. A run that cannot be read becomes a failed one with
 * its cause, so that it is neither a point nor a zero, and hides no other run.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { DataFrame } from "nodejs-polars";
import { isCounted, rejectRun } from "../diagnose/gates.ts";
import { FileError, SchemaVersionError, UsageError } from "../errors.ts";
import { readLocustFile, readLocustTotals } from "../frames/locust.ts";
import { polars } from "../frames/polars.ts";
import {
  readAppTimes,
  readPgbouncer,
  readPostgres,
  readRequests,
  readResources,
  readStatements,
} from "../frames/run_files.ts";
import type { PlannedRun } from "../plan.ts";
import { armName, createScenario, scenarioId } from "../scenario.ts";
import { NO_CONDITIONS, type RunSources } from "../stats/conditions.ts";
import { summariseRun, unmeasuredRun } from "../stats/summarise.ts";
import { findFault } from "../stats/readings.ts";
import {
  appActivity,
  PGBOUNCER_COUNTERS,
  pgbouncerActivity,
  POSTGRES_COUNTERS,
  postgresActivity,
  type Telemetry,
} from "../stats/telemetry.ts";
import { workWithin } from "../stats/work.ts";
import type { Window } from "../stats/window.ts";
import type { RunSummary } from "../stats/summary.ts";
import { checkCounts, readFinal } from "../store/account.ts";
import { hashFile, readManifest } from "../store/files.ts";
import { LATER_FILES, RUN_FILES, runFolder } from "../store/layout.ts";
import type { Manifest } from "../store/manifest.ts";
import { studyWords as say } from "../wording/study.ts";

/** A run as it counts. */
export interface ReadRun {
  /** Its manifest; `failed` where the files cannot be trusted, null where it is damaged itself. */
  manifest: Manifest | null;
  /** The run in numbers. */
  run: RunSummary;
  /** What is wrong with its files, a line each. */
  warnings: string[];
}

type RunFile = typeof RUN_FILES[number];

/** What names the fault in a file whose hash does not match, or that has none. */
const READERS: Record<RunFile, (folder: string) => unknown> = {
  "locust_stats.csv": readLocustTotals,
  "locust_stats_history.csv": (folder) => readLocustFile(join(folder, "locust_stats_history.csv")),
  "locust_failures.csv": (folder) => readLocustFile(join(folder, "locust_failures.csv")),
  "locust_exceptions.csv": (folder) => readLocustFile(join(folder, "locust_exceptions.csv")),
  "requests.csv": readRequests,
  "final.json": readFinal,
  "resources.csv": async (folder) => {
    const { height } = await readResources(folder);
    if (height === 0) throw new FileError(join(folder, "resources.csv"), null, "it has no rows");
  },
  "postgres.csv": readPostgres,
  "pgbouncer.csv": readPgbouncer,
  "statements.csv": readStatements,
  "app.csv": readAppTimes,
};

/** The fault of a file that its reader names, or null. */
async function tryReader(folder: string, name: RunFile): Promise<FileError | null> {
  try {
    await READERS[name](folder);
    return null;
  } catch (error) {
    if (error instanceof FileError) return error;
    throw error;
  }
}

/** What is wrong with one file of a run, or null. */
async function findDamage(
  folder: string,
  name: RunFile,
  hash: string | undefined,
): Promise<FileError | null> {
  const file = join(folder, name);
  if (hash === undefined) return await tryReader(folder, name);
  if (!existsSync(file)) return new FileError(file, null, "no such file");
  if (await hashFile(file) === hash) return null;
  return await tryReader(folder, name) ??
    new FileError(file, null, "it was changed after the run: its SHA-256 is not the manifest's");
}

/** A manifest that was put into another run's folder would pass for that run. */
function checkPlace(manifest: Manifest, planned: PlannedRun, folder: string): void {
  const fail = (what: string): never => {
    throw new FileError(join(folder, "manifest.json"), null, what);
  };
  let id: string;
  try {
    id = scenarioId(createScenario(manifest.scenario));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return fail(`field "scenario": ${error.message}`);
  }
  if (id !== planned.id || manifest.scenarioId !== planned.id || manifest.round !== planned.round) {
    fail(`it is of ${manifest.scenarioId}, round ${manifest.round}, not of this folder's run`);
  }
}

/**
 * What the files of a successful run say against each other, as a fault of the file that is not
 * believed; null when they agree.
 */
function findDisagreement(
  manifest: Manifest,
  run: RunSummary,
  requests: DataFrame,
  folder: string,
): FileError | null {
  const window = manifest.window!;
  const requestsFile = join(folder, "requests.csv");
  if (run.requests === run.failures) {
    return new FileError(requestsFile, null, "it has no correct answer in the window");
  }
  const final = readFinal(folder);
  if (final.windowStartUs !== window.startUs || final.windowEndUs !== window.endUs) {
    const what = "its window is not that of final.json";
    return new FileError(join(folder, "manifest.json"), null, what);
  }
  const counts = {
    rows: requests.height,
    requests: run.requests,
    failures: run.failures,
    unfinished: run.unfinished,
    dropped: run.delivery?.dropped ?? 0,
    ...countOutside(requests, window, run),
  };
  const what = checkCounts(counts, final, readLocustTotals(folder));
  return what === null ? null : new FileError(requestsFile, null, what);
}

/** Requests before and after the window. */
function countOutside(requests: DataFrame, window: Window, run: RunSummary) {
  if (run.delivery === null) {
    return { warmUpRequests: requests.height - run.requests - run.unfinished, drainRequests: 0 };
  }
  const { col, lit } = polars();
  const due = col("intended_start_us");
  return {
    warmUpRequests: requests.filter(due.lt(lit(window.startUs))).height,
    drainRequests: requests.filter(due.gtEq(lit(window.endUs))).height,
  };
}

/** A run whose files cannot be trusted. */
function unreadable(
  planned: PlannedRun,
  arm: string | undefined,
  manifest: Manifest | null,
  fault: FileError,
): Pick<ReadRun, "manifest" | "run"> {
  const { id, scenario, round } = planned;
  const name = armName(scenario);
  const disagreement = say.fault(fault.file.split("/").at(-1)!, fault.line, fault.what);
  const cause = say.unreadable(name, disagreement);
  return {
    manifest: manifest && { ...manifest, status: "failed", cause },
    run: {
      ...unmeasuredRun({
        scenarioId: id,
        scenario,
        round,
        arm: arm ?? name,
        status: "failed",
        cause,
      }),
      conditions: { ...NO_CONDITIONS, disagreement },
    },
  };
}

/** The files that the numbers come from; a fault of any other is only told. */
const AGREEING: RunFile[] = ["final.json", "locust_stats.csv", "locust_exceptions.csv"];

/**
 * Reads a run from its folder.
 *
 * @param study The study's folder.
 * @param planned The run.
 * @param arm The arm's label within its study.
 * @returns The run; null when it has no manifest, which means that it is not complete.
 * @throws {SchemaVersionError} If another version wrote it.
 */
export async function readRun(
  study: string,
  planned: PlannedRun,
  arm?: string,
): Promise<ReadRun | null> {
  const folder = runFolder(study, planned.id, planned.round);
  let manifest: Manifest | null = null;
  const faults = new Map<RunFile, FileError>();
  const warnings = () => [...faults.values()].map((fault) => fault.message);
  try {
    manifest = readManifest(folder);
    if (manifest === null) return null;
    checkPlace(manifest, planned, folder);
    for (const name of RUN_FILES) {
      const hash = manifest.files[name];
      // A failed run has the files that it came to; requests.csv is read below in any case.
      if (hash === undefined && (manifest.status === "failed" || name === "requests.csv")) continue;
      const since = LATER_FILES[name];
      if (since !== undefined && manifest[since] === undefined) continue;
      const fault = await findDamage(folder, name, hash);
      if (fault !== null) faults.set(name, fault);
    }
    const requests = await requestsOf(manifest, folder, faults);
    const telemetry = await telemetryOf(manifest, requests, folder, faults);
    const sources = await sourcesOf(folder, faults);
    const run = summariseRun(manifest, requests, arm, telemetry, sources);
    if (manifest.status === "ok" && !AGREEING.some((name) => faults.has(name))) {
      const disagreement = findDisagreement(manifest, run, requests!, folder);
      if (disagreement !== null) throw disagreement;
    } else if (manifest.status === "ok" && run.requests === run.failures) {
      throw new FileError(join(folder, "requests.csv"), null, "it has no correct answer");
    }
    return { manifest, run: judge(manifest, run), warnings: warnings() };
  } catch (error) {
    if (!(error instanceof FileError) || error instanceof SchemaVersionError) throw error;
    const told = warnings().filter((text) => text !== error.message);
    return { ...unreadable(planned, arm, manifest, error), warnings: [error.message, ...told] };
  }
}

/** The files beside the requests that gates look at, as far as they can be trusted. */
async function sourcesOf(folder: string, faults: Map<RunFile, FileError>): Promise<RunSources> {
  const usable = (name: RunFile) => !faults.has(name) && existsSync(join(folder, name));
  return {
    final: usable("final.json") ? readFinal(folder) : null,
    resources: usable("resources.csv") ? await readResources(folder) : null,
  };
}

/** A run that a gate rejects counts as rejected; a functional check concludes nothing anyhow. */
export function judge(manifest: Manifest, run: RunSummary): RunSummary {
  if (run.status !== "ok" || manifest.plan.functionalCheck) return run;
  const cause = rejectRun(run);
  return cause === null ? run : { ...run, status: "rejected", cause, counted: isCounted(run) };
}

/** The run's requests; a failed run may have been cut off at any point, and has none then. */
async function requestsOf(
  manifest: Manifest,
  folder: string,
  faults: Map<RunFile, FileError>,
): Promise<DataFrame | null> {
  if (manifest.window === null) return null;
  const known = faults.get("requests.csv");
  if (manifest.status === "ok") {
    if (known !== undefined) throw known;
    return await readRequests(folder);
  }
  const fault = known ?? await tryReader(folder, "requests.csv");
  if (fault === null) return await readRequests(folder);
  faults.set("requests.csv", fault);
  return null;
}

/** What the samplers of a run wrote, and the counters in it. */
const SAMPLED = {
  "postgres.csv": { read: readPostgres, counters: POSTGRES_COUNTERS },
  "pgbouncer.csv": { read: readPgbouncer, counters: PGBOUNCER_COUNTERS },
} as const;

/**
 * What the samplers of a run saw. Their files carry no throughput, so that what is wrong with them
 * is told and nothing else; of a run that failed, a server may have taken its part with it.
 */
async function telemetryOf(
  manifest: Manifest,
  requests: DataFrame | null,
  folder: string,
  faults: Map<RunFile, FileError>,
): Promise<Telemetry | null> {
  const { window, status, scenario } = manifest;
  if (window === null || requests === null) return null;
  const tell = async <T>(name: RunFile, look: () => Promise<T | string>): Promise<T | null> => {
    if (faults.has(name)) return null;
    try {
      const seen = await look();
      if (typeof seen === "string") throw new FileError(join(folder, name), null, seen);
      return seen;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      if (status === "ok") faults.set(name, error);
      return null;
    }
  };
  const series = (name: keyof typeof SAMPLED) =>
    tell(name, async () => {
      const { read, counters } = SAMPLED[name];
      const frame = await read(folder);
      return findFault(frame, counters, window) ?? frame;
    });
  const database = await series("postgres.csv");
  const pooler = scenario.path === "pooled" ? await series("pgbouncer.csv") : null;
  const postgres = database && postgresActivity(database, window);
  const pgbouncer = pooler && pgbouncerActivity(pooler, postgres?.sessions ?? null, window);
  const work = manifest.work === undefined
    ? null
    : await tell("statements.csv", async () =>
      workWithin(await readStatements(folder), requests, window, manifest.work));
  const app = manifest.appTimings === undefined
    ? null
    : await tell("app.csv", async () => appActivity(await readAppTimes(folder), window));
  const parts = { postgres, pgbouncer, work, app };
  return Object.values(parts).every((part) => part === null) ? null : parts;
}
