/**
 * One run, from nothing to its manifest. Reads as the list of its steps.
 *
 * @module
 */

import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type App, readApp, readLocustfile } from "./apps/app.ts";
import { headerEnvironment } from "./apps/headers.ts";
import { OWN_CONNECTIONS } from "./connections.ts";
import { type Evidence, findCause, hasLostProcess, type Step } from "./diagnose/causes.ts";
import type { Engine, LoadGenerator, RunServices } from "./engine/engine.ts";
import { readNetwork } from "./engine/network.ts";
import { tcpBetween, type TcpState } from "./engine/tcp.ts";
import { EngineLostError, InputsChangedError, PoolscopeError } from "./errors.ts";
import { readLocustTotals } from "./frames/locust.ts";
import { explainExit, locustCommand } from "./load/locust.ts";
import {
  checkCounts,
  convertRequests,
  type ErrorCount,
  readFinal,
  readLive,
} from "./load/requests.ts";
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
import { type PoolerState, readPoolerState } from "./telemetry/pgbouncer.ts";
import { Sampler } from "./telemetry/sampler.ts";
import { deliveriesBetween, verifyNetwork } from "./verify/network.ts";
import { type LoadRoute, readWork, resolveRoutes } from "./verify/routes.ts";
import { readSettings } from "./verify/settings.ts";
import { verifyApp } from "./verify/verify.ts";

/** More failed requests than this share of the window's make the run a failed one. */
export const MAX_ERROR_RATE = 0.01;

/** Lines of each service's log that are searched for the cause of a failure. */
const LOG_LINES = 1000;

/** How often the load generator is looked at. */
const POLL_MS = 250;

/** Kept free on the disk while a run goes on, so that its manifest can be written when it is full. */
const RESERVE_BYTES = 128 * 1024;

/** What all runs of a study share. */
export interface RunContext {
  /** The study's name. */
  study: string;
  /** The study's folder. */
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

/** What the steps of a run leave behind, as far as they came. */
interface Progress {
  step: Step;
  verification: Verification | null;
  limits: Record<string, ServiceLimits>;
  network: NetworkInForce | null;
  tcp: TcpCounts | null;
  cpuSets: Record<string, string> | null;
  appOptions: Record<string, string>;
  versions: Record<string, string>;
  images: Record<string, string>;
  exitCodes: Record<string, number | null>;
  unhealthy: Record<string, string>;
  logs: Record<string, string>;
  memoryKills: Record<string, number>;
  pooler: PoolerState | null;
  final: FinalAccount | null;
  errors: ErrorCount[];
  loadStarted: string | null;
  thrown: string | null;
  freeMiB: number | null;
}

/** A run before its first step. */
function atStart(): Progress {
  return {
    step: "start",
    verification: null,
    limits: {},
    network: null,
    tcp: null,
    cpuSets: null,
    appOptions: {},
    versions: {},
    images: {},
    exitCodes: {},
    unhealthy: {},
    logs: {},
    memoryKills: {},
    pooler: null,
    final: null,
    errors: [],
    loadStarted: null,
    thrown: null,
    freeMiB: null,
  };
}

/**
 * Runs one scenario once and writes its folder; a failure at any step is a result, with its cause
 * in the manifest.
 *
 * @returns The manifest, as written.
 * @throws The signal's reason when it is aborted; the folder then has no manifest.
 * @throws {EngineLostError} If the engine is gone; the folder then has no manifest.
 * @throws {InputsChangedError} If its inputs are not those of the other runs; it has no manifest then.
 * @throws {PoolscopeError} If not even a manifest can be written.
 */
export async function runScenario(run: PlannedRun, context: RunContext): Promise<Manifest> {
  const { engine, events, signal } = context;
  const folder = runFolder(context.folder, run.id, run.round);
  const inputs: RunInputs = { files: hashInputs(run.scenario, engine), settings: null };
  checkInputs(context.study, [...context.others ?? [], { inputs }]);
  const started = new Date();
  const reserve = join(folder, ".reserve");
  orFullDisk(() => {
    // What an interrupted run left here is not part of any result.
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(folder, "logs"), { recursive: true });
    writeFileSync(reserve, new Uint8Array(RESERVE_BYTES));
  });

  const progress = atStart();
  events.emit({ event: "phase", order: run.order, phase: "start" });
  try {
    await engine.startDatabase(run.scenario);
    await using services = await engine.startRun(run, folder);
    await useServices(run, context, services, { folder, inputs, progress });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof EngineLostError || error instanceof InputsChangedError) throw error;
    progress.thrown = describeError(error, folder);
    await engine.checkAlive();
  }
  signal.throwIfAborted();

  removeTemporary(folder);
  const ended = new Date();
  progress.freeMiB = freeMiB(folder);
  const manifest = describeRun(run, context, inputs, progress, { started, ended });
  manifest.files = await hashRunFiles(folder);
  rmSync(reserve, { force: true });
  orFullDisk(() =>
    writeAtomic(join(folder, "manifest.json"), JSON.stringify(manifest, null, 2) + "\n")
  );
  return manifest;
}

/** Verifies the services of a run, loads them, and notes how they were and how they ended. */
async function useServices(
  run: PlannedRun,
  context: RunContext,
  services: RunServices,
  { folder, inputs, progress }: { folder: string; inputs: RunInputs; progress: Progress },
): Promise<void> {
  const { events, signal, others = [], readyTimeoutS } = context;
  const app = readApp(run.scenario.framework);
  progress.appOptions = services.appOptions;
  progress.versions = services.versions;
  progress.images = services.images;
  const { scenario } = run;
  checkInputs(context.study, [...others, { scenario, versions: services.versions }]);
  try {
    const routes = await resolveRoutes(app, services.postgres);
    const locust = services.startLoad(loadCommand(run, context, services, { app, routes }));
    progress.step = "verify";
    events.emit({ event: "phase", order: run.order, phase: "verify" });
    const options = { signal, readyTimeoutS, routes };
    progress.verification = await verifyApp(services, run.scenario, options);
    inputs.settings = await readSettings(services, run.scenario);
    checkInputs(context.study, [...others, { scenarioId: run.id, inputs }]);
    progress.network = await verifyNetwork(services, run.scenario);
    progress.limits = await services.applyLimits();
    progress.cpuSets = services.cpuSets;
    await using sampler = await Sampler.start(services, folder);
    progress.step = "load";
    const { network } = services;
    const before = network && await readNetwork(network.control);
    await load(run, context, services, locust, sampler, progress);
    if (before !== null) {
      const after = await readNetwork(network!.control);
      progress.network.deliveries = deliveriesBetween(before, after);
    }
  } catch (error) {
    const { pgbouncer, postgres } = services;
    if (pgbouncer !== null && !signal.aborted) {
      progress.pooler = await readPoolerState(pgbouncer, postgres.database);
    }
    throw error;
  } finally {
    for (const [name, service] of services.services) {
      progress.logs[name] = service.logTail(LOG_LINES);
      progress.exitCodes[name] = service.exit?.code ?? null;
      progress.memoryKills[name] = service.memoryKills();
      if (service.unhealthy !== null) progress.unhealthy[name] = service.unhealthy;
    }
    events.emit({ event: "phase", order: run.order, phase: "stop" });
  }
}

/** The manifest of a run that has ended, but for its files. */
function describeRun(
  run: PlannedRun,
  { engine, plan, study, machine }: RunContext,
  inputs: RunInputs,
  progress: Progress,
  { started, ended }: { started: Date; ended: Date },
): Manifest {
  const app = readApp(run.scenario.framework);
  const cause = findFailure(run, progress);
  const { limits, network, tcp, cpuSets, appOptions, exitCodes, verification, final } = progress;
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
      loadStarted: progress.loadStarted,
      ended: ended.toISOString(),
    },
    overheadS: (ended.getTime() - started.getTime()) / 1000 - loadS(plan, final),
    warmUpS: plan.warmUpS,
    windowS: plan.windowS,
    window: measuredWindow(plan, final),
    engine: engine.name,
    versions: { ...ofSetup(engine.versions), ...progress.versions },
    inputs,
    images: { ...ofSetup(engine.images), ...progress.images },
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
    files: {},
  };
}

/**
 * A study is not continued with runs that its report would refuse.
 *
 * @throws {InputsChangedError} If the runs differ in what they are made of.
 */
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
        (error as Error).message.split("\n")[0]
      }; free some disk space and start the same study again, complete runs are kept`,
      { cause: error },
    );
  }
}

/** A service that was stopped midway may leave a file that it had not renamed yet. */
function removeTemporary(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (
      /^\..*(\.tmp|\.start|\.live\.json)$|^\.(start|routes\.json|locustfile\.py|live\.json)$/.test(
        name,
      )
    ) {
      rmSync(join(folder, name), { force: true });
    }
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

/** Seconds of a run that were load, which a lost service may have cut short. */
function loadS(plan: Plan, final: FinalAccount | null): number {
  if (final === null) return 0;
  return Math.min(plan.warmUpS + plan.windowS, (final.windowEndUs - final.loadStartUs) / 1e6);
}

/** The measurement window; null when the load ended within the warm-up, or there was none. */
function measuredWindow(plan: Plan, final: FinalAccount | null): Manifest["window"] {
  if (final === null || final.windowEndUs < final.loadStartUs + plan.warmUpS * 1e6) return null;
  return { startUs: final.windowStartUs, endUs: final.windowEndUs };
}

/** Rounds and scenarios get different but repeatable loads; both paths of a pair get the same. */
function loadSeed(plan: Plan, run: PlannedRun): number {
  return plan.seed * 1000 + run.round;
}

/** Locust's command for this run. */
function loadCommand(
  run: PlannedRun,
  { plan }: RunContext,
  services: RunServices,
  { app, routes }: { app: App; routes: readonly LoadRoute[] },
): ReturnType<typeof locustCommand> {
  return locustCommand({
    ...services.generator,
    routes,
    headerEnvironment: headerEnvironment(routes),
    ownLocustfile: readLocustfile(app),
    scenario: run.scenario,
    seed: loadSeed(plan, run),
    warmUpS: plan.warmUpS,
    windowS: plan.windowS,
  });
}

/** Drives the load to its end and turns what it recorded into the run's files. */
async function load(
  run: PlannedRun,
  context: RunContext,
  services: RunServices,
  locust: LoadGenerator,
  sampler: Sampler,
  progress: Progress,
): Promise<void> {
  const { plan, events, signal } = context;
  const { folder } = sampler;
  await locust.release();
  progress.loadStarted = new Date().toISOString();
  // Until the generator tells when it began.
  const soonUs = Date.now() * 1000 + plan.warmUpS * 1e6;
  sampler.expectWindow({ startUs: soonUs, endUs: soonUs + plan.windowS * 1e6 });
  let phase: string | null = null;
  const deadline = performance.now() + (plan.warmUpS + plan.windowS + 30) * 1000;
  const broken = () =>
    [...services.services.values()].find((service) =>
      service.name !== "locust" && (service.exit !== null || service.unhealthy !== null)
    );
  let trouble: string | null = null;
  let tcp: Promise<Record<string, TcpState>> | null = null;
  const windowStart = performance.now() + plan.warmUpS * 1000;
  while (locust.exit === null) {
    if (performance.now() >= windowStart) tcp ??= services.tcp();
    if (signal.aborted || broken() !== undefined) break;
    if (performance.now() > deadline) {
      trouble = "Locust did not end 30 s after the window; its log is in logs/";
      break;
    }
    const untilWindow = tcp === null ? windowStart - performance.now() : Infinity;
    const pauseMs = Math.max(0, Math.min(POLL_MS, untilWindow));
    await Promise.race([locust.exited, sleep(pauseMs)]);
    const live = readLive(folder);
    if (live === null) continue;
    if (live.phase !== phase) {
      phase = live.phase;
      sampler.expectWindow({ startUs: live.windowStartUs, endUs: live.windowEndUs });
      events.emit({ event: "phase", order: run.order, phase: live.phase });
    }
    const { users, rps, failuresPerS, p95Ms, late, dropped } = live;
    const { arrivalRate } = run.scenario;
    const open = arrivalRate === null ? {} : { arrivalRate, late, dropped };
    events.emit({ event: "live", order: run.order, users, rps, failuresPerS, p95Ms, ...open });
  }
  const cutShort = locust.exit === null;
  if (tcp !== null) progress.tcp = tcpBetween(await tcp, await services.tcp());
  await locust.stop();
  await locust.collect();
  // Locust removes these, unless it was killed or the disk was full.
  for (const name of readdirSync(folder)) {
    if (name === ".live.json" || /^\..*\.tmp$/.test(name)) rmSync(join(folder, name));
  }
  signal.throwIfAborted();
  const exit = await locust.exited;
  if (!cutShort) trouble ??= explainExit(exit.code, exit.signal, locust.logTail(20));
  // What was measured is kept, whatever went wrong; the first trouble is the one to tell.
  try {
    const disagreement = await collect(folder, progress);
    trouble ??= disagreement;
  } catch (error) {
    if (trouble === null) throw error;
  }
  if (!cutShort) trouble ??= explainEarlyEnd(plan, progress.final);
  if (trouble !== null) throw new PoolscopeError(trouble);
}

/** Locust ended well, and before its time; null when it did not. */
function explainEarlyEnd({ warmUpS, windowS }: Plan, final: FinalAccount | null): string | null {
  if (final === null) return null;
  const [took, planned] = [(final.windowEndUs - final.loadStartUs) / 1e6, warmUpS + windowS];
  return took > 0.9 * planned
    ? null
    : `the load ended by itself after ${took.toFixed(1)} of ${planned} s; let no locustfile quit`;
}

/** Turns what Locust recorded into the run's files, and says what in them disagrees. */
async function collect(folder: string, progress: Progress): Promise<string | null> {
  if (existsSync(join(folder, "final.json"))) progress.final = readFinal(folder);
  const counts = await convertRequests(folder);
  progress.errors = counts.errors;
  return checkCounts(counts, readFinal(folder), readLocustTotals(folder));
}

/** Why the run counts as failed, in one sentence, or null. */
function findFailure(run: PlannedRun, progress: Progress): string | null {
  const { final, thrown, exitCodes } = progress;
  const evidence: Evidence = {
    ...progress,
    scenario: run.scenario,
    exited: Object.fromEntries(
      Object.entries(exitCodes).filter(([name, code]) => name !== "locust" && code !== null),
    ) as Record<string, number>,
    requests: final?.requests ?? 0,
    failures: final?.failures ?? 0,
  };
  const healthy = thrown === null && final !== null && !hasLostProcess(evidence) &&
    final.requests > final.failures && final.failures <= final.requests * MAX_ERROR_RATE;
  return healthy ? null : findCause(evidence);
}
