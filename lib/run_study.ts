/**
 * A whole study: every run that its plan asks for and that is not complete yet. The same call serves the
 * notebooks and `run-all`.
 */

import { existsSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { foresee } from "./diagnose/gates.ts";
import { confirmationPlan } from "./diagnose/relief.ts";
import { availableMemoryMiB } from "./hosts/linux/proc.ts";
import { sweep } from "./hosts/owned.ts";
import type { Engine } from "./engine/engine.ts";
import { type App, readApp, readLocustfile } from "./apps/app.ts";
import { headerEnvironment } from "./apps/headers.ts";
import { appOptions } from "./services/app.ts";
import { firstLine, InputsChangedError, PoolscopeError, UsageError } from "./errors.ts";
import {
  changePlan,
  namedPlan,
  type Plan,
  PLAN_NAMES,
  type PlanChanges,
  planHash,
  type PlannedRun,
  planRuns,
} from "./plan.ts";
import { checkChoices, checkKeys } from "./nearest.ts";
import { EXPORTED_STUDY, interruptible, isInKernel } from "./notebooks/guard.ts";
import { notebookView } from "./notebooks/progress.ts";
import { describeComparisons } from "./report/answer.ts";
import { readRun } from "./report/read_run.ts";
import { expectStudy } from "./report/checked.ts";
import { loadStudy, type Study } from "./report/study.ts";
import { groupsWithRoom, loadOf, planS, withNeighbours } from "./groups.ts";
import { runGroup } from "./run_group.ts";
import { checkInputs, type RunContext } from "./run_record.ts";
import { armLabels, checkOwnUsers, levelLabel, scenarioId } from "./scenario.ts";
import { tryCommand } from "./setup/command.ts";
import { hashInputs } from "./setup/inputs.ts";
import { isLowerBound } from "./stats/summarise.ts";
import {
  EventLog,
  type MatrixCell,
  type RunFinished,
  type StudyEvent,
  type StudyMatrix,
} from "./store/events.ts";
import { readManifest } from "./store/files.ts";
import { lockStudy } from "./store/lock.ts";
import {
  confirmationFolder,
  openLoopFolder,
  ROOT,
  runFolder,
  studyFolder,
  studyName,
} from "./store/layout.ts";
import type { Manifest } from "./store/manifest.ts";
import {
  discardRefused,
  findPending,
  findStudy,
  followUpStudy,
  isDecided,
  isOpenLoopComplete,
  knownRuns,
  markDecided,
  missingStudy,
  newestStudy,
  openStudyFolder,
  readPlan,
} from "./store/studies.ts";
import { notebookWords } from "./wording/notebooks.ts";
import { formatDuration } from "./wording/progress.ts";

/** The engines that can be asked for. */
export const ENGINES = ["auto", "docker", "local"] as const;

/** Options of {@linkcode runStudy}. */
export interface RunStudyOptions {
  /**
   * A plan's name, a plan file that ends with `.json`, or a plan.
   * @default "frameworks", where one is to be run
   */
  plan?: string | Plan | null;
  /** Filters and settings that change the plan. @default none */
  changes?: PlanChanges;
  /**
   * The study's name, or `newest` for the newest complete one: of the plan, where one is given; where
   * there is none, the plan is run. A study that exists keeps its own plan.
   * @default one that resumes the plan, else a new one
   */
  study?: string | null;
  /**
   * False starts no load: a study that is not complete is an error then. True also begins a study by
   * a name that there is none of yet. @default runs are made, under a name of their own
   */
  start?: boolean | null;
  /**
   * Where services run; `auto` is Docker where it answers and its images are there or can be built.
   * @default "auto"
   */
  engine?: typeof ENGINES[number];
  /** Docker's address, as in `unix:///var/run/docker.sock`. @default where Docker itself looks */
  dockerHost?: string;
  /** Run failed runs again. @default false */
  retryFailed?: boolean;
  /** How long an app may take to answer after its start, in seconds. @default 30 */
  readyTimeoutS?: number;
  /** Called with everything that happens, for a view of the progress. @default the notebook's view */
  onEvent?: (event: StudyEvent) => void;
  /** Ends the study; what is complete stays. */
  signal?: AbortSignal;
}

const OPTIONS: Record<keyof RunStudyOptions, true> = {
  plan: true,
  changes: true,
  study: true,
  start: true,
  engine: true,
  dockerHost: true,
  retryFailed: true,
  readyTimeoutS: true,
  onEvent: true,
  signal: true,
};

/**
 * Runs a study, or finishes one that was interrupted, or opens one that is complete. In a notebook it
 * first says what it runs and how long that takes, where that is more than a minute of load.
 *
 * @returns The study with all its numbers.
 * @throws {UsageError} If plan, study, an option or a setting is not one, if what a study was made of
 * has changed, or if runs are to come and `start` is false.
 * @throws The signal's reason when it is aborted.
 */
export async function runStudy(options: RunStudyOptions = {}): Promise<Study> {
  checkKeys<RunStudyOptions>("runStudy()", options, OPTIONS);
  const { folder, plan, resumed = true } = chooseStudy(options);
  const study = conduct({ folder, plan, lockFolder: folder }, options);
  return await (resumed ? study : study.catch((error) => discardRefused(folder, error)));
}

/**
 * Runs the open loop that a study's plan asks for, or finishes or opens it: every arm at the same
 * arrival rates as the arm that it is compared with. The rates come from the study's throughput.
 *
 * @param study The study, complete.
 * @param options As for {@linkcode runStudy}, without what chooses a study.
 * @returns The open loop as a study; null where the plan asks for none, or no run was accepted.
 * @throws {PoolscopeError} If the study is not complete.
 * @throws The signal's reason when it is aborted.
 */
export async function runOpenLoop(
  study: Study,
  options: Omit<RunStudyOptions, "plan" | "changes" | "study"> = {},
): Promise<Study | null> {
  expectStudy("runOpenLoop", study);
  checkKeys<RunStudyOptions>("runOpenLoop()", options, OPTIONS);
  if (study.plan.openLoop === undefined) return null;
  if (isExported(study.folder)) return await study.openLoop();
  if (!study.complete) {
    throw new PoolscopeError(
      `Cannot run the open loop of "${study.name}": ${study.missing.length} of the study's runs are to come; finish it first`,
    );
  }
  const opened = followUpStudy(openLoopFolder(study.folder), () => study.openLoopPlan());
  return opened && await conduct({ ...opened, lockFolder: study.folder, before: study }, options);
}

/**
 * Puts a study's verdicts to the test, or finishes or opens that test: each scenario in turn with
 * itself relieved of what is said to limit it, over a few rounds.
 *
 * @param study The study, complete.
 * @param options As for {@linkcode runStudy}, without what chooses a study.
 * @returns The test as a study; null where no setting relieves what limits any scenario.
 * @throws {PoolscopeError} If the study is not complete.
 * @throws The signal's reason when it is aborted.
 */
export async function runConfirmation(
  study: Study,
  options: Omit<RunStudyOptions, "plan" | "changes" | "study"> = {},
): Promise<Study | null> {
  expectStudy("runConfirmation", study);
  checkKeys<RunStudyOptions>("runConfirmation()", options, OPTIONS);
  if (isExported(study.folder)) return await study.confirmation();
  if (!study.complete) {
    throw new PoolscopeError(
      `Cannot confirm the verdicts of "${study.name}": ${study.missing.length} of the study's runs are to come; finish it first`,
    );
  }
  const opened = followUpStudy(
    confirmationFolder(study.folder),
    () => confirmationPlan(study.plan, study.verdicts),
  );
  return opened && await conduct({ ...opened, lockFolder: study.folder, before: study }, options);
}

/** Whether this is a notebook of a study's report: it shows how far the study has come. */
function isExported(folder: string): boolean {
  return Deno.env.get(EXPORTED_STUDY) === folder;
}

interface Conducted {
  folder: string;
  plan: Plan;
  /** The folder whose lock is taken. */
  lockFolder: string;
  /** The study whose numbers its plan goes by, so that it must be made of the same. @default none */
  before?: Study;
}

const INTERRUPTED = "The study was interrupted; complete runs are kept";

async function conduct(
  { folder, plan, lockFolder, before: base }: Conducted,
  options: RunStudyOptions,
): Promise<Study> {
  if (isExported(lockFolder)) return await loadStudy(folder);
  const name = studyName(folder);
  // Reading a complete study needs no lock.
  const before = await findPending(folder, knownRuns(folder, plan), options);
  const opened = before.runs.length === 0 ? await loadStudy(folder) : null;
  if (opened?.complete) return settle(opened);
  if (options.start === false) {
    const load = describeLoad(plan, opened?.missing ?? before.runs);
    throw new UsageError(
      `Cannot open study "${name}": ${load}, are to come, and start is false; leave start out to run them, or see what is there with openStudy("${name}")`,
    );
  }
  checkApps(plan);

  using lock = await lockStudy(lockFolder, isInKernel() ? "a notebook kernel" : "another start");
  // Looked at again under the lock: another runner may have gone on meanwhile.
  const known = knownRuns(folder, plan);
  const { runs: unfinished, damaged } = await findPending(folder, known, options);
  // Every planned run is there and no further one was begun: the numbers say which are wanted.
  const wanted = unfinished.length > 0 ? unfinished : (await loadStudy(folder)).missing;
  const pending = withNeighbours(plan, known, wanted);
  const runs = [...new Set([...known, ...pending])];
  const made = completeManifests(folder, runs, pending);
  checkPlan(name, plan, made);
  const others = [...base?.manifests ?? [], ...made];
  checkFiles(name, others, options.engine);
  if (isInKernel()) announceLoad(name, plan, pending);
  markDecided(folder, null);
  const warnings = await checkMachine(plan);
  using events = new EventLog(join(folder, "events.jsonl"), [options.onEvent ?? notebookView()]);
  const begun = performance.now();
  events.emit({
    event: "study_started",
    study: name,
    runs: runs.length,
    complete: runs.length - pending.length,
    matrix: await describeMatrix(folder, plan, runs, pending),
  });
  const note = (text: string) => events.emit({ event: "note", text });
  if (lock.recovered !== null) {
    const { pid, host, since } = lock.recovered;
    note(`Recovered the lock of pid ${pid} on ${host}, which took it at ${since} and has ended`);
  }
  for (const warning of [...warnings, ...foresee(plan)]) note(warning);
  for (const line of await sweep()) note(line);
  for (const { run, file, problem } of damaged) {
    note(`Running ${run.id}, round ${run.round} again: its ${file} ${problem}`);
  }
  using interrupt = interruptible(options.signal, INTERRUPTED);
  const { signal } = interrupt;
  signal.addEventListener("abort", () => events.emit({ event: "interrupted" }), { once: true });
  const setup = (text: string) => events.emit({ event: "setup", text });
  await using engine = await openEngine(name, others, options, setup, signal, appsOf(plan));
  checkInputs(name, [...others, { engine: engine.name, versions: engine.versions }]);
  if (engine.limitsWarning !== null) note(`Warning: ${engine.limitsWarning}`);
  await engine.checkServerSettings(pending.map(({ scenario }) => scenario));

  const context: RunContext = {
    study: name,
    folder,
    plan,
    engine,
    events,
    signal,
    readyTimeoutS: options.readyTimeoutS,
    machine: await describeMachine(engine),
    others,
  };
  const study = await runToCompletion(pending, runs.length, context);
  settle(study);
  const tookS = (performance.now() - begun) / 1000;
  events.emit({ event: "study_finished", study: name, ...study.counts(), tookS });
  return study;
}

/** Makes the runs that are pending, and those that the numbers then ask for, until they ask for none. */
async function runToCompletion(
  pending: PlannedRun[],
  planned: number,
  context: RunContext,
): Promise<Study> {
  const { folder, plan, events, signal, others = [] } = context;
  const labels = armLabels(plan.scenarios);
  const note = (text: string) => events.emit({ event: "note", text });
  const groups = groupsWithRoom(plan, pending, availableMemoryMiB(), note);
  for (const [i, group] of groups.entries()) {
    signal.throwIfAborted();
    for (const { id: scenarioId, round, order, scenario } of group) {
      const label = `${labels.get(scenarioId)}, ${levelLabel(scenario)}`;
      events.emit({ event: "run_started", order, scenarioId, round, label });
    }
    const manifests = await runGroup(group, context);
    others.push(...manifests);
    for (const [i, run] of group.entries()) {
      const outcome = await headline(folder, run);
      const { id: scenarioId, round, order } = run;
      // Each has its share of the time that they took together.
      const tookS = wallClockS(manifests[i]!) / group.length;
      events.emit({ event: "run_finished", order, scenarioId, round, ...outcome, tookS });
    }
    const { round } = group[0]!;
    if (plan.design !== "alternating" || groups[i + 1]?.[0]?.round === round) continue;
    const study = await loadStudy(folder);
    // Between looks there is nothing to show: what is looked at more often costs error.
    if (study.family.looked !== round) continue;
    const comparisons = describeComparisons(study);
    events.emit({ event: "look", starts: round, of: plan.rounds, comparisons });
  }
  // A look at the data: comparisons that stay undecided get further rounds, up to the budget.
  const study = await loadStudy(folder);
  const { length } = study.missing;
  if (length === 0) return study;
  events.emit({ event: "rounds_added", ...describeFurther(study), runs: planned + length });
  return await runToCompletion(study.missing, planned + length, context);
}

/** What undecided comparisons ask for, as it is announced. */
function describeFurther({ family }: Study) {
  const { looks, next, comparisons } = family;
  return {
    rounds: looks[looks.indexOf(next!.rounds) - 1]!,
    maxRounds: next!.rounds,
    undecided: comparisons.filter(({ open }) => open).length,
    comparisons: comparisons.length,
    scenarioIds: next!.scenarios,
  };
}

/** Writes down what a study's numbers decided: at what it is over, and whether an open loop follows. */
function settle(study: Study): Study {
  const { folder, plan, family, rule } = study;
  if (isDecided(folder, plan) && isOpenLoopComplete(folder)) return study;
  markDecided(folder, {
    openLoop: study.openLoopPlan() !== null,
    looks: family.looks,
    maxRounds: rule.maxRounds,
    comparisons: family.comparisons.map(({ id, n, verdict }) => ({ id, rounds: n, verdict })),
  });
  return study;
}

/**
 * Opens a study as it is, complete or not.
 *
 * @param name The study's name. @default the newest complete one
 * @throws {UsageError} If there is no such study.
 */
export function openStudy(name = "newest"): Promise<Study> {
  return loadStudy(studyFolder(findStudy(name)));
}

/** The cells of the plan, and what of them needs no run any more. */
async function describeMatrix(
  folder: string,
  plan: Plan,
  runs: PlannedRun[],
  pending: PlannedRun[],
): Promise<StudyMatrix> {
  const labels = armLabels(plan.scenarios);
  const cells = new Map<string, MatrixCell>();
  for (const planned of runs) {
    const { id, round, scenario: { users, arrivalRate } } = planned;
    const read = pending.includes(planned) ? null : await readRun(folder, planned);
    const cell = cells.get(id) ??
      { scenarioId: id, arm: labels.get(id)!, users, arrivalRate, rounds: [] };
    cell.rounds[round - 1] = read?.manifest
      ? { status: read.run.status, tookS: wallClockS(read.manifest) }
      : null;
    cells.set(id, cell);
  }
  const { warmUpS, windowS } = loadOf(plan);
  return { warmUpS, windowS, cells: plan.scenarios.map((cell) => cells.get(scenarioId(cell))!) };
}

function wallClockS({ times }: Manifest): number {
  return (Date.parse(times.ended) - Date.parse(times.started)) / 1000;
}

/** The load of some runs in words: `57 runs, 14 min 15 s of load`. */
function describeLoad(plan: Plan, runs: readonly PlannedRun[]): string {
  const { length } = runs;
  const load = formatDuration(planS(plan, runs));
  return `${length} run${
    length === 1 ? "" : "s"
  }, ${load} of load and some seconds around each run`;
}

/** More load than this is announced in a notebook, where a cell may be run by mistake. */
const ANNOUNCED_S = 60;

/** Says what a cell is going to do, in what stays of its output. */
function announceLoad(name: string, plan: Plan, runs: readonly PlannedRun[]): void {
  if (planS(plan, runs) <= ANNOUNCED_S) return;
  console.log(notebookWords.announce(name, plan.name, describeLoad(plan, runs)));
}

function chooseStudy(options: RunStudyOptions): { folder: string; plan: Plan; resumed?: boolean } {
  const { engine, start } = options;
  if (engine !== undefined) checkChoices("engine", [engine], ENGINES);
  const name = options.study ?? undefined;
  const existing = (study: string) => {
    const folder = studyFolder(study);
    return { folder, plan: readPlan(folder) };
  };
  const known = name !== undefined && existsSync(join(studyFolder(name), "plan.json"))
    ? existing(name)
    : null;
  // Whatever is opened in the end: what is asked for must be something.
  const given = typeof options.plan === "string" ? namedPlan(options.plan) : options.plan ?? null;
  const base = given ?? known?.plan ?? namedPlan("frameworks");
  const plan = changePlan(base, options.changes ?? {});
  const changed = planHash(plan) !== planHash(base);
  if (known !== null) {
    if (!changed || planHash(plan) === planHash(known.plan)) return known;
    throw new UsageError(
      `Cannot use changes with study "${name}": it was made without them; leave them out, or choose another name`,
    );
  }
  if (name === "newest") {
    // A plan is known by its name, one of the reader's own or a changed one by what it asks for.
    const byName = PLAN_NAMES.includes(String(options.plan)) && !changed;
    const newest = newestStudy((other) =>
      byName ? other.name === plan.name : (given === null && !changed) ||
        planHash(other) === planHash(plan)
    );
    if (newest !== undefined) return existing(newest);
  } else if (name !== undefined && start !== true) {
    throw new UsageError(`${missingStudy(name)}; start: true begins one by that name`);
  }
  if (start === false) {
    throw new UsageError(
      `Cannot open a study of plan "${plan.name}": none in data/runs is complete, and start is false; leave start out to run it (${
        describeLoad(plan, planRuns(plan))
      })`,
    );
  }
  checkApps(plan);
  return { ...openStudyFolder(plan, { study: name === "newest" ? undefined : name }), plan };
}

/** An app that cannot do what a scenario asks for, or lacks what its load needs, is found out early. */
function checkApps(plan: Plan): void {
  for (const scenario of plan.scenarios) {
    appOptions(readApp(scenario.framework), scenario);
    checkOwnUsers(scenario);
  }
  for (const app of appsOf(plan)) {
    headerEnvironment(app.contract.routes);
    readLocustfile(app);
  }
}

/** The doctor's quick part, for what this plan asks of the machine. */
async function checkMachine({ scenarios }: Plan): Promise<string[]> {
  const { quickCheck } = await import("./doctor/doctor.ts");
  const largest = (key: "users" | "maxClientConn" | "listenBacklog") =>
    Math.max(...scenarios.map((scenario) => scenario[key] ?? 0));
  return await quickCheck({
    users: largest("users"),
    maxClientConn: largest("maxClientConn"),
    listenBacklog: largest("listenBacklog"),
  });
}

const OFFER = "or use --engine local";

/** Opens the engine that was asked for, its apps built; for `auto`, the best one that works here. */
export async function openEngine(
  study: string,
  made: Manifest[],
  { engine = "auto", dockerHost }: RunStudyOptions,
  log: (line: string) => void,
  signal: AbortSignal,
  apps: readonly App[],
): Promise<Engine> {
  // A study that was begun stays where it was begun: its runs are compared with each other.
  const begun = engine === "auto" ? made[0]?.engine : undefined;
  const choice = begun ?? engine;
  if (choice !== "local") {
    const { dockerEnvironment, findDocker } = await import("./hosts/docker/daemon.ts");
    const found = await findDocker(dockerEnvironment(dockerHost));
    if (typeof found !== "string") {
      const { DockerEngine } = await import("./engine/docker.ts");
      try {
        return await DockerEngine.open({ daemon: found.daemon, study, log, signal, apps });
      } catch (error) {
        signal.throwIfAborted();
        const why = firstLine(error);
        if (choice === "docker") throw new PoolscopeError(`${why}; ${OFFER}`, { cause: error });
        log(`Docker cannot be used: ${why}`);
      }
    } else if (choice === "docker") {
      throw new PoolscopeError(`Cannot use Docker: ${found}, ${OFFER}`);
    } else if (dockerHost !== undefined) log(`Docker cannot be used: ${found}`);
  }
  const { setUp } = await import("./setup/mod.ts");
  const { LocalEngine } = await import("./engine/local.ts");
  const local = new LocalEngine(await setUp({ log, signal }), log, { signal });
  try {
    for (const app of apps) await local.prepareApp(app);
    return local;
  } catch (error) {
    await local[Symbol.asyncDispose]();
    throw error;
  }
}

function appsOf({ scenarios }: Plan): App[] {
  const names = new Set(scenarios.map(({ framework }) => framework));
  return [...names].map((name) => readApp(name));
}

/** The files of the runs that are kept must still be those of this checkout, and the engine theirs. */
function checkFiles(
  name: string,
  made: readonly Manifest[],
  engine: RunStudyOptions["engine"] = "auto",
): void {
  const now = made.filter(({ inputs }) => inputs !== undefined).map(({ scenario, engine }) => ({
    inputs: { files: hashInputs(scenario, { name: engine }), settings: null },
  }));
  checkInputs(name, [...made, ...now, ...(engine === "auto" ? [] : [{ engine }])]);
}

/** A plan that was changed by hand is another one, whatever its study's name. */
function checkPlan(name: string, plan: Plan, made: readonly Manifest[]): void {
  const hash = planHash(plan);
  if (made.some((manifest) => manifest.plan.hash !== hash)) {
    throw new InputsChangedError(name, "plan.json");
  }
}

function completeManifests(folder: string, runs: PlannedRun[], pending: PlannedRun[]): Manifest[] {
  return runs.filter((run) => !pending.includes(run))
    .flatMap(({ id, round }) => readManifest(runFolder(folder, id, round)) ?? []);
}

async function describeMachine(engine: Engine): Promise<RunContext["machine"]> {
  const git = async (...args: string[]) => {
    const { code, stdout } = await tryCommand(["git", "-C", ROOT, ...args]);
    return code === 0 ? stdout.trim() : null; // Where Git is missing the manifest says so by null.
  };
  const commit = await git("rev-parse", "HEAD");
  const dirty = Boolean(await git("status", "--porcelain"));
  return {
    gitCommit: commit && (dirty ? `${commit}-dirty` : commit),
    host: engine.host ?? {
      cpus: cpus().length,
      cpuModel: cpus()[0]?.model ?? "unknown",
      memoryMiB: Math.round(totalmem() / 2 ** 20),
      kernel: release(),
    },
  };
}

/** How a finished run is announced: its outcome, as a report will have it, and its numbers. */
async function headline(
  folder: string,
  planned: PlannedRun,
): Promise<Pick<RunFinished, "status" | "cause" | "rps" | "p95Ms" | "p95IsBound">> {
  const { run, manifest } = (await readRun(folder, planned))!;
  const { status, cause, rps } = run;
  if (!run.measured) return { status, cause, rps: null, p95Ms: null };
  // Windows of a functional check are too short for a percentile to mean anything.
  const p95Ms = manifest!.plan.functionalCheck ? null : run.p95Ms;
  return { status, cause, rps, p95Ms, p95IsBound: isLowerBound(run, 95) };
}
