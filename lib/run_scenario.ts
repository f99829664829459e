/**
 * One run, from nothing to its manifest. Reads as the list of its steps.
 *
 * @module
 */

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findCause } from "./diagnose/causes.ts";
import type { Engine, RunningService, RunServices } from "./engine/engine.ts";
import { PoolscopeError } from "./errors.ts";
import { explainExit, locustCommand, releaseLoad } from "./load/locust.ts";
import {
  checkCounts,
  convertRequests,
  type ErrorCount,
  readFinal,
  readLive,
  readLocustTotals,
} from "./load/requests.ts";
import { type Plan, planHash, type PlannedRun } from "./plan.ts";
import type { EventLog } from "./store/events.ts";
import { hashRunFiles, writeAtomic } from "./store/files.ts";
import { runFolder, SCHEMA_VERSION } from "./store/layout.ts";
import type { FinalAccount, Manifest, ServiceLimits, Verification } from "./store/manifest.ts";
import { Sampler } from "./telemetry/sampler.ts";
import { verifyApp } from "./verify/verify.ts";

/** More failed requests than this share of the window's make the run a failed one. */
export const MAX_ERROR_RATE = 0.01;

/** What all runs of a study share. */
export interface StudyContext {
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
}

/** What the steps of a run leave behind, as far as they came. */
interface Progress {
  verification: Verification | null;
  limits: Record<string, ServiceLimits>;
  appOptions: Record<string, string>;
  exitCodes: Record<string, number | null>;
  logs: Record<string, string>;
  final: FinalAccount | null;
  errors: ErrorCount[];
  loadStarted: string | null;
  thrown: string | null;
}

/**
 * Runs one scenario once and writes its folder; a failure at any step is a result, with its cause
 * in the manifest.
 *
 * @returns The manifest, as written.
 * @throws The signal's reason when it is aborted; the folder then has no manifest.
 */
export async function runScenario(run: PlannedRun, context: StudyContext): Promise<Manifest> {
  const { engine, events, plan, signal } = context;
  const folder = runFolder(context.folder, run.id, run.round);
  const started = new Date();
  // What an interrupted run left here is not part of any result.
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "logs"), { recursive: true });

  const progress: Progress = {
    ...{ verification: null, limits: {}, appOptions: {}, exitCodes: {}, logs: {} },
    ...{ final: null, errors: [], loadStarted: null, thrown: null },
  };
  events.emit({ event: "phase", order: run.order, phase: "start" });
  try {
    await engine.startDatabase(run.scenario);
    await using services = await engine.startRun(run, folder);
    progress.appOptions = services.appOptions;
    try {
      const locust = services.startLoad(loadCommand(run, context, services, folder));
      events.emit({ event: "phase", order: run.order, phase: "verify" });
      progress.verification = await verifyApp(services, run.scenario, signal);
      progress.limits = await services.applyLimits();
      await using _sampler = await Sampler.start(services, folder);
      await load(run, context, services, locust, folder, progress);
    } finally {
      for (const [name, service] of services.services) {
        progress.logs[name] = service.logTail(200);
        progress.exitCodes[name] = service.exit?.code ?? null;
      }
      events.emit({ event: "phase", order: run.order, phase: "stop" });
    }
  } catch (error) {
    signal.throwIfAborted();
    progress.thrown = error instanceof PoolscopeError
      ? error.message
      : `unexpected error: ${(error as Error).message?.split("\n")[0]}`;
  }
  signal.throwIfAborted();

  const ended = new Date();
  const cause = findFailure(run, progress);
  const manifest: Manifest = {
    schemaVersion: SCHEMA_VERSION,
    study: context.study,
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
    overheadS: (ended.getTime() - started.getTime()) / 1000 -
      (progress.final === null ? 0 : plan.warmUpS + plan.windowS),
    warmUpS: plan.warmUpS,
    windowS: plan.windowS,
    window: progress.final &&
      { startUs: progress.final.windowStartUs, endUs: progress.final.windowEndUs },
    engine: engine.name,
    versions: engine.versions,
    ...context.machine,
    limits: progress.limits,
    limitsWarning: engine.limitsWarning,
    appOptions: progress.appOptions,
    exitCodes: progress.exitCodes,
    verification: progress.verification,
    files: await hashRunFiles(folder),
  };
  writeAtomic(join(folder, "manifest.json"), JSON.stringify(manifest, null, 2) + "\n");
  return manifest;
}

/** Rounds and scenarios get different but repeatable loads; both paths of a pair get the same. */
function loadSeed(plan: Plan, run: PlannedRun): number {
  return plan.seed * 1000 + run.round;
}

/** Locust's command for this run. */
function loadCommand(
  run: PlannedRun,
  { plan, engine }: StudyContext,
  services: RunServices,
  folder: string,
): ReturnType<typeof locustCommand> {
  return locustCommand({
    python: engine.python,
    host: services.appUrl,
    scenario: run.scenario,
    seed: loadSeed(plan, run),
    warmUpS: plan.warmUpS,
    windowS: plan.windowS,
    folder,
  });
}

/** Drives the load to its end and turns what it recorded into the run's files. */
async function load(
  run: PlannedRun,
  context: StudyContext,
  services: RunServices,
  locust: RunningService,
  folder: string,
  progress: Progress,
): Promise<void> {
  const { plan, events, signal } = context;
  releaseLoad(folder);
  progress.loadStarted = new Date().toISOString();
  let phase: string | null = null;
  const deadline = performance.now() + (plan.warmUpS + plan.windowS + 30) * 1000;
  const broken = () =>
    [...services.services.values()].find((service) =>
      service.name !== "locust" && service.exit !== null
    );
  while (locust.exit === null) {
    if (signal.aborted || broken() !== undefined) break;
    if (performance.now() > deadline) {
      throw new PoolscopeError("Locust did not end 30 s after the window; its log is in logs/");
    }
    await Promise.race([locust.exited, new Promise((resolve) => setTimeout(resolve, 250))]);
    const live = readLive(folder);
    if (live === null) continue;
    if (live.phase !== phase) {
      phase = live.phase;
      events.emit({ event: "phase", order: run.order, phase: live.phase });
    }
    const { users, rps, failuresPerS, p95Ms } = live;
    events.emit({ event: "live", order: run.order, users, rps, failuresPerS, p95Ms });
  }
  await locust.stop();
  signal.throwIfAborted();
  const exit = await locust.exited;
  const complaint = explainExit(exit.code, exit.signal, locust.logTail(20));
  if (complaint !== null && broken() === undefined) throw new PoolscopeError(complaint);
  const counts = await convertRequests(folder);
  progress.errors = counts.errors;
  progress.final = readFinal(folder);
  const disagreement = checkCounts(counts, progress.final, readLocustTotals(folder));
  if (disagreement !== null) throw new PoolscopeError(disagreement);
}

/** Why the run counts as failed, in one sentence, or null. */
function findFailure(run: PlannedRun, progress: Progress): string | null {
  const { final, thrown, logs, exitCodes, errors } = progress;
  const exited = Object.fromEntries(
    Object.entries(exitCodes).filter(([name, code]) => name !== "locust" && code !== null),
  ) as Record<string, number>;
  const healthy = thrown === null && Object.keys(exited).length === 0 && final !== null &&
    final.requests > final.failures && final.failures <= final.requests * MAX_ERROR_RATE;
  if (healthy) return null;
  return findCause({ scenario: run.scenario, logs, exited, errors, thrown });
}
