/**
 * What a study needs of the place where services run: a host, and the programs that are started on
 * it. Nothing above this knows which kind of host it is.
 */

import { readApp } from "../apps/app.ts";
import type { Host } from "../hosts/host.ts";
import type { PlannedRun } from "../plan.ts";
import type { Scenario } from "../scenario.ts";
import { byServerVersions, checkServerSettings, hostPrograms } from "../services/server_checks.ts";
import { ensureSeeded } from "../services/postgres.ts";
import type { Manifest } from "../store/manifest.ts";
import { RunServices, type ScenarioPrograms } from "./run_services.ts";

/** Where services run. */
export interface Engine extends AsyncDisposable {
  /** `local` or `docker`. */
  readonly name: Manifest["engine"];
  /** The checkout whose `apps/` and `pgbouncer/` are run. */
  readonly root: string;
  /** One sentence for the reader when limits cannot be set here; null when they can. */
  readonly limitsWarning: string | null;
  /** The machine on which services run; null when it is this one. */
  readonly host: Manifest["host"] | null;
  /** Versions of everything that is started. */
  readonly versions: Record<string, string>;
  /** The images of what is started, by service, with their digests; empty without images. */
  readonly images: Record<string, string>;
  /**
   * Gets the versions of PostgreSQL and PgBouncer that scenarios ask for, and has them check what is
   * set by their own names.
   *
   * @throws {PoolscopeError} If a version cannot be had.
   * @throws {UsageError} If a setting is unknown or refused.
   */
  checkServerSettings(scenarios: readonly Scenario[]): Promise<void>;
  /**
   * Starts PostgreSQL with the app's rows, PgBouncer, if pooled, and the app.
   *
   * @param folder The run's folder, with `logs/`.
   * @param place Its place among those that stand side by side, from 0. @default 0
   * @throws {PoolscopeError} If something cannot be started; nothing of it runs then.
   */
  startRun(run: PlannedRun, folder: string, place?: number): Promise<RunServices>;
  /**
   * Looks whether the host itself still works, so that no further run is tried without it.
   *
   * @throws {EngineLostError} If it does not.
   */
  checkAlive(): Promise<void>;
}

/** What is there to be started. */
export interface Programs extends Pick<Engine, "root" | "versions" | "images"> {
  /**
   * What a scenario's services are started from, installed or built where it is missing.
   *
   * @throws {PoolscopeError} If a version that it asks for cannot be had, or its app not be built.
   */
  of(scenario: Scenario): Promise<ScenarioPrograms>;
}

/** Options of {@linkcode HostEngine}. */
export interface EngineOptions {
  /** Receives a line for each longer step. @default nobody */
  log?: (line: string) => void;
  /** Ends what is being started; what runs is ended by disposing of the engine. */
  signal?: AbortSignal;
}

/** An engine on one host. */
export class HostEngine<P extends Programs = Programs> implements Engine {
  readonly limitsWarning: Engine["limitsWarning"];
  readonly host: Engine["host"];
  readonly versions: Engine["versions"];
  readonly images: Engine["images"];
  #seeding = new Map<string, ReturnType<typeof ensureSeeded>>();

  constructor(
    readonly name: Manifest["engine"],
    private readonly on: Host,
    protected readonly programs: P,
    private readonly options: EngineOptions = {},
  ) {
    this.limitsWarning = on.limitsWarning;
    this.host = on.machine;
    this.versions = programs.versions;
    this.images = programs.images;
  }

  get root(): string {
    return this.programs.root;
  }

  async checkServerSettings(scenarios: readonly Scenario[]): Promise<void> {
    for (const own of byServerVersions(scenarios)) {
      await checkServerSettings(own, hostPrograms(this.on, await this.programs.of(own[0]!)));
    }
  }

  async startRun(run: PlannedRun, folder: string, place = 0): Promise<RunServices> {
    const { signal } = this.options;
    signal?.throwIfAborted();
    const { framework } = run.scenario;
    const app = readApp(framework, this.root);
    const programs = await this.programs.of(run.scenario);
    const kept = await this.#seeded(framework, programs);
    const { on: host, root } = this;
    const options = { host, root, app, programs, kept, run, folder, signal, place };
    const started = new RunServices(options);
    try {
      await started.start();
      return started;
    } catch (error) {
      await started[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs that start side by side wait for one seeding. */
  async #seeded(framework: string, programs: ScenarioPrograms) {
    const app = readApp(framework);
    const { postgres: program, versions: { postgres: version } } = programs;
    const { log = () => {}, signal } = this.options;
    const key = `${version} ${app.folder}`;
    const seeding = this.#seeding.get(key) ??
      ensureSeeded(this.on, app, { program, version, log, signal });
    this.#seeding.set(key, seeding);
    try {
      return await seeding;
    } finally {
      this.#seeding.delete(key);
    }
  }

  async checkAlive(): Promise<void> {
    await this.on.checkAlive();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.on[Symbol.asyncDispose]();
  }
}
