/**
 * One group: runs that stand side by side and take turns under load, or one by itself. From nothing to
 * the manifests; reads as the list of its steps.
 */

import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type App, readApp, readLocustfile } from "./apps/app.ts";
import { headerEnvironment } from "./apps/headers.ts";
import type { LoadGenerator } from "./engine/load_service.ts";
import type { RunServices } from "./engine/run_services.ts";
import { PoolscopeError } from "./errors.ts";
import { readSlices } from "./frames/own_time.ts";
import { tcpBetween, type TcpState } from "./hosts/linux/tcp.ts";
import { collectRun, followLoad } from "./load/generator.ts";
import { groupCommand, locustCommand } from "./load/locust.ts";
import type { LiveSample } from "./load/requests.ts";
import { blocksS, loadOf, LONGEST_SLICE_S } from "./groups.ts";
import { LEAST_WARM_UP_S, type Plan, type PlannedRun } from "./plan.ts";
import {
  checkInputs,
  loadS,
  loadSeed,
  plannedS,
  type RunContext,
  RunRecord,
} from "./run_record.ts";
import type { Scenario } from "./scenario.ts";
import { sizeFamilies } from "./stats/pool_sizes.ts";
import { readNetwork } from "./services/network.ts";
import type { FinalAccount, Manifest } from "./store/manifest.ts";
import { readPoolerState } from "./telemetry/pgbouncer.ts";
import { Sampler } from "./telemetry/sampler.ts";
import { deliveriesBetween, verifyNetwork } from "./verify/network.ts";
import { resolveRoutes } from "./verify/routes.ts";
import { readSettings } from "./verify/settings.ts";
import { verifyApp } from "./verify/verify.ts";
import { nounFor } from "./wording/format.ts";

/** One run of a group, up. */
interface Arm {
  record: RunRecord;
  app: App;
  services: RunServices;
  routes: Awaited<ReturnType<typeof resolveRoutes>>;
}

/** As {@linkcode runGroup}, of one run by itself. */
export async function runScenario(run: PlannedRun, context: RunContext): Promise<Manifest> {
  const [manifest] = await runGroup([run], context);
  return manifest!;
}

/**
 * Runs scenarios of one round side by side and writes their folders; a failure at any step is a result,
 * with its cause in the manifest. There is no manifest where one of these is thrown:
 *
 * @throws The signal's reason when it is aborted.
 * @throws {EngineLostError} If the engine is gone.
 * @throws {InputsChangedError} If the inputs are not those of the other runs.
 * @throws {PoolscopeError} If not even a manifest can be written.
 */
export async function runGroup(
  runs: readonly PlannedRun[],
  context: RunContext,
): Promise<Manifest[]> {
  const { engine, signal } = context;
  const records = runs.map((run) => new RunRecord(run, context));
  tell(context, records, "start");
  try {
    await using stack = new AsyncDisposableStack();
    const started = await each(records, (record) => record, async (record, place) => {
      const services = await engine.startRun(record.run, record.folder, place);
      stack.use(services);
      record.noteServices(services);
      return await begin({ record, services }, context);
    });
    await useArms(started, context);
  } catch (error) {
    for (const record of records) record.fail(error);
  }
  signal.throwIfAborted();
  if (records.some(({ thrown }) => thrown !== null)) await engine.checkAlive();
  const manifests = await Promise.all(records.map((record) => record.write()));
  for (const record of records) record.replace();
  return manifests;
}

/** Does a step for each, side by side; what fails is noted of its run, and left out from then on. */
async function each<T, R>(
  all: readonly T[],
  recordOf: (one: T) => RunRecord,
  step: (one: T, place: number) => R | Promise<R>,
): Promise<R[]> {
  const results = await Promise.allSettled(all.map(async (one, place) => await step(one, place)));
  return results.flatMap((result, i) => {
    if (result.status === "fulfilled") return [result.value];
    recordOf(all[i]!).fail(result.reason);
    return [];
  });
}

function tell(
  { events }: RunContext,
  records: readonly RunRecord[],
  phase: "start" | "verify" | "warm-up" | "window" | "stop",
): void {
  for (const { run: { order } } of records) events.emit({ event: "phase", order, phase });
}

const scenarioOf = ({ record: { run } }: Arm) => run.scenario;

const recordOf = ({ record }: Pick<Arm, "record">) => record;

/** What is to be requested of a run's app. */
async function begin(
  { record, services }: Pick<Arm, "record" | "services">,
  { study, others = [] }: RunContext,
): Promise<Arm> {
  const { scenario } = record.run;
  const app = readApp(scenario.framework);
  checkInputs(study, [...others, { scenario, versions: services.versions }]);
  return { record, app, services, routes: await resolveRoutes(app, services.postgres) };
}

/** Verifies the services of all runs, loads them, and notes how they were and how they ended. */
async function useArms(started: readonly Arm[], context: RunContext): Promise<void> {
  if (started.length === 0) return;
  const records = started.map(recordOf);
  let load = prepareLoad(started, context);
  try {
    tell(context, records, "verify");
    for (const record of records) record.step = "verify";
    const verified = await each(started, recordOf, async (arm) => {
      await verify(arm, context);
      return arm;
    });
    if (verified.length === 0) return;
    if (verified.length < started.length) {
      // It knows of those that are not to be loaded.
      await load[Symbol.asyncDispose]();
      load = prepareLoad(verified, context);
    }
    await measure(verified, load, context);
  } catch (error) {
    for (const record of records) record.fail(error);
  } finally {
    for (const { record, services } of started) {
      const { pgbouncer, postgres } = services;
      if (record.thrown !== null && pgbouncer !== null && !context.signal.aborted) {
        record.pooler = await readPoolerState(pgbouncer, postgres.database);
      }
      record.noteEnds(services);
    }
    await load[Symbol.asyncDispose]();
    tell(context, records, "stop");
  }
}

/** The generator of one run or of several, started, and where its files come to lie. */
interface Load extends AsyncDisposable {
  locust: LoadGenerator;
  folder: string;
  /** Brings the files of each run into its folder. */
  collect(): Promise<void>;
}

/** Starts the generator, which takes as long as verifying the apps does. */
function prepareLoad(arms: readonly Arm[], context: RunContext): Load {
  const { plan, folder: study } = context;
  const [{ record, services, routes, app }] = arms as [Arm];
  if (!takeTurns(plan, arms)) {
    const load = services.placeLoad(record.folder);
    const locust = load.start(locustCommand({
      ...load.place,
      host: services.target,
      routes,
      headerEnvironment: headerEnvironment(routes),
      ownLocustfile: readLocustfile(app),
      scenario: record.run.scenario,
      seed: loadSeed(plan, record.run),
      ...loadOf(plan),
    }));
    const { folder } = record;
    return { locust, folder, collect: () => locust.collect(folder), ...disposalOf(load) };
  }
  const folder = join(study, `.group-${record.run.order}`);
  // What an interrupted start left here would let the generator go, or show its last second.
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "logs"), { recursive: true });
  const load = services.placeLoad(folder, arms.slice(1).map((arm) => arm.services));
  const locust = load.start(groupCommand({
    ...load.place,
    sliceS: plan.windowS,
    warmUpS: Math.max(LEAST_WARM_UP_S, plan.warmUpS),
    blocksS: blocksS(plan, arms.map(scenarioOf)),
    seed: loadSeed(plan, record.run),
    candidates: candidatesOf(arms.map(scenarioOf)),
    headerEnvironment: Object.assign({}, ...arms.map((arm) => headerEnvironment(arm.routes))),
    arms: arms.map((arm, i) => ({
      folder: join(load.place.folder, String(i)),
      host: arm.services.target,
      routes: arm.routes,
      scenario: arm.record.run.scenario,
      ownLocustfile: readLocustfile(arm.app),
      seed: loadSeed(plan, arm.record.run),
    })),
  }));
  const collect = async () => {
    await locust.collect(folder);
    await each(arms, recordOf, ({ record }, i) => {
      record.slices = 0;
      const from = join(folder, String(i));
      const names = existsSync(from) ? readdirSync(from) : [];
      for (const name of names) renameSync(join(from, name), join(record.folder, name));
      copyFileSync(join(folder, "logs", "locust.log"), join(record.folder, "logs", "locust.log"));
      record.slices = readSlices(record.folder)?.filter(({ block }) => block > 0).length ?? 0;
    });
  };
  return { locust, folder, collect, ...disposalOf(load, folder) };
}

/** The places of arms of whose pool sizes one is to be selected. */
function candidatesOf(scenarios: readonly Scenario[]): number[] {
  const selected = sizeFamilies(scenarios).flat();
  return scenarios.flatMap((scenario, place) => selected.includes(scenario) ? [place] : []);
}

function disposalOf(load: AsyncDisposable, folder?: string): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      try {
        await load[Symbol.asyncDispose]();
      } finally {
        if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

/** Whether runs take turns under load; one that is left by itself is loaded all the time. */
function takeTurns(plan: Plan, arms: readonly Arm[]): boolean {
  return plan.design === "alternating" && arms.length > 1;
}

/** Checks one run's services before any load, and puts its limits in force. */
async function verify({ record, services, routes }: Arm, context: RunContext): Promise<void> {
  const { study, others = [], signal, readyTimeoutS } = context;
  const { id: scenarioId, scenario } = record.run;
  record.verification = await verifyApp(services, scenario, { signal, readyTimeoutS, routes });
  record.inputs.settings = await readSettings(services, scenario);
  checkInputs(study, [...others, { scenarioId, inputs: record.inputs }]);
  record.network = await verifyNetwork(services, scenario);
  await services.holdIdle();
  record.limits = await services.applyLimits();
  record.cpuSets = services.cpuSets;
}

/** Samples all runs and loads them; one that cannot be sampled is loaded beside the others. */
async function measure(arms: readonly Arm[], load: Load, context: RunContext): Promise<void> {
  const sampled = await each(arms, recordOf, async ({ services, record }) => {
    const { network } = services;
    const before = network && await readNetwork(network.control);
    const sampler = await Sampler.start(services, record.folder);
    record.step = "load";
    return { record, network, before, sampler };
  });
  if (sampled.length === 0) return;
  try {
    await follow(arms, load, sampled.map(({ sampler }) => sampler), context);
    await each(sampled, recordOf, async ({ record, network, before }) => {
      if (before === null) return;
      record.network!.deliveries = deliveriesBetween(before, await readNetwork(network!.control));
    });
  } finally {
    await each(sampled, recordOf, ({ sampler }) => sampler[Symbol.asyncDispose]());
  }
}

/** Seconds in which the last drain of a turn, or a warm-up that gets no steadier, is over (blocks.py). */
const LONGEST_DRAIN_S = 60;
const LONGEST_WARM_UP_S = 30;

/** Seconds after which a generator that loads arms in turn is stuck. */
function longestS(plan: Plan, arms: readonly Arm[]): number {
  const aroundS = arms.map(({ record: { run: { scenario } } }) =>
    (scenario.users ?? 0) / scenario.spawnRate +
    Math.max(LONGEST_WARM_UP_S, 3 * Math.max(LEAST_WARM_UP_S, plan.warmUpS)) +
    Math.max(LONGEST_SLICE_S, plan.windowS) + 2 * LONGEST_DRAIN_S
  );
  return aroundS.reduce((sum, seconds) => sum + seconds, blocksS(plan, arms.map(scenarioOf)));
}

async function follow(
  arms: readonly Arm[],
  load: Load,
  samplers: readonly Sampler[],
  context: RunContext,
): Promise<void> {
  const { plan, signal } = context;
  const turns = takeTurns(plan, arms);
  const { warmUpS, windowS } = loadOf(plan);
  await load.locust.release();
  const loadStarted = new Date().toISOString();
  for (const { record } of arms) record.loadStarted = loadStarted;
  // Until the generator tells when it began.
  const soonUs = Date.now() * 1000 + warmUpS * 1e6;
  const expect = (startUs: number, endUs: number) =>
    samplers.forEach((sampler) => sampler.expectWindow({ startUs, endUs }));
  expect(soonUs, soonUs + windowS * 1e6);
  let tcp: Promise<Record<string, TcpState>[]> | null = null;
  const readTcp = () => Promise.all(arms.map(({ services }) => services.tcp()));
  let phase: string | null = null;
  const ended = await followLoad(load.locust, load.folder, {
    loadS: turns ? longestS(plan, arms) : warmUpS + windowS,
    signal,
    // Of several, those that are left are worth their time while there is a pair of them.
    isBroken: () => arms.filter(stands).length < Math.min(2, arms.length),
    ...(!turns && { at: { seconds: warmUpS, act: () => void (tcp = readTcp()) } }),
    onLive(live) {
      if (live.phase !== phase) {
        phase = live.phase;
        if (turns && live.phase === "window") tcp = readTcp();
        tell(context, arms.map(({ record }) => record), live.phase);
      }
      expect(live.windowStartUs, live.windowEndUs);
      for (const [i, { record: { run } }] of arms.entries()) showLive(run, live, i, context);
    },
    async onEnd() {
      const [before, after] = tcp === null ? [[], []] : await Promise.all([tcp, readTcp()]);
      before.forEach((counts, i) => arms[i]!.record.tcp = tcpBetween(counts, after[i]!));
    },
  });
  await load.collect();
  signal.throwIfAborted();
  for (const { record } of arms) {
    await judge(record, ended, plan).catch((error) => record.fail(error));
  }
}

/** Whether none of an arm's services has ended. */
function stands({ services: { services } }: Arm): boolean {
  return [...services.values()].every(({ name, exit }) => name === "locust" || exit === null);
}

function showLive(run: PlannedRun, live: LiveSample, arm: number, { events }: RunContext): void {
  const { users, rps, failuresPerS, p95Ms, late, dropped } = live.arms?.[arm] ?? live;
  const { order, scenario: { arrivalRate } } = run;
  const open = arrivalRate === null ? {} : { arrivalRate, late, dropped };
  events.emit({ event: "live", order, users, rps, failuresPerS, p95Ms, ...open });
}

/** Reads what was recorded of a run; throws of nothing, what was wrong is noted. */
async function judge(
  record: RunRecord,
  { trouble, cutShort }: { trouble: string | null; cutShort: boolean },
  plan: Plan,
): Promise<void> {
  const end = await collectRun(record.folder, trouble);
  record.final = end.final;
  record.errors = end.errors;
  const early = end.trouble ?? explainSilence(end.final) ??
    (cutShort ? null : explainEarlyEnd(plan, record, end.final));
  if (early !== null) record.fail(new PoolscopeError(early));
}

/** An arm that hangs gets no more turns; null of one that does not. */
function explainSilence(final: FinalAccount | null): string | null {
  const silentS = final?.lost?.silentS;
  if (silentS == null) return null;
  const requests = `${final!.unfinished} ${nounFor(final!.unfinished, "request")}`;
  return `the app left ${requests} without an answer for ${silentS} s, and was loaded no more`;
}

/** Locust ended well, and before its time; null when it did not. */
function explainEarlyEnd(plan: Plan, record: RunRecord, final: FinalAccount | null): string | null {
  if (final === null) return null;
  if (record.slices !== null) {
    return record.slices > 0 ? null : "the load ended before the run had its first turn";
  }
  const [took, planned] = [loadS(plan, record), plannedS(plan)];
  return took > 0.9 * planned
    ? null
    : `the load ended by itself after ${took.toFixed(1)} of ${planned} s; let no locustfile quit`;
}
