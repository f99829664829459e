/** Runs that meet faults: studies of several runs on one engine, each with its own. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../engine/engine.ts";
import type { LoadService } from "../engine/load_service.ts";
import type { RunServices } from "../engine/run_services.ts";
import type { LocalEngine } from "../engine/local.ts";
import type { LocalInstance } from "../hosts/local/instance.ts";
import type { Plan, PlannedRun } from "../plan.ts";
import { runScenario } from "../run_group.ts";
import type { RunContext } from "../run_record.ts";
import { createScenario, type Scenario, scenarioId } from "../scenario.ts";
import { EventLog } from "../store/events.ts";
import { readManifest } from "../store/files.ts";
import { runFolder } from "../store/layout.ts";
import type { Manifest } from "../store/manifest.ts";
import { override } from "./override.ts";

/** What happens to a run, and when. */
export interface Fault {
  scenario?: Partial<Scenario>;
  /** @default 0.5 */
  warmUpS?: number;
  /** @default 2 */
  windowS?: number;
  /** @default 60 */
  readyTimeoutS?: number;
  /** Before anything is started. */
  onStart?: () => void | Promise<void>;
  /** When everything is started, before it is verified. */
  whenStarted?: (services: RunServices) => Promise<unknown>;
  /** When the app is verified, before the load. */
  beforeLoad?: (services: RunServices) => Promise<unknown>;
  /** When the load has gone on for a second. */
  duringLoad?: (services: RunServices) => unknown;
  /** Added to Locust's environment. */
  locustEnv?: Record<string, string>;
  /** Runs that this one is to be compared with. */
  others?: Manifest[];
}

/** A local engine whose next run meets a fault. */
class FaultyEngine implements Engine {
  readonly name = "local";
  /** The processes of the last run. */
  started: LocalInstance[] = [];
  fault: Fault = {};

  constructor(readonly inner: LocalEngine) {}

  get root() {
    return this.inner.root;
  }
  get limitsWarning() {
    return this.inner.limitsWarning;
  }
  get versions() {
    return this.inner.versions;
  }
  get host() {
    return this.inner.host;
  }
  get images() {
    return this.inner.images;
  }

  checkAlive(): Promise<void> {
    return this.inner.checkAlive();
  }

  checkServerSettings(scenarios: readonly Scenario[]): Promise<void> {
    return this.inner.checkServerSettings(scenarios);
  }

  async startRun(run: PlannedRun, folder: string, place?: number): Promise<RunServices> {
    const { beforeLoad, duringLoad, locustEnv } = this.fault;
    this.started = [];
    await this.fault.onStart?.();
    const services = await this.inner.startRun(run, folder, place);
    this.started = [...services.services.values()] as LocalInstance[];
    await this.fault.whenStarted?.(services);
    return override(services, {
      applyLimits: async () => {
        const limits = await services.applyLimits();
        await beforeLoad?.(services);
        return limits;
      },
      placeLoad: (...where) => {
        const load = services.placeLoad(...where);
        const start: LoadService["start"] = (command) => {
          const locust = load.start({ ...command, env: { ...command.env, ...locustEnv } });
          this.started.push(locust as unknown as LocalInstance);
          if (duringLoad !== undefined) {
            const timer = setInterval(() => {
              if (!existsSync(join(folder, ".live.json"))) return;
              clearInterval(timer);
              duringLoad(services);
            }, 20);
            locust.exited.then(() => clearInterval(timer));
          }
          return locust;
        };
        return override(load, { start });
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.inner[Symbol.asyncDispose]();
  }
}

/**
 * What a run waits for that met a fault, however fast the machine: a server's last readings, and what
 * does not end when told, 3 s each. Whoever waits for what never comes waits for 30 or 60 s.
 */
const WAITS_S = 10;

/** One study of several runs on one engine, each with its own fault. */
export class FaultyStudy implements AsyncDisposable {
  readonly folder: string;
  #engine: FaultyEngine;
  #round = 0;
  /** Seconds that a good run takes here beside its load. */
  #goodS = Infinity;

  private constructor(engine: LocalEngine, folder: string) {
    this.#engine = new FaultyEngine(engine);
    this.folder = folder;
  }

  /** Begins with a good run, by which the others' time is judged. */
  static async open(
    engine: LocalEngine,
    folder = Deno.makeTempDirSync({ prefix: "poolscope-faults-" }),
  ): Promise<FaultyStudy> {
    const study = new FaultyStudy(engine, folder);
    study.#goodS = await study.succeeds();
    return study;
  }

  /** A run is short beside its load and what is waited for, also when its load was cut short. */
  #isShort({ overheadS }: Manifest, readyTimeoutS = 0): void {
    const limitS = readyTimeoutS + WAITS_S + 4 * this.#goodS;
    ok(overheadS > 0 && overheadS < limitS, `${overheadS} s of ${limitS} s`);
  }

  /** Runs one scenario with a fault; nothing of it may be left running. */
  async run(fault: Fault): Promise<{ manifest: Manifest; folder: string }> {
    this.#engine.fault = fault;
    const scenario = createScenario({
      framework: "fastapi",
      path: "direct",
      users: 10,
      // Faults need neither more processes nor full speed, and other tests need the machine.
      workers: 1,
      thinkTimeMinS: 0.05,
      thinkTimeMaxS: 0.05,
      ...fault.scenario,
    });
    const round = ++this.#round;
    const run = { id: scenarioId(scenario), scenario, round, order: round };
    const { warmUpS = 0.5, windowS = 2, readyTimeoutS = 60 } = fault;
    const plan: Plan = {
      name: "faults",
      purpose: "Faults.",
      functionalCheck: true,
      rounds: 1,
      seed: 1,
      warmUpS,
      windowS,
      scenarios: [scenario],
    };
    const context: RunContext = {
      others: fault.others,
      study: "faults",
      folder: this.folder,
      plan,
      engine: this.#engine,
      readyTimeoutS,
      events: new EventLog(join(this.folder, "events.jsonl")),
      machine: { gitCommit: null, host: { cpus: 1, cpuModel: "", memoryMiB: 1, kernel: "" } },
      signal: new AbortController().signal,
    };
    try {
      const manifest = await runScenario(run, context);
      const folder = runFolder(this.folder, run.id, round);
      deepEqual(readManifest(folder), JSON.parse(JSON.stringify(manifest)));
      deepEqual(readdirSync(folder).filter((name) => /^\.|\.tmp$/.test(name)), []);
      return { manifest, folder };
    } finally {
      const { started } = this.#engine;
      deepEqual(started.filter((service) => service.members().length > 0).map((s) => s.name), []);
    }
  }

  /** A run that must fail with this cause, in one line. */
  async fails(
    fault: Fault,
    cause: string | RegExp,
  ): Promise<{ manifest: Manifest; folder: string }> {
    const result = await this.run(fault);
    const { manifest } = result;
    console.log(`  ${manifest.cause}`);
    equal(manifest.status, "failed");
    if (typeof cause === "string") equal(manifest.cause, cause);
    else match(manifest.cause!, cause);
    ok(!manifest.cause!.includes("\n") && manifest.cause!.length < 400, manifest.cause!);
    ok(!manifest.cause!.includes(this.folder), manifest.cause!);
    this.#isShort(manifest, fault.readyTimeoutS);
    return result;
  }

  /** The next run succeeds, whatever the last one met; gives its seconds beside the load. */
  async succeeds(): Promise<number> {
    const { manifest } = await this.run({ warmUpS: 0.2, windowS: 0.5 });
    deepEqual([manifest.cause, manifest.status], [null, "ok"]);
    this.#isShort(manifest);
    return manifest.overheadS;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The numbers of a run whose load ran, at least for a while, are kept. */
export function keepsNumbers(
  { manifest, folder }: { manifest: Manifest; folder: string },
  planned: { windowS: number; whole: boolean },
): void {
  const { window } = manifest;
  ok(window !== null);
  const seconds = (window.endUs - window.startUs) / 1e6;
  // Locust ends a whole one as soon as it comes to run.
  ok(planned.whole === seconds >= planned.windowS, `${seconds} s of ${planned.windowS} s`);
  const final = JSON.parse(readFileSync(join(folder, "final.json"), "utf8"));
  const rows = readFileSync(join(folder, "requests.csv"), "utf8").trimEnd().split("\n").length - 1;
  equal(rows, final.requests + final.unfinished + final.warmUpRequests);
  ok(final.requests > 0);
  for (const name of ["requests.csv", "final.json", "locust_stats.csv", "resources.csv"]) {
    ok(manifest.files[name] !== undefined, name);
  }
}
