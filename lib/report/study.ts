/**
 * A study, read back from its folder: everything a table, a figure or a sentence needs.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { DataFrame } from "nodejs-polars";
import { findUnequalWork, rejectUnequalWork, type UnequalWork } from "../diagnose/equal_work.ts";
import { type ScenarioVerdict, scenarioVerdicts } from "../diagnose/verdict.ts";
import { FileError, PoolscopeError, UsageError } from "../errors.ts";
import { loadPolars } from "../frames/polars.ts";
import { readPgbouncer, readPostgres, readRequests, readResources } from "../frames/run_files.ts";
import { type Plan, planHash, type PlannedRun, planRuns } from "../plan.ts";
import { armLabels, compareLevels, levelLabel, type LoadLevel, loadLevels } from "../scenario.ts";
import { openLoopPlan } from "../stats/capacity.ts";
import { type StudyContext, studyContext } from "../stats/context.ts";
import { type CpuPoint, cpuSeries } from "../stats/cpu.ts";
import { type ConnectionPoint, connectionSeries } from "../stats/connections.ts";
import { latencyCurve, type LatencyPoint } from "../stats/distribution.ts";
import { compareScenarios } from "../stats/comparisons.ts";
import type { FamilyResult, StoppingRule } from "../stats/family.ts";
import { summariseScenarios } from "../stats/summarise.ts";
import type { ArmRatio, PathRatio, RunSummary, ScenarioSummary } from "../stats/summary.ts";
import type { RunCounts } from "../store/events.ts";
import { confirmationFolder, openLoopFolder, runFolder, studyName } from "../store/layout.ts";
import { differingInputs, type Manifest } from "../store/manifest.ts";
import { knownRuns, readPlan } from "../store/studies.ts";
import { studyWords as say } from "../wording/study.ts";
import { readRun } from "./read_run.ts";

/** What is read from a study's folder, before anything is derived from it. */
interface StudyFiles {
  folder: string;
  plan: Plan;
  manifests: Manifest[];
  missing: PlannedRun[];
  runs: RunSummary[];
  warnings: string[];
}

/** A study: everything that one plan produced. */
export class Study {
  /** The study's name: its folder's. */
  readonly name: string;
  /** The study's folder. */
  readonly folder: string;
  /** The frozen plan. */
  readonly plan: Plan;
  /** The manifests of all complete runs that can be read, in the plan's order. */
  readonly manifests: Manifest[];
  /** Runs to come: the plan's that have no manifest, or further ones that the numbers ask for. */
  readonly missing: PlannedRun[];
  /** Every run in numbers, in the plan's order. */
  readonly runs: RunSummary[];
  /** Every scenario over its rounds, in the order of the plan's scenarios. */
  readonly scenarios: ScenarioSummary[];
  /** Pooled over direct throughput. */
  readonly ratios: PathRatio[];
  /** Copies (A/A) and other settings over the arms that they are compared with. */
  readonly armRatios: ArmRatio[];
  /** When the study looks at its data. */
  readonly rule: StoppingRule;
  /** All comparisons of throughput, decided together: looks taken, noise, what is to come. */
  readonly family: FamilyResult;
  /** The circumstances that captions and conclusions name. */
  readonly context: StudyContext;
  /** Arms that did other work than the contract's: they are rejected. */
  readonly unequalWork: UnequalWork[];
  /** What limited each scenario, in the order of `scenarios`. */
  readonly verdicts: ScenarioVerdict[];
  /** What is wrong with files and work of the study, a line each. */
  readonly warnings: string[];

  /** @param files What was read; see {@linkcode loadStudy}. */
  constructor(files: StudyFiles) {
    this.name = studyName(files.folder);
    this.folder = files.folder;
    this.plan = files.plan;
    this.manifests = files.manifests;
    this.unequalWork = findUnequalWork(files.runs);
    this.runs = rejectUnequalWork(files.runs, this.unequalWork);
    this.warnings = [
      ...files.warnings,
      ...this.unequalWork.map(({ arm, what }) => say.unequalWork(arm, what)),
    ];
    // Tables list the scenarios as the plan does, whatever order they were run in.
    const place = new Map([...armLabels(files.plan.scenarios).keys()].map((id, i) => [id, i]));
    this.scenarios = summariseScenarios(this.runs)
      .sort((a, b) => place.get(a.scenarioId)! - place.get(b.scenarioId)!);
    this.verdicts = scenarioVerdicts(this);
    const { ratios, armRatios, rule, family } = compareScenarios(
      files.plan,
      this.scenarios,
      this.runs,
    );
    this.ratios = ratios;
    this.armRatios = armRatios;
    this.rule = rule;
    this.family = family;
    this.missing = files.missing.length > 0 ? files.missing : furtherRuns(files, family);
    this.context = studyContext(files.plan, files.manifests);
  }

  /** True when every planned run has its manifest and the numbers ask for no further ones. */
  get complete(): boolean {
    return this.missing.length === 0;
  }

  /** How many of its runs ended in which way. */
  counts(): RunCounts {
    const count = (status: RunSummary["status"]) =>
      this.runs.filter((run) => run.status === status).length;
    return { accepted: count("ok"), rejected: count("rejected"), failed: count("failed") };
  }

  /** The study in a few lines: as a cell's value, it is no dump of all that is in it. */
  toString(): string {
    const { accepted, rejected, failed } = this.counts();
    const arms = [...new Set(armLabels(this.plan.scenarios).values())];
    return [
      say.study(this.name, this.plan.name, arms, loadLevels(this.plan.scenarios).map(levelLabel)),
      say.runs(accepted, rejected, failed, this.missing.length),
      say.where,
    ].join("\n");
  }

  /** How Jupyter shows it. */
  [Symbol.for("Jupyter.display")](): Record<string, string> {
    return { "text/plain": this.toString() };
  }

  /** How the console shows it. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** The plan of the open loop that is to follow; null where none is asked for or none is possible. */
  openLoopPlan(): Plan | null {
    return openLoopPlan(this.plan, this.scenarios, this.ratios);
  }

  /** The open loop that followed, as far as it has come; null where there is none. */
  openLoop(): Promise<Study | null> {
    return this.#followUp(openLoopFolder(this.folder));
  }

  /** The test of its verdicts, as far as it has come; null where there is none. */
  confirmation(): Promise<Study | null> {
    return this.#followUp(confirmationFolder(this.folder));
  }

  /** A study that goes by this one's numbers, and so must be made of the same. */
  async #followUp(folder: string): Promise<Study | null> {
    if (!existsSync(join(folder, "plan.json"))) return null;
    const study = await loadStudy(folder);
    refuseDiffering(study.name, [...this.manifests, ...study.manifests]);
    return study;
  }

  /** The rounds of a scenario that have a manifest; those that can be read, if any can. */
  #rounds(scenarioId: string, round?: number): number[] {
    const rounds = this.manifests
      .filter((manifest) => manifest.scenarioId === scenarioId)
      .map((manifest) => manifest.round)
      .filter((n) => round === undefined || n === round);
    if (rounds.length === 0) {
      throw new UsageError(
        `Cannot read ${scenarioId}${
          round === undefined ? "" : `, round ${round}`
        }: study "${this.name}" has no such run`,
      );
    }
    const readable = rounds.filter((n) =>
      this.runs.some((run) => run.scenarioId === scenarioId && run.round === n && run.measured)
    );
    return round === undefined && readable.length > 0 ? readable : rounds;
  }

  /**
   * The requests of a scenario as a dataframe, warm-up included, with a column `round`. Requests
   * pooled over rounds serve distribution figures; percentiles of a scenario are never taken from
   * them.
   *
   * @param scenarioId The scenario's id.
   * @param round One round only. @default all rounds
   */
  async requests(scenarioId: string, round?: number): Promise<DataFrame> {
    const { concat, lit } = await loadPolars();
    const frames: DataFrame[] = [];
    for (const n of this.#rounds(scenarioId, round)) {
      const frame = await readRequests(runFolder(this.folder, scenarioId, n));
      frames.push(frame.withColumn(lit(n).alias("round")));
    }
    return frames.length === 1 ? frames[0]! : concat(frames);
  }

  /**
   * The distribution of latency of every scenario at one load, over all its successful rounds, for
   * `distributionFigure`.
   *
   * @param users The number of users, or a level with an arrival rate. @default the study's largest
   */
  async distribution(users?: number | LoadLevel): Promise<LatencyPoint[]> {
    const level = typeof users === "object"
      ? users
      : users === undefined
      ? loadLevels(this.scenarios).at(-1)
      : { users, arrivalRate: null };
    if (level === undefined) return [];
    const points: LatencyPoint[] = [];
    for (const scenario of this.scenarios) {
      if (compareLevels(scenario, level) !== 0 || scenario.n === 0) continue;
      // A copy shows the shape of its original once more.
      if (scenario.scenario.replica) continue;
      const cuts = [];
      for (const manifest of this.manifests) {
        const { round } = manifest;
        const counts = this.runs.some((run) =>
          run.scenarioId === scenario.scenarioId && run.round === round && run.status === "ok"
        );
        if (manifest.scenarioId !== scenario.scenarioId || !counts) continue;
        const folder = runFolder(this.folder, manifest.scenarioId, manifest.round);
        cuts.push({ requests: await readRequests(folder), window: manifest.window! });
      }
      points.push(...latencyCurve(scenario, cuts));
    }
    return points;
  }

  /** The run whose samples are shown; nothing where no round was asked for and none has a manifest. */
  #sampledRun(scenarioId: string | undefined, round?: number): Manifest | undefined {
    const own = this.manifests.filter((manifest) => manifest.scenarioId === scenarioId);
    const isKnown = this.scenarios.some((scenario) => scenario.scenarioId === scenarioId);
    if (scenarioId === undefined || (round === undefined && isKnown && own.length === 0)) return;
    const [first] = this.#rounds(scenarioId, round);
    return own.find((manifest) => manifest.round === first);
  }

  /**
   * The CPU time of each service, second by second, for `resourceFigure`.
   *
   * @param scenarioId The scenario's id.
   * @param round The round. @default the first that was measured
   * @returns Nothing where no round is given and there is none, or its file cannot be read.
   */
  async cpu(scenarioId: string | undefined, round?: number): Promise<CpuPoint[]> {
    const manifest = this.#sampledRun(scenarioId, round);
    if (manifest === undefined) return [];
    const folder = runFolder(this.folder, manifest.scenarioId, manifest.round);
    const frame = await readSamples(readResources(folder), round !== undefined);
    if (frame === null) return [];
    return untilWindowEnd(cpuSeries(frame, manifest.window?.startUs ?? null), manifest);
  }

  /**
   * Connections by what they did, second by second, for `connectionsFigure`.
   *
   * @param scenarioId The scenario's id.
   * @param round The round. @default the first that was measured
   * @returns Nothing where no round is given and there is none, or its files cannot be read.
   */
  async connections(scenarioId: string | undefined, round?: number): Promise<ConnectionPoint[]> {
    const manifest = this.#sampledRun(scenarioId, round);
    if (manifest === undefined) return [];
    const folder = runFolder(this.folder, manifest.scenarioId, manifest.round);
    const asked = round !== undefined;
    const postgres = await readSamples(readPostgres(folder), asked);
    const pgbouncer = manifest.scenario.path === "pooled"
      ? await readSamples(readPgbouncer(folder), asked)
      : null;
    if (postgres === null) return [];
    const points = connectionSeries(postgres, pgbouncer, manifest.window?.startUs ?? null);
    return untilWindowEnd(points, manifest);
  }
}

/** A run's samples; those that cannot be read are none, unless this very run was asked for. */
async function readSamples(read: Promise<DataFrame>, asked: boolean): Promise<DataFrame | null> {
  try {
    return await read;
  } catch (error) {
    if (asked || !(error instanceof FileError)) throw error;
    return null; // The run's cause or the study's warnings say why.
  }
}

/** The reading at the window's end is taken right after it, the last of the run when all is over. */
const LAST_READING_S = 0.1;

/** The points of a run without those that came after its window. */
function untilWindowEnd<T extends { timeS: number }>(points: T[], { window }: Manifest): T[] {
  if (window === null) return points;
  const lastS = (window.endUs - window.startUs) / 1e6 + LAST_READING_S;
  return points.filter(({ timeS }) => timeS <= lastS);
}

/** The runs of further rounds that undecided comparisons ask for, without those that are there. */
function furtherRuns({ plan, runs }: StudyFiles, { next }: FamilyResult): PlannedRun[] {
  if (next === null) return [];
  const known = new Set(runs.map(({ scenarioId, round }) => `${scenarioId} ${round}`));
  return planRuns(plan, next.rounds).filter(({ id, round }) =>
    next.scenarios.includes(id) && !known.has(`${id} ${round}`)
  );
}

/** What tells that plan.json is not the plan that the runs were made with. */
function planWarnings(plan: Plan, manifests: readonly Manifest[]): string[] {
  const hash = planHash(plan);
  const others = manifests.filter((manifest) => manifest.plan.hash !== hash).length;
  return others === 0 ? [] : [say.otherPlan(others, manifests.length)];
}

/** Runs that were made of different things stand in no report together. */
function refuseDiffering(name: string, manifests: readonly Manifest[]): void {
  const differing = differingInputs(manifests);
  if (differing === null) return;
  throw new PoolscopeError(
    `Cannot report ${name}: its runs differ in ${differing}, and such runs are never compared with each other; the runs are kept, run the plan again as another study (--study NAME)`,
  );
}

/**
 * Reads a study from its folder and computes its summaries. Nothing but the folder is needed: no
 * engine, no database, no Python. A run whose files are damaged counts as failed and says which
 * file and line; it hides no other run.
 *
 * @param folder The study's folder.
 * @throws {UsageError} If there is no study in the folder, or its plan is damaged.
 * @throws {PoolscopeError} If its runs differ in what they were made of; see `differingInputs`.
 * @throws {SchemaVersionError} If another version of Poolscope wrote a run.
 */
export async function loadStudy(folder: string): Promise<Study> {
  const plan = readPlan(folder);
  await loadPolars();
  const labels = armLabels(plan.scenarios);
  const files: StudyFiles = { folder, plan, manifests: [], missing: [], runs: [], warnings: [] };
  for (const planned of knownRuns(folder, plan)) {
    const read = await readRun(folder, planned, labels.get(planned.id));
    if (read === null) {
      files.missing.push(planned);
      continue;
    }
    if (read.manifest !== null) files.manifests.push(read.manifest);
    files.runs.push(read.run);
    files.warnings.push(...read.warnings);
  }
  refuseDiffering(studyName(folder), files.manifests);
  files.warnings.push(...planWarnings(plan, files.manifests));
  return new Study(files);
}
