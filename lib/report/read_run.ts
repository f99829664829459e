/**
 * Reads one run and trusts nothing: every file is held against the hash that the manifest has of it,
 * and what the files count against each other. A run that cannot be read becomes a failed one with
 * its cause, so that it is neither a point nor a zero, and hides no other run.
 */

import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import type { DataFrame } from "nodejs-polars";
import { isCounted, rejectRun } from "../diagnose/gates.ts";
import { FileError, SchemaVersionError, UsageError } from "../errors.ts";
import { readLocustFile, readLocustTotals } from "../frames/locust.ts";
import { type OwnTime, ownTimeOf, readSlices } from "../frames/own_time.ts";
import { polars } from "../frames/polars.ts";
import {
  readAppTimes,
  readPgbouncer,
  readPostgres,
  readRequests,
  readResources,
  readResourcesByClock,
  readStatements,
} from "../frames/run_files.ts";
import type { PlannedRun } from "../plan.ts";
import { armName, createScenario, scenarioId } from "../scenario.ts";
import { idleUse } from "../stats/alternation.ts";
import { NO_CONDITIONS, type RunSources } from "../stats/conditions.ts";
import type { Disturbance } from "../stats/disturbed.ts";
import { findFault, resourceRows } from "../stats/readings.ts";
import { summariseRun, unmeasuredRun } from "../stats/summarise.ts";
import type { RunSummary } from "../stats/summary.ts";
import type { Turn } from "../stats/window.ts";
import {
  appActivity,
  PGBOUNCER_COUNTERS,
  pgbouncerActivity,
  POSTGRES_COUNTERS,
  postgresActivity,
  type Telemetry,
} from "../stats/telemetry.ts";
import { workWithin } from "../stats/work.ts";
import { checkCounts, readFinal } from "../store/account.ts";
import { hashFile, readManifest } from "../store/files.ts";
import { LATER_FILES, RUN_FILES, runFolder } from "../store/layout.ts";
import type { Manifest } from "../store/manifest.ts";
import { studyWords as say } from "../wording/study.ts";

export interface ReadRun {
  /** Its manifest; `failed` where the files cannot be trusted, null where it is damaged itself. */
  manifest: Manifest | null;
  run: RunSummary;
  warnings: string[];
}

type RunFile = typeof RUN_FILES[number];

interface RunFiles {
  folder: string;
  manifest: Manifest;
  faults: Map<RunFile, FileError>;
  /** Of a run that took turns; its manifest has its window in own time. @default null */
  own?: OwnTime | null;
  /** What other programs did to it, if it took turns. @default not known */
  disturbance?: Disturbance;
}

const SAMPLES = {
  "postgres.csv": readPostgres,
  "pgbouncer.csv": readPgbouncer,
  "statements.csv": readStatements,
  "app.csv": readAppTimes,
};

const locustFile = (name: RunFile) => (folder: string) => readLocustFile(join(folder, name));

/** What names the fault in a file whose hash does not match, or that has none. */
const READERS: Record<RunFile, (folder: string) => unknown> = {
  "locust_stats.csv": readLocustTotals,
  "locust_stats_history.csv": locustFile("locust_stats_history.csv"),
  "locust_failures.csv": locustFile("locust_failures.csv"),
  "locust_exceptions.csv": locustFile("locust_exceptions.csv"),
  "requests.csv": readRequests,
  "final.json": readFinal,
  "resources.csv": async (folder) => {
    const { height } = await readResources(folder);
    if (height === 0) throw new FileError(join(folder, "resources.csv"), null, "it has no rows");
  },
  ...SAMPLES,
  "slices.csv": (folder) => {
    if (readSlices(folder) === null) throw new FileError(sliceFile(folder), null, "no such file");
  },
};

const sliceFile = (folder: string) => join(folder, "slices.csv");

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

async function findDamage(
  { folder, manifest }: RunFiles,
  name: RunFile,
): Promise<FileError | null> {
  const hash = manifest.files[name];
  const file = join(folder, name);
  if (hash === undefined) return await tryReader(folder, name);
  if (!existsSync(file)) return new FileError(file, null, "no such file");
  if (await hashFile(file) === hash) return null;
  return await tryReader(folder, name) ??
    new FileError(file, null, "it was changed after the run: its SHA-256 is not the manifest's");
}

function isOfLaterRuns(name: RunFile, manifest: Manifest): boolean {
  const since = LATER_FILES[name];
  return since !== undefined && manifest[since] === undefined;
}

async function checkFiles(files: RunFiles): Promise<void> {
  const { manifest, faults } = files;
  for (const name of RUN_FILES) {
    // A failed run has the files that it came to; requests.csv is read in any case.
    const mayLack = manifest.status === "failed" || name === "requests.csv";
    if (mayLack && manifest.files[name] === undefined) continue;
    if (isOfLaterRuns(name, manifest)) continue;
    const fault = await findDamage(files, name);
    if (fault !== null) faults.set(name, fault);
  }
}

/** A manifest that was put into another run's folder would pass for that run. */
function checkPlace({ folder, manifest }: RunFiles, planned: PlannedRun): void {
  const file = join(folder, "manifest.json");
  let id: string;
  try {
    id = scenarioId(createScenario(manifest.scenario));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new FileError(file, null, `field "scenario": ${error.message}`, { cause: error });
  }
  if (id !== planned.id || manifest.scenarioId !== planned.id || manifest.round !== planned.round) {
    const what =
      `it is of ${manifest.scenarioId}, round ${manifest.round}, not of this folder's run`;
    throw new FileError(file, null, what);
  }
}

/** The files that the numbers come from; a fault of any other is only told. */
const AGREEING: RunFile[] = ["final.json", "locust_stats.csv", "locust_exceptions.csv"];

/** Holds what the files of a successful run say against each other; throws of what is not believed. */
function checkAgreement(
  { folder, manifest, faults, own }: RunFiles,
  run: RunSummary,
  requests: DataFrame,
): void {
  const fail = (file: string, what: string): never => {
    throw new FileError(join(folder, file), null, what);
  };
  const isAccountKnown = !AGREEING.some((name) => faults.has(name));
  if (run.requests === run.failures) {
    fail("requests.csv", `it has no correct answer${isAccountKnown ? " in the window" : ""}`);
  }
  if (!isAccountKnown) return;
  const { startUs, endUs } = manifest.window!;
  const final = readFinal(folder);
  const told = { startUs: final.windowStartUs, endUs: final.windowEndUs };
  const counted = own?.windowOf(told) ?? told;
  if (counted.startUs !== startUs || counted.endUs !== endUs) {
    fail("manifest.json", "its window is not that of final.json");
  }
  const { delivery } = run;
  const { col, lit } = polars();
  const due = col("intended_start_us");
  const counts = {
    rows: requests.height,
    requests: run.requests,
    failures: run.failures,
    unfinished: run.unfinished,
    dropped: delivery?.dropped ?? 0,
    warmUpRequests: delivery === null
      ? requests.height - run.requests - run.unfinished
      : requests.filter(due.lt(lit(startUs))).height,
    drainRequests: delivery === null ? 0 : requests.filter(due.gtEq(lit(endUs))).height,
  };
  const what = checkCounts(counts, final, readLocustTotals(folder));
  if (what !== null) fail("requests.csv", what);
}

/** All times of a run go by its turns: there must be as many as its manifest says. */
function checkTurns(folder: string, { slices }: Manifest, own: OwnTime | null): void {
  const counted = own?.slices.filter(({ block }) => block > 0).length;
  if (counted === slices) return;
  const what = `it has ${counted ?? "no"} turns that count, manifest.json ${slices ?? "none"}`;
  throw new FileError(sliceFile(folder), null, what);
}

/** A manifest with its window in the run's own time. */
function inOwnTime(manifest: Manifest, own: OwnTime | null): Manifest {
  const { window } = manifest;
  if (own === null || window === null) return manifest;
  return { ...manifest, window: own.windowOf(window) };
}

function unreadable(
  { id, scenario, round }: PlannedRun,
  arm: string,
  manifest: Manifest | null,
  { file, line, what }: FileError,
): Pick<ReadRun, "manifest" | "run"> {
  const disagreement = say.fault(basename(file), line, what);
  const cause = say.unreadable(armName(scenario), disagreement);
  const status = "failed";
  const run = unmeasuredRun({ scenarioId: id, scenario, round, arm, status, cause });
  return {
    manifest: manifest && { ...manifest, status, cause },
    run: { ...run, conditions: { ...NO_CONDITIONS, disagreement } },
  };
}

/**
 * Reads a run from its study's folder; null when it has no manifest, which means that it is not
 * complete.
 *
 * @param disturbance What other programs did to it, if it took turns. @default not known
 * @throws {SchemaVersionError} If another version wrote it.
 */
export async function readRun(
  study: string,
  planned: PlannedRun,
  arm: string = armName(planned.scenario),
  disturbance?: Disturbance,
): Promise<ReadRun | null> {
  const folder = runFolder(study, planned.id, planned.round);
  const faults: RunFiles["faults"] = new Map();
  const warnings = () => [...faults.values()].map(({ message }) => message);
  let manifest: Manifest | null = null;
  try {
    manifest = readManifest(folder);
    if (manifest === null) return null;
    checkPlace({ folder, manifest, faults }, planned);
    await checkFiles({ folder, manifest, faults });
    const slicesFault = faults.get("slices.csv");
    // Every time of the run is told by its turns.
    if (slicesFault !== undefined && manifest.status === "ok") throw slicesFault;
    const own = slicesFault === undefined ? ownTimeOf(folder) : null;
    if (manifest.status === "ok") checkTurns(folder, manifest, own);
    manifest = inOwnTime(manifest, own);
    const files = { folder, manifest, faults, own, disturbance };
    const requests = await requestsOf(files);
    const telemetry = requests && await telemetryOf(files, requests);
    const run = summariseRun(manifest, requests, arm, telemetry, await sourcesOf(files));
    if (manifest.status === "ok") checkAgreement(files, run, requests!);
    return { manifest, run: judge(manifest, run), warnings: warnings() };
  } catch (error) {
    if (!(error instanceof FileError) || error instanceof SchemaVersionError) throw error;
    const told = warnings().filter((text) => text !== error.message);
    return { ...unreadable(planned, arm, manifest, error), warnings: [error.message, ...told] };
  }
}

/** The files beside the requests that gates look at, as far as they can be trusted. */
async function sourcesOf(
  { folder, faults, own = null, disturbance }: RunFiles,
): Promise<RunSources> {
  const turns = own?.turns();
  const isLeftOut = ({ block }: Turn) => disturbance?.leftOut.has(block) ?? false;
  const usable = (name: RunFile) => !faults.has(name) && existsSync(join(folder, name));
  return {
    final: usable("final.json") ? readFinal(folder) : null,
    resources: usable("resources.csv") ? await readResources(folder) : null,
    turns: turns?.filter((turn) => !isLeftOut(turn)) ?? null,
    leftOut: turns?.filter(isLeftOut).length ?? 0,
    ...(own !== null && { others: disturbance?.others ?? null }),
    idle: own && usable("resources.csv")
      ? idleUse(resourceRows(await readResourcesByClock(folder)), own.slices)
      : null,
  };
}

/** A run that a gate rejects counts as rejected; a functional check concludes nothing anyhow. */
export function judge(manifest: Manifest, run: RunSummary): RunSummary {
  if (run.status !== "ok" || manifest.plan.functionalCheck) return run;
  const cause = rejectRun(run);
  return cause === null ? run : { ...run, status: "rejected", cause, counted: isCounted(run) };
}

/** The run's requests; a failed run may have been cut off at any point, and has none then. */
async function requestsOf({ folder, manifest, faults }: RunFiles): Promise<DataFrame | null> {
  if (manifest.window === null) return null;
  const known = faults.get("requests.csv");
  const fault = manifest.status === "ok" ? known : known ?? await tryReader(folder, "requests.csv");
  if (fault == null) return await readRequests(folder);
  if (manifest.status === "ok") throw fault;
  faults.set("requests.csv", fault);
  return null;
}

/**
 * What the samplers of a run saw. Their files carry no throughput, so that what is wrong with them
 * is told and nothing else; of a run that failed, a server may have taken its part with it.
 */
async function telemetryOf(
  { folder, manifest, faults }: RunFiles,
  requests: DataFrame,
): Promise<Telemetry | null> {
  const window = manifest.window!;
  const look = async <T>(
    name: keyof typeof SAMPLES,
    use: (frame: DataFrame) => T | string,
  ): Promise<T | null> => {
    if (faults.has(name) || isOfLaterRuns(name, manifest)) return null;
    try {
      const seen = use(await SAMPLES[name](folder));
      if (typeof seen === "string") throw new FileError(join(folder, name), null, seen);
      return seen;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      if (manifest.status === "ok") faults.set(name, error);
      return null;
    }
  };
  const postgres = await look(
    "postgres.csv",
    (frame) => findFault(frame, POSTGRES_COUNTERS, window) ?? postgresActivity(frame, window),
  );
  const pgbouncer = manifest.scenario.path === "direct"
    ? null
    : await look("pgbouncer.csv", (frame) =>
      findFault(frame, PGBOUNCER_COUNTERS, window) ??
        pgbouncerActivity(frame, postgres?.sessions ?? null, window));
  const work = await look(
    "statements.csv",
    (frame) => workWithin(frame, requests, window, manifest.work),
  );
  const app = await look("app.csv", (frame) => appActivity(frame, window));
  return postgres ?? pgbouncer ?? work ?? app ? { postgres, pgbouncer, work, app } : null;
}
