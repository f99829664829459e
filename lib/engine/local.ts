/**
 * The engine of this machine: PostgreSQL, PgBouncer, the app and Locust as processes, from what is
 * installed.
 */

import { dirname, join } from "node:path";
import { type App, readApp } from "../apps/app.ts";
import type { ReadyApp } from "../apps/runtime.ts";
import type { Host } from "../hosts/host.ts";
import { LocalHost } from "../hosts/local/local_host.ts";
import { LOCUSTFILE } from "../load/locust.ts";
import type { Scenario } from "../scenario.ts";
import { directDependencies } from "../services/versions.ts";
import { prepareApp } from "../setup/apps.ts";
import { type Tools, toolsFor } from "../setup/mod.ts";
import { installedVersions } from "../setup/python.ts";
import { reachableFolder } from "../setup/stage.ts";
import { ROOT } from "../store/layout.ts";
import { type EngineOptions, HostEngine, type Programs } from "./engine.ts";
import type { ScenarioPrograms } from "./run_services.ts";

/** Options of {@linkcode LocalEngine}. */
export interface LocalEngineOptions extends Omit<EngineOptions, "log"> {
  /** The checkout whose `apps/` and `pgbouncer/` are run. @default this one */
  root?: string;
  /** Where data folders are kept, readable by PostgreSQL's user. @default a folder of `.poolscope/` */
  dataFolder?: string;
  /** Whether services get control groups. @default where this user may make them */
  limits?: boolean;
  /** Another kind of host, on which these programs run as well. @default this machine's processes */
  host?: Host;
}

/** Programs that are installed on this machine. */
class InstalledPrograms implements Programs {
  readonly versions: Record<string, string>;
  readonly images = {};
  #tools = new Map<string, Promise<Tools>>();

  constructor(
    private readonly setup: Tools,
    public root: string,
    private readonly options: EngineOptions,
  ) {
    const { postgres, pgbouncer, python } = setup;
    this.versions = {
      deno: Deno.version.deno,
      python: python.version,
      postgres: postgres.version,
      pgbouncer: pgbouncer.version,
      ...installedVersions(python.folder, directDependencies()),
    };
  }

  async of(scenario: Scenario): Promise<ScenarioPrograms> {
    const { python } = this.setup;
    const app = readApp(scenario.framework, this.root);
    const ready = await this.prepare(app);
    const { postgres, pgbouncer, user } = await this.#toolsFor(scenario);
    return {
      postgres: { command: [], path: [dirname(postgres.postgres)], user },
      pgbouncer: { command: pgbouncer.argv, user },
      app: { command: app.command!, path: ready.programs, folder: ready.folder },
      // Where timings/ is.
      appEnv: { PYTHONPATH: join(this.root, "apps") },
      python: { command: [python.python], path: [join(python.folder, "bin")], folder: ROOT },
      pythonCommand: python.python,
      locustfile: LOCUSTFILE,
      versions: {
        ...ready.versions,
        postgres: postgres.version,
        pgbouncer: pgbouncer.version,
      },
      images: {},
    };
  }

  prepare(app: App): Promise<ReadyApp> {
    return prepareApp(app, { python: this.setup.python, ...this.options });
  }

  /** Looked for once, so that the version stays the same for all runs. */
  #toolsFor(scenario: Scenario): Promise<Tools> {
    const { path, postgresVersion, pgbouncerVersion } = scenario;
    const key = [path, postgresVersion, pgbouncerVersion].join(" ");
    const tools = this.#tools.get(key) ?? toolsFor(this.setup, scenario, this.options);
    this.#tools.set(key, tools);
    return tools;
  }
}

/** Services as processes of this machine. */
export class LocalEngine extends HostEngine<InstalledPrograms> {
  /** @param log Receives a line for each longer step. */
  constructor(
    setup: Tools,
    log: (line: string) => void = () => {},
    options: LocalEngineOptions = {},
  ) {
    const { root = ROOT, dataFolder, limits, signal } = options;
    const programs = new InstalledPrograms(setup, root, { log, signal });
    const folder = dataFolder ?? reachableFolder("postgres", setup.user);
    const host = options.host ?? new LocalHost({ folder, limits });
    super("local", host, programs, { log, signal });
  }

  /** Has the next runs take another checkout's `apps/` and `pgbouncer/`. */
  useRoot(root: string): void {
    this.programs.root = root;
  }

  /** Installs and builds an app, which a later start then finds. */
  async prepareApp(app: App): Promise<void> {
    await this.programs.prepare(app);
  }
}
