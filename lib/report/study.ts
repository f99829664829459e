/** A study, read back from its folder: everything a table, a figure or a sentence needs. */

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
import { type Alternation, alternationOf } from "../stats/alternation.ts";
import { openLoopPlan } from "../stats/capacity.ts";
import { type StudyContext, studyContext } from "../stats/context.ts";
import {
  type ConnectionPoint,
  connectionSeries,
  type CpuPoint,
  cpuSeries,
} from "../stats/readings.ts";
import { latencyCurve, type LatencyPoint } from "../stats/latency.ts";
import { compareScenarios } from "../stats/comparisons.ts";
import type { FamilyResult, StoppingRule } from "../stats/family.ts";
import { type Effect, effectsOf } from "../stats/effects.ts";
import { type PoolSizes, poolSizes } from "../stats/pool_sizes.ts";
import { summariseScenarios } from "../stats/summarise.ts";
import type { ArmRatio, PathRatio, RunSummary, ScenarioSummary } from "../stats/summary.ts";
import type { RunCounts } from "../store/events.ts";
import { confirmationFolder, openLoopFolder, runFolder, studyName } from "../store/layout.ts";
import { differingInputs, type Manifest } from "../store/manifest.ts";
import { knownRuns, readPlan } from "../store/studies.ts";
import { studyWords as say } from "../wording/study.ts";
import { findDisturbed } from "./disturbed.ts";
import { readRun } from "./read_run.ts";

/** What is read from a study's folder, before anything is derived from it. */
type StudyFiles = Pick<Study, "folder" | "plan" | "manifests" | "missing" | "runs" | "warnings">;

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
  /** Pool sizes from which one is selected; none where a plan tries fewer than three. */
  readonly poolSizes: PoolSizes[];
  /** What single choices bring, all else equal; none where a plan's arms differ in no choice but the path. */
  readonly effects: Effect[];
  /** What turns of the arms may hide; null in the consecutive design. */
  readonly alternation: Alternation | null;
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
    const { folder, plan, manifests, missing, runs, warnings } = files;
    this.name = studyName(folder);
    this.folder = folder;
    this.plan = plan;
    this.manifests = manifests;
    this.unequalWork = findUnequalWork(runs);
    this.runs = rejectUnequalWork(runs, this.unequalWork);
    const unequal = this.unequalWork.map(({ arm, what }) => say.unequalWork(arm, what));
    this.warnings = [...warnings, ...unequal];
    // Tables list the scenarios as the plan does, whatever order they were run in.
    const place = new Map([...armLabels(plan.scenarios).keys()].map((id, i) => [id, i]));
    this.scenarios = summariseScenarios(this.runs)
      .sort((a, b) => place.get(a.scenarioId)! - place.get(b.scenarioId)!);
    this.verdicts = scenarioVerdicts(this);
    const decided = compareScenarios(plan, this.scenarios, this.runs);
    this.ratios = decided.ratios;
    this.armRatios = decided.armRatios;
    this.poolSizes = poolSizes(plan.scenarios, this.runs);
    this.effects = effectsOf(plan, this.runs);
    this.alternation = alternationOf(this.scenarios, this.runs, [
      ...this.ratios.map((pair) => ({
        ...pair,
        ids: [pair.direct, pair.pooled] as const,
        arms: [this.#armOf(pair.direct), this.#armOf(pair.pooled)] as const,
      })),
      ...this.armRatios.map((pair) => ({
        ...pair,
        ids: [pair.base, pair.other] as const,
        arms: [pair.baseArm, pair.otherArm] as const,
      })),
    ]);
    this.rule = decided.rule;
    this.family = decided.family;
    this.missing = missing.length > 0 ? missing : furtherRuns(files, this.family);
    this.context = studyContext(plan, manifests);
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

  #armOf(id: string): string {
    return this.scenarios.find(({ scenarioId }) => scenarioId === id)?.arm ?? id;
  }

  #folderOf({ scenarioId, round }: Manifest): string {
    return runFolder(this.folder, scenarioId, round);
  }

  #runOf({ scenarioId, round }: Manifest): RunSummary | undefined {
    return this.runs.find((run) => run.scenarioId === scenarioId && run.round === round);
  }

  /** The manifests of a scenario; of those runs that can be read, if any can. */
  #manifestsOf(scenarioId: string, round?: number): Manifest[] {
    const all = this.manifests
      .filter((one) => one.scenarioId === scenarioId && (round ?? one.round) === one.round);
    if (all.length === 0) {
      const which = round === undefined ? scenarioId : `${scenarioId}, round ${round}`;
      throw new UsageError(`Cannot read ${which}: study "${this.name}" has no such run`);
    }
    const readable = all.filter((manifest) => this.#runOf(manifest)?.measured);
    return round === undefined && readable.length > 0 ? readable : all;
  }

  /**
   * The requests of a scenario as a dataframe, warm-up included, with a column `round`. Requests
   * pooled over rounds serve distribution figures; percentiles of a scenario are never taken from
   * them.
   *
   * @param round One round only. @default all rounds
   */
  async requests(scenarioId: string, round?: number): Promise<DataFrame> {
    const { concat, lit } = await loadPolars();
    const frames: DataFrame[] = [];
    for (const manifest of this.#manifestsOf(scenarioId, round)) {
      const frame = await readRequests(this.#folderOf(manifest));
      frames.push(frame.withColumn(lit(manifest.round).alias("round")));
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
    const level = typeof users === "number"
      ? { users, arrivalRate: null }
      : users ?? loadLevels(this.scenarios).at(-1);
    if (level === undefined) return [];
    const points: LatencyPoint[] = [];
    for (const scenario of this.scenarios) {
      // A copy shows the shape of its original once more.
      if (compareLevels(scenario, level) !== 0 || scenario.scenario.replica) continue;
      const cuts = [];
      for (const manifest of this.manifests) {
        if (manifest.scenarioId !== scenario.scenarioId) continue;
        if (this.#runOf(manifest)?.status !== "ok") continue;
        const requests = await readRequests(this.#folderOf(manifest));
        cuts.push({ requests, window: manifest.window! });
      }
      if (cuts.length > 0) points.push(...latencyCurve(scenario, cuts));
    }
    return points;
  }

  /** Points of a run up to its window's end; none where no round was asked for and there is none. */
  async #series<T extends { timeS: number }>(
    scenarioId: string | undefined,
    round: number | undefined,
    read: (folder: string, originUs: number | null, manifest: Manifest) => Promise<T[]>,
  ): Promise<T[]> {
    const isOf = (one: { scenarioId: string }) => one.scenarioId === scenarioId;
    const isToCome = this.scenarios.some(isOf) && !this.manifests.some(isOf);
    if (scenarioId === undefined || (round === undefined && isToCome)) return [];
    const manifest = this.#manifestsOf(scenarioId, round)[0]!;
    const { window } = manifest;
    const points = await read(this.#folderOf(manifest), window?.startUs ?? null, manifest);
    if (window === null) return points;
    const lastS = (window.endUs - window.startUs) / 1e6 + LAST_READING_S;
    return points.filter(({ timeS }) => timeS <= lastS);
  }

  /**
   * The CPU time of each service, second by second, for `resourceFigure`.
   *
   * @param round The round. @default the first that was measured
   * @returns Nothing where no round is given and there is none, or its file cannot be read.
   */
  async cpu(scenarioId: string | undefined, round?: number): Promise<CpuPoint[]> {
    return await this.#series(scenarioId, round, async (folder, originUs) => {
      const frame = await readSamples(readResources(folder), round !== undefined);
      return frame === null ? [] : cpuSeries(frame, originUs);
    });
  }

  /**
   * Connections by what they did, second by second, for `connectionsFigure`.
   *
   * @param round The round. @default the first that was measured
   * @returns Nothing where no round is given and there is none, or its files cannot be read.
   */
  async connections(scenarioId: string | undefined, round?: number): Promise<ConnectionPoint[]> {
    const asked = round !== undefined;
    return await this.#series(scenarioId, round, async (folder, originUs, { scenario }) => {
      const postgres = await readSamples(readPostgres(folder), asked);
      const pgbouncer = scenario.path === "pooled"
        ? await readSamples(readPgbouncer(folder), asked)
        : null;
      return postgres === null ? [] : connectionSeries(postgres, pgbouncer, originUs);
    });
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

function furtherRuns({ plan, runs }: StudyFiles, { next }: FamilyResult): PlannedRun[] {
  if (next === null) return [];
  const known = new Set(runs.map(({ scenarioId, round }) => `${scenarioId} ${round}`));
  return planRuns(plan, next.rounds).filter(({ id, round }) =>
    next.scenarios.includes(id) && !known.has(`${id} ${round}`)
  );
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
  const { manifests, warnings } = files;
  const known = knownRuns(folder, plan);
  const disturbed = await findDisturbed(folder, known);
  for (const planned of known) {
    const read = await readRun(folder, planned, labels.get(planned.id), disturbed.get(planned));
    if (read === null) {
      files.missing.push(planned);
      continue;
    }
    if (read.manifest !== null) manifests.push(read.manifest);
    files.runs.push(read.run);
    warnings.push(...read.warnings);
  }
  refuseDiffering(studyName(folder), manifests);
  const hash = planHash(plan);
  const others = manifests.filter((manifest) => manifest.plan.hash !== hash).length;
  if (others > 0) warnings.push(say.otherPlan(others, manifests.length));
  return new Study(files);
}
