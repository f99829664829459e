/** The services of one run and the order in which they start and end, whatever host they are on. */

import { join } from "node:path";
import type { App } from "../apps/app.ts";
import { PoolscopeError } from "../errors.ts";
import type {
  Address,
  Host,
  HostNetwork,
  Instance,
  Kept,
  Program,
  ServiceUsage,
} from "../hosts/host.ts";
import type { TcpState } from "../hosts/linux/tcp.ts";
import type { PlannedRun } from "../plan.ts";
import { type Leg, legsOf } from "../scenario.ts";
import { placeApp, startApp, TIMINGS } from "../services/app.ts";
import {
  allAppTimings,
  type AppTimings,
  GO_ON,
  PAGE_NUMBERS,
  PAUSE,
  PAUSED_FILE,
} from "../services/app_timings.ts";
import { type Access, APP_USER } from "../services/database.ts";
import {
  entryOf,
  placeNetwork,
  readNetwork,
  type RunNetwork,
  startNetwork,
} from "../services/network.ts";
import { holdIdle } from "../services/idle.ts";
import { PGBOUNCER_PORT, placePgbouncer, startPgbouncer } from "../services/pgbouncer.ts";
import {
  makePasswords,
  placePostgres,
  POSTGRES_PORT,
  startPostgres,
  syncPostgres,
} from "../services/postgres.ts";
import { makeCertificates } from "../services/tls.ts";
import { limitsOf } from "../settings.ts";
import type { ServiceLimits } from "../store/manifest.ts";
import { divideCores } from "./cpu_sets.ts";
import { type LoadService, placeLoad } from "./load_service.ts";

/** The programs of one scenario. */
export interface ScenarioPrograms {
  postgres: Program;
  pgbouncer: Program;
  app: Program;
  /** Variables that the app needs where it runs. */
  appEnv: Record<string, string>;
  /** Python with Locust. */
  python: Program;
  /** Python's command, as a process beside it would give it. */
  pythonCommand: string;
  /** The locustfile, as Locust sees it. */
  locustfile: string;
  /** Versions of what this run has and others may not: of the servers, and of what the app runs on. */
  versions: Record<"postgres" | "pgbouncer", string> & Record<string, string>;
  /** The images of the servers, by service, with their digests; empty without images. */
  images: Record<string, string>;
}

/** What a run's services are started with. */
export interface ServicesOptions {
  host: Host;
  /** The checkout whose `pgbouncer/` is run. */
  root: string;
  app: App;
  programs: ScenarioPrograms;
  /** The seeded data folder. */
  kept: Kept;
  run: PlannedRun;
  /** The run's folder, with `logs/`. */
  folder: string;
  signal?: AbortSignal;
  /** Its place among those that stand side by side, from 0. @default 0 */
  place?: number;
}

/** Everything that one run consists of, on one host. */
export class RunServices implements AsyncDisposable {
  /** The value that the app gives back on its health path, so that it is known to be ours. */
  readonly nonce: string = crypto.randomUUID();
  readonly services = new Map<string, Instance>();
  readonly versions: ScenarioPrograms["versions"];
  readonly images: ScenarioPrograms["images"];
  /** Where the app answers, without a slash at the end. */
  appUrl = "";
  /** Where the app answers without the database. */
  healthUrl = "";
  /** What the scenario says to the app, by the names of its environment variables. */
  appOptions: Record<string, string> = {};
  /** PgBouncer's console; null when the path is direct. */
  pgbouncer: Access | null = null;
  /** The network between the services; null when no leg takes time. */
  network: RunNetwork | null = null;
  /** The cores that each service has for itself; null when they all share the host's. */
  cpuSets: Record<string, string> | null = null;
  #cores: Record<string, string> | null;
  #hostNetwork: HostNetwork | null = null;
  #idle: AsyncDisposable | null = null;
  #appPassword = "";
  #postgres: Access | null = null;
  #synced: Promise<void> = Promise.resolve();

  constructor(readonly options: ServicesOptions) {
    const { host, programs, run } = options;
    this.versions = programs.versions;
    this.images = programs.images;
    this.#cores = host.cores === null ? null : divideCores(host.cores, run.scenario.dbCpus);
  }

  /** PostgreSQL, connected to the run's database. */
  get postgres(): Access {
    return this.#postgres!;
  }

  /** Starts everything side by side; PostgreSQL answers then, and the network can be entered. */
  async start(): Promise<void> {
    const { host, programs, app, kept, run: { scenario }, place = 0 } = this.options;
    this.#hostNetwork = await host.network("run");
    this.include(placePostgres(host, kept, this.placeOf("postgres", programs.postgres)));
    if (scenario.path === "pooled") {
      this.include(placePgbouncer(host, this.placeOf("pgbouncer", programs.pgbouncer)));
    }
    const slow = placeNetwork(host, scenario, this.placeOf("network", programs.python));
    if (slow !== null) this.include(slow);
    const alias = place === 0 ? app.name : `${app.name}-${place}`;
    this.include(placeApp(host, app, { ...this.placeOf("app", programs.app), alias }));
    await this.#startAll();
  }

  /** What a service beside the others is placed with. */
  placeOf(service: string, program: Program) {
    const { run: { id, round }, folder } = this.options;
    return {
      program,
      network: this.#hostNetwork!,
      run: `${id}/round-${round}`,
      logFile: join(folder, "logs", `${service}.log`),
    };
  }

  /**
   * Makes room for the load generator of this run, and of others beside it.
   *
   * @param folder The folder that it writes into, with `logs/`.
   */
  placeLoad(folder: string, others: readonly RunServices[] = []): LoadService {
    return placeLoad(this, others, folder);
  }

  /** Counts a service among the run's: its use is read, and it ends with them. */
  include(instance: Instance): void {
    this.services.set(instance.name, instance);
  }

  async #startAll(): Promise<void> {
    const { services } = this;
    const [postgres, served] = [services.get("postgres")!, services.get("app")!];
    const [pgbouncer, network] = [services.get("pgbouncer"), services.get("network") ?? null];
    const { app, kept, programs, root, run: { scenario }, signal } = this.options;
    const cores = this.#cores ?? {};
    const legs = legsOf(scenario);
    const target = (name: Leg["name"]): Address =>
      name === "appPgbouncer"
        ? pgbouncer!.reachedAt(PGBOUNCER_PORT)
        : postgres.reachedAt(POSTGRES_PORT);
    const enter = (leg: Leg) => entryOf(network, leg, target(leg.name));
    const passwords = makePasswords(scenario);
    this.#appPassword = passwords.app;
    const certificates = legs.some(({ tls }) => tls) ? await makeCertificates() : null;
    const steps: Promise<unknown>[] = [
      startPostgres(postgres, scenario, {
        kept,
        passwords,
        certificates,
        cores: cores.postgres,
        signal,
      }).then((access) => {
        this.#postgres = access;
        this.#synced = syncPostgres(postgres);
        // Told when the limits are applied.
        this.#synced.catch(() => {});
      }),
      startApp(served, app, scenario, {
        nonce: this.nonce,
        database: enter(legs[0]!),
        password: passwords.app,
        certificates,
        env: programs.appEnv,
        cores: cores.app,
      }).then((options) => this.appOptions = options),
    ];
    if (pgbouncer !== undefined) {
      steps.push(
        startPgbouncer(pgbouncer, scenario, {
          templates: join(root, "pgbouncer"),
          database: enter(legs.at(-1)!),
          appSecret: passwords.appSecret,
          certificates,
          cores: cores.pgbouncer,
        }).then((access) => this.pgbouncer = access),
      );
    }
    if (network !== null) {
      steps.push(
        startNetwork(network, scenario, target).then((started) => this.network = started),
      );
    }
    const results = await Promise.allSettled(steps);
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    const { host, port } = await served.address(app.containerPort);
    this.appUrl = `http://${host}:${port}`;
    this.healthUrl = this.appUrl + app.healthPath;
  }

  /** Puts the scenario's limits in force and reads back what holds. */
  async applyLimits(): Promise<Record<string, ServiceLimits>> {
    await this.#synced;
    const planned = limitsOf(this.options.run.scenario);
    const limits: Record<string, ServiceLimits> = {};
    const cpuSets: Record<string, string> = {};
    await Promise.all([...this.services].map(async ([name, instance]) => {
      // The network stands for cables, which nobody limits; why a generator ended, the load tells.
      if (name === "network") return;
      const asked = planned[name];
      try {
        const { cores, limits: readBack } = await instance.limit(asked ?? null);
        if (cores !== null) cpuSets[name] = cores;
        if (asked !== undefined) limits[name] = { asked, readBack };
      } catch (error) {
        if (name !== "locust" || instance.exit === null) throw error;
      }
    }));
    this.cpuSets = this.#cores === null ? null : cpuSets;
    // In the order of a request's way, whichever answered first.
    return Object.fromEntries(
      ["postgres", "app", "pgbouncer"].filter((name) => limits[name] !== undefined)
        .map((name) => [name, limits[name]!]),
    );
  }

  /** Where a load generator reaches the app, without a slash at the end. */
  get target(): string {
    const { host, port } = this.services.get("app")!.reachedAt(this.options.app.containerPort);
    return `http://${host}:${port}`;
  }

  /** The cores of a load generator; absent where the host does not divide them. */
  get loadCores(): string | undefined {
    return this.#cores?.locust;
  }

  /** What each service and the host have used so far. */
  async usage(): Promise<ServiceUsage[]> {
    const running = [...this.services.values()].filter(({ exit }) => exit === null);
    const [host, ...usages] = await Promise.all([
      this.options.host.usage(),
      // One that has ended meanwhile has no row.
      ...running.map((instance) => instance.usage().catch(() => null)),
    ]);
    return [...usages.filter((usage) => usage !== null), host];
  }

  /** What the app's requests have taken so far, a record for each worker process. */
  async appTimings(): Promise<AppTimings[]> {
    const app = this.services.get("app")!;
    return await allAppTimings(() => app.readNumbers(TIMINGS, PAGE_NUMBERS));
  }

  /** Has the app's workers count no requests that begin from now on, or count them again. */
  async pauseAppTimings(paused: boolean): Promise<void> {
    const app = this.services.get("app")!;
    // The workers have this very file in their memory: it must not become shorter.
    const script = `printf %s ${paused ? PAUSE : GO_ON} 1<>"$1"`;
    const file = join(app.path(TIMINGS), PAUSED_FILE);
    const { code } = await app.exec(["sh", "-c", script, "sh", file]);
    if (code !== 0) throw new PoolscopeError("Cannot pause the app's timings");
  }

  /** What the kernel has counted of TCP so far, by network namespace. */
  async tcp(): Promise<Record<string, TcpState>> {
    const running = [...this.services.values()].filter(({ exit }) => exit === null);
    // One that has ended meanwhile counts nothing any more.
    const states = await Promise.all(running.map((instance) => instance.tcp().catch(() => null)));
    return Object.fromEntries(states.filter((state) => state !== null));
  }

  /** Whether what listens on the app's port is a process, or in a container, that was started here. */
  isAppListening(): Promise<boolean> {
    return this.services.get("app")!.listens(this.options.app.containerPort);
  }

  /** Whether PostgreSQL's client at this IP address and port is PgBouncer. */
  async isPgbouncerSocket(peer: Address): Promise<boolean> {
    const pgbouncer = this.services.get("pgbouncer");
    if (pgbouncer === undefined) return false;
    if (await pgbouncer.owns(peer)) return true;
    if (this.network === null || !await this.network.instance.owns(peer)) return false;
    // The network connects for whoever enters there.
    const { legs } = await readNetwork(this.network.control);
    const entering = legs.find(({ name }) => name === "pgbouncerDb")?.clients ?? [];
    const own = await Promise.all(entering.map((client) => pgbouncer.owns(client)));
    return own.length > 0 && own.every(Boolean);
  }

  /**
   * Opens the connections that other replicas would hold: at PgBouncer, where these go through it too.
   *
   * @throws {PoolscopeError} If there is no room for all of them.
   */
  async holdIdle(): Promise<void> {
    const { idleConnections } = this.options.run.scenario;
    if (idleConnections === 0) return;
    const { database } = this.postgres;
    // PostgreSQL's are not the app's, of which samplers count what it holds itself.
    const access = this.pgbouncer === null
      ? this.postgres
      : { ...this.pgbouncer, username: APP_USER, password: this.#appPassword };
    this.#idle = await holdIdle({ ...access, database }, idleConnections);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#idle?.[Symbol.asyncDispose]();
    this.#idle = null;
    // A daemon that is gone removes nothing; the start that finds it again does.
    await Promise.allSettled([...this.services.values()].map((instance) => instance.remove()));
    await this.#hostNetwork?.[Symbol.asyncDispose]();
    this.#hostNetwork = null;
  }
}
