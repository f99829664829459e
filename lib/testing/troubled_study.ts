/** Runs that meet trouble: real services, real load, and what is wrong done to them. */

import { equal, ok } from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gatesOfRun } from "../diagnose/gates.ts";
import type { LoadService } from "../engine/load_service.ts";
import type { RunServices } from "../engine/run_services.ts";
import { LocalEngine } from "../engine/local.ts";
import { type Plan, type PlannedRun, planRuns } from "../plan.ts";
import { readGates } from "../report/readings.ts";
import { readRun } from "../report/read_run.ts";
import { loadStudy, type Study } from "../report/study.ts";
import { runScenario } from "../run_group.ts";
import type { RunContext } from "../run_record.ts";
import { createScenario, type Scenario, scenarioId } from "../scenario.ts";
import type { RunSummary } from "../stats/summary.ts";
import { EventLog } from "../store/events.ts";
import { runFolder } from "../store/layout.ts";
import { override } from "./override.ts";

/** What one run meets. */
export interface Trouble {
  scenario?: Partial<Scenario>;
  /** @default 1 */
  warmUpS?: number;
  /** @default 3 */
  windowS?: number;
  /** @default false */
  functionalCheck?: boolean;
  /** What of the services is not as it should be. */
  change?: Partial<RunServices>;
  /** Added to Locust's environment. */
  locustEnv?: Record<string, string>;
  /** When the load begins; what it returns is called when the load has ended. */
  onLoad?: (services: RunServices) => (() => void) | void;
}

/** A local engine whose next run meets trouble. */
export class TroubledEngine extends LocalEngine {
  trouble: Trouble = {};

  override async startRun(run: PlannedRun, folder: string, place?: number): Promise<RunServices> {
    const { change = {}, locustEnv, onLoad } = this.trouble;
    const services = await super.startRun(run, folder, place);
    return override(services, {
      ...change,
      placeLoad: (...where) => {
        const load = services.placeLoad(...where);
        const start: LoadService["start"] = (command) => {
          const locust = load.start({ ...command, env: { ...command.env, ...locustEnv } });
          const { release } = locust;
          return Object.assign(locust, {
            release: async () => {
              const end = onLoad?.(services);
              if (end !== undefined) locust.exited.then(end);
              await release();
            },
          });
        };
        return override(load, { start });
      },
    });
  }
}

/** Runs on one engine, each with its own trouble, and reads them as a report does. */
export class TroubledStudy implements AsyncDisposable {
  readonly folder = Deno.makeTempDirSync({ prefix: "poolscope-gates-" });
  #count = 0;

  constructor(readonly engine: TroubledEngine) {}

  #context(plan: Plan): RunContext {
    return {
      study: plan.name,
      folder: this.folder,
      plan,
      engine: this.engine,
      events: new EventLog(join(this.folder, "events.jsonl")),
      machine: {
        gitCommit: null,
        host: { cpus: navigator.hardwareConcurrency, cpuModel: "", memoryMiB: 1, kernel: "" },
      },
      signal: new AbortController().signal,
    };
  }

  /** One run; `damage` is done to its folder before it is read. */
  async run(trouble: Trouble, damage: (folder: string) => void = () => {}): Promise<RunSummary> {
    this.engine.trouble = trouble;
    const { warmUpS = 1, windowS = 3, functionalCheck = false } = trouble;
    const scenario = createScenario({
      framework: "flask",
      path: "direct",
      workers: 1,
      dbCpus: null,
      dbMemoryMiB: null,
      ...(trouble.scenario?.arrivalRate == null ? { users: 10 } : {}),
      ...trouble.scenario,
    });
    const plan: Plan = {
      name: "gates",
      purpose: "Gates.",
      functionalCheck,
      rounds: 1,
      seed: 1,
      warmUpS,
      windowS,
      scenarios: [scenario],
    };
    const round = ++this.#count;
    const planned = { id: scenarioId(scenario), scenario, round, order: round };
    await runScenario(planned, this.#context(plan));
    damage(runFolder(this.folder, planned.id, round));
    const read = await readRun(this.folder, planned);
    console.log(`  ${read!.run.status}: ${read!.run.cause} [${gatesOfRun(read!.run).join(" ")}]`);
    return read!.run;
  }

  /** A whole study of a plan, in a folder of its own. */
  async study(plan: Plan): Promise<Study> {
    this.engine.trouble = {};
    writeFileSync(join(this.folder, "plan.json"), JSON.stringify(plan));
    for (const planned of planRuns(plan)) await runScenario(planned, this.#context(plan));
    const study = await loadStudy(this.folder);
    console.log(String(readGates(study)));
    return study;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A run that is rejected, by this gate among others. */
export function rejectedBy(run: RunSummary, gate: string): void {
  equal(run.status, "rejected", `${run.status}: ${run.cause}`);
  ok(gatesOfRun(run).includes(gate), gatesOfRun(run).join());
}

/** A run with this gate, whatever else this machine has to do meanwhile. */
export function saidBy(run: RunSummary, gate: string): void {
  ok(gatesOfRun(run).includes(gate), `${run.cause}: ${gatesOfRun(run).join()}`);
}
