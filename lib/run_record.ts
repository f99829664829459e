/** What is written down of a run while it goes on, and the manifest that comes of it. */

import { existsSync, mkdirSync, renameSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { readApp } from "./apps/app.ts";
import { OWN_CONNECTIONS } from "./connections.ts";
import { type Evidence, findCause, hasLostProcess, type Step } from "./diagnose/causes.ts";
import type { Engine } from "./engine/engine.ts";
import type { RunServices } from "./engine/run_services.ts";
import { EngineLostError, firstLine, InputsChangedError, PoolscopeError } from "./errors.ts";
import { loadOf } from "./groups.ts";
import { removeTemporary } from "./load/generator.ts";
import type { ErrorCount } from "./load/requests.ts";
import { type Plan, planHash, type PlannedRun } from "./plan.ts";
import { ANY_VERSION } from "./settings.ts";
import { hashInputs } from "./setup/inputs.ts";
import type { EventLog } from "./store/events.ts";
import { hashRunFiles, writeAtomic } from "./store/files.ts";
import { runFolder, SCHEMA_VERSION } from "./store/layout.ts";
import {
  askedVersion,
  type Comparable,
  differingInputs,
  type FinalAccount,
  type Manifest,
  type NetworkInForce,
  type RunInputs,
  type ServiceLimits,
  type TcpCounts,
  type Verification,
} from "./store/manifest.ts";
import type { PoolerState } from "./telemetry/pgbouncer.ts";
import { readWork } from "./verify/routes.ts";

/** More failed requests than this share of the window's make the run a failed one. */
export const MAX_ERROR_RATE = 0.01;

/** Lines of each service's log that are searched for the cause of a failure. */
const LOG_LINES = 1000;

/** Kept free on the disk while a run goes on, so that its manifest can be written when it is full. */
const RESERVE_BYTES = 128 * 1024;

/** What all runs of a study share. */
export interface RunContext {
  study: string;
  folder: string;
  plan: Plan;
  engine: Engine;
  events: EventLog;
  /** Where and with what the study is run. */
  machine: Pick<Manifest, "host" | "gitCommit">;
  /** Ends the run without a manifest, everything stopped. */
  signal: AbortSignal;
  /** How long the app may take to answer, in seconds. @default 30 */
  readyTimeoutS?: number;
  /** Runs that this one is to be compared with, and so must share its inputs with. @default none */
  others?: Manifest[];
}

/** A run as far as it has come. */
export class RunRecord {
  /** Where its files are written: the run's own folder, or one beside it that replaces it in the end. */
  readonly folder: string;
  readonly #own: string;
  readonly started = new Date();
  readonly inputs: RunInputs;
  step: Step = "start";
  verification: Verification | null = null;
  limits: Record<string, ServiceLimits> = {};
  network: NetworkInForce | null = null;
  tcp: TcpCounts | null = null;
  cpuSets: Record<string, string> | null = null;
  appOptions: Record<string, string> = {};
  versions: Record<string, string> = {};
  images: Record<string, string> = {};
  exitCodes: Record<string, number | null> = {};
  logs: Record<string, string> = {};
  memoryKills: Record<string, number> = {};
  pooler: PoolerState | null = null;
  final: FinalAccount | null = null;
  errors: ErrorCount[] = [];
  loadStarted: string | null = null;
  thrown: string | null = null;
  freeMiB: number | null = null;
  /** Its slices of load in blocks that count; null where it stood alone and was loaded all the time. */
  slices: number | null = null;
  readonly #reserve: string;

  /**
   * Begins a run in a folder of its own.
   *
   * @throws {InputsChangedError} If its inputs are not those of the other runs.
   * @throws {PoolscopeError} If the folder cannot be written.
   */
  constructor(readonly run: PlannedRun, private readonly context: RunContext) {
    const { folder, engine, study, others = [] } = context;
    this.#own = runFolder(folder, run.id, run.round);
    // A complete run that is repeated stays until its successor is complete, too.
    const isRepeated = existsSync(join(this.#own, "manifest.json"));
    this.folder = isRepeated
      ? join(dirname(this.#own), `.repeated-${basename(this.#own)}`)
      : this.#own;
    this.inputs = { files: hashInputs(run.scenario, engine), settings: null };
    checkInputs(study, [...others, { inputs: this.inputs }]);
    this.#reserve = join(this.folder, ".reserve");
    orFullDisk(() => {
      // What an interrupted run left here is not part of any result.
      rmSync(this.folder, { recursive: true, force: true });
      mkdirSync(join(this.folder, "logs"), { recursive: true });
      writeFileSync(this.#reserve, new Uint8Array(RESERVE_BYTES));
    });
  }

  /** Notes what was started. */
  noteServices(services: RunServices): void {
    const { appOptions, versions, images } = services;
    Object.assign(this, { appOptions, versions, images });
  }

  /** Notes how the services are, and how those ended that did. */
  noteEnds(services: RunServices): void {
    for (const [name, service] of services.services) {
      this.logs[name] = service.logTail(LOG_LINES);
      this.exitCodes[name] = service.exit?.code ?? null;
      this.memoryKills[name] = service.memoryKills();
    }
  }

  /**
   * Notes why the run failed, the first reason being the one.
   *
   * @throws What is no finding of this run: an abort, a lost engine, inputs that have changed.
   */
  fail(error: unknown): void {
    this.context.signal.throwIfAborted();
    if (error instanceof EngineLostError || error instanceof InputsChangedError) throw error;
    this.thrown ??= describeError(error, this.folder);
  }

  /**
   * Writes the manifest, by which the run is complete.
   *
   * @throws {PoolscopeError} If it cannot be written.
   */
  async write(): Promise<Manifest> {
    removeTemporary(this.folder);
    this.freeMiB = freeMiB(this.folder);
    const manifest = describeRun(this, this.context);
    manifest.files = await hashRunFiles(this.folder);
    rmSync(this.#reserve, { force: true });
    orFullDisk(() =>
      writeAtomic(join(this.folder, "manifest.json"), JSON.stringify(manifest, null, 2) + "\n")
    );
    return manifest;
  }

  /** Puts a repeated run in the place of the one before; those of a group together, when all are written. */
  replace(): void {
    if (this.folder === this.#own) return;
    rmSync(this.#own, { recursive: true, force: true });
    renameSync(this.folder, this.#own);
  }
}

/** The manifest of a run that has ended, but for its files. */
function describeRun(record: RunRecord, context: RunContext): Manifest {
  const { engine, plan, study, machine } = context;
  const { run } = record;
  const ended = new Date();
  const app = readApp(run.scenario.framework);
  const cause = findFailure(record);
  const { started, inputs, appOptions, limits, network, tcp, cpuSets } = record;
  const { exitCodes, verification } = record;
  // Where the version that is asked for did not come up, the setup's is not said in its place.
  const ofSetup = (values: Record<string, string>) =>
    Object.fromEntries(
      Object.entries(values).filter(([name]) => askedVersion(run.scenario, name) === ANY_VERSION),
    );
  return {
    schemaVersion: SCHEMA_VERSION,
    study,
    plan: { name: plan.name, hash: planHash(plan), functionalCheck: plan.functionalCheck },
    scenarioId: run.id,
    scenario: run.scenario,
    round: run.round,
    order: run.order,
    seed: loadSeed(plan, run),
    status: cause === null ? "ok" : "failed",
    cause,
    times: {
      started: started.toISOString(),
      loadStarted: record.loadStarted,
      ended: ended.toISOString(),
    },
    overheadS: (ended.getTime() - started.getTime()) / 1000 - loadS(plan, record),
    ...loadOf(plan),
    window: measuredWindow(plan, record),
    engine: engine.name,
    versions: { ...ofSetup(engine.versions), ...record.versions },
    inputs,
    images: { ...ofSetup(engine.images), ...record.images },
    ...machine,
    limits,
    limitsWarning: engine.limitsWarning,
    ownConnections: OWN_CONNECTIONS,
    network,
    tcp,
    cpuSets,
    appOptions,
    exitCodes,
    verification,
    work: readWork(app),
    ...(app.settings.timings && { appTimings: true as const }),
    ...(app.locustfile !== undefined && { ownLocustfile: true as const }),
    ...(record.slices !== null && { slices: record.slices }),
    files: {},
  };
}

/** A study is not continued with runs that its report would refuse. */
export function checkInputs(study: string, runs: readonly Comparable[]): void {
  const differing = differingInputs(runs);
  if (differing !== null) throw new InputsChangedError(study, differing);
}

/** Writes what no run can do without. */
function orFullDisk(write: () => void): void {
  try {
    write();
  } catch (error) {
    throw new PoolscopeError(
      `Cannot write the run's folder: ${
        firstLine(error)
      }; free some disk space and start the same study again, complete runs are kept`,
      { cause: error },
    );
  }
}

/** Free space on a folder's disk; null where the system does not tell. */
function freeMiB(folder: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize / 2 ** 20;
  } catch {
    return null;
  }
}

/** One line, without this machine's path of the run's folder. */
function describeError(error: unknown, folder: string): string {
  // An error while things were stopped hides the one for which they were stopped.
  while (error instanceof SuppressedError && error.suppressed != null) error = error.suppressed;
  const message = (error as Error).message?.split("\n")[0]?.replaceAll(`${folder}/`, "");
  return error instanceof PoolscopeError ? message! : `unexpected error: ${message}`;
}

/** Seconds of warm-up and window. */
export function plannedS(plan: Plan): number {
  const { warmUpS, windowS } = loadOf(plan);
  return warmUpS + windowS;
}

/** Seconds of a run that were load, which a lost service may have cut short. */
export function loadS(plan: Plan, { final, slices }: Pick<RunRecord, "final" | "slices">): number {
  if (final === null) return 0;
  const seconds = (final.windowEndUs - final.loadStartUs) / 1e6;
  return slices !== null ? seconds : Math.min(plannedS(plan), seconds);
}

/** The measurement window; null when the load ended within the warm-up, or there was none. */
function measuredWindow(plan: Plan, { final, slices }: RunRecord): Manifest["window"] {
  if (final === null) return null;
  const leastUs = slices !== null ? 0 : loadOf(plan).warmUpS * 1e6;
  const ended = slices === 0 || final.windowEndUs < final.loadStartUs + leastUs;
  return ended ? null : { startUs: final.windowStartUs, endUs: final.windowEndUs };
}

/** Rounds and scenarios get different but repeatable loads; both paths of a pair get the same. */
export function loadSeed(plan: Plan, run: PlannedRun): number {
  return plan.seed * 1000 + run.round;
}

/** Why the run counts as failed, in one sentence, or null. */
function findFailure(record: RunRecord): string | null {
  const { final, thrown, exitCodes } = record;
  const evidence: Evidence = {
    ...record,
    scenario: record.run.scenario,
    exited: Object.fromEntries(
      Object.entries(exitCodes).filter(([name, code]) => name !== "locust" && code !== null),
    ) as Record<string, number>,
    requests: final?.requests ?? 0,
    failures: final?.failures ?? 0,
  };
  const healthy = thrown === null && final !== null && final.lost == null &&
    !hasLostProcess(evidence) && final.requests > final.failures &&
    final.failures <= final.requests * MAX_ERROR_RATE;
  return healthy ? null : findCause(evidence);
}
