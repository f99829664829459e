/**
 * The local engine: PostgreSQL, PgBouncer, the app and Locust as processes of this machine, with
 * limits by control groups where the user may set them.
 *
 * @module
 */

import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type App, readApp } from "../apps/app.ts";
import { type AppData, readData } from "../apps/data.ts";
import type { ReadyApp } from "../apps/runtime.ts";
import { PoolscopeError } from "../errors.ts";
import { LOCUSTFILE } from "../load/locust.ts";
import type { PlannedRun } from "../plan.ts";
import { type Leg, legsOf, type Scenario } from "../scenario.ts";
import { limitsOf } from "../settings.ts";
import { prepareApp } from "../setup/apps.ts";
import { serviceEnvironment } from "../setup/environment.ts";
import { type Tools, toolsFor } from "../setup/mod.ts";
import { installedVersions } from "../setup/python.ts";
import { reachableFolder } from "../setup/stage.ts";
import { ROOT } from "../store/layout.ts";
import type { Limits, ServiceLimits } from "../store/manifest.ts";
import {
  ControlGroup,
  type Controller,
  type ControllerPlace,
  findControllers,
  limitsRefusal,
  readLimitsOf,
  rmdirQuietly,
} from "./cgroup.ts";
import { Owned } from "./cleanup.ts";
import {
  type ClusterOptions,
  copyCluster,
  ensureSeededCluster,
  freePort,
  makeFolder,
  startServer,
  writeSecret,
} from "./cluster.ts";
import {
  ADMIN_USER,
  APP_USER,
  checkAnswers,
  cloneTemplate,
  DATABASE,
  firstLine,
  prepareDatabase,
  type PreparedDatabase,
  randomPassword,
} from "./database.ts";
import type {
  Access,
  Address,
  AppTimings,
  Engine,
  GeneratorPlace,
  LoadCommand,
  LoadGenerator,
  Peer,
  RunNetwork,
  RunServices,
  ServiceUsage,
} from "./engine.ts";
import { KeptFiles } from "./kept_files.ts";
import { localPrograms } from "./local_programs.ts";
import { networkCommand, networkUp } from "./network.ts";
import { GO_ON, PAUSE, PAUSED_FILE, readAppTimings } from "./app_timings.ts";
import { listProcesses, parseHostCpu, parseMemoryInUse, type ProcessStat } from "./proc.ts";
import { LocalProcess, readLog } from "./process.ts";
import { appOptions, appPlacement } from "./app_environment.ts";
import { byServerVersions, checkServerSettings } from "./server_programs.ts";
import { fillTemplate, pgbouncerValues, postgresSettings } from "./services.ts";
import { parseTcp, TCP_FILES, type TcpState } from "./tcp.ts";
import { type CertificateFiles, enableTls, makeCertificates, writeCertificates } from "./tls.ts";
import { directDependencies } from "./versions.ts";

const HOST = "127.0.0.1";
/** The folder in a run's own that receives what the app's requests spend their time on. */
const TIMINGS = "timings";

/** A running PostgreSQL of one study. */
interface Database extends PreparedDatabase {
  server: LocalProcess;
  group: ControlGroup | null;
  settings: string;
  logFile: string;
  /** What TLS needs; null until a scenario asks for it. */
  certificates: CertificateFiles | null;
  /** False once a run could not be prepared on it; the next run then gets a new one. */
  fit: boolean;
}

/** Options of {@linkcode LocalEngine}. */
export interface LocalEngineOptions {
  /** The checkout whose `apps/` and `pgbouncer/` are run. @default this one */
  root?: string;
  /** Where clusters are kept, readable by PostgreSQL's user. @default a folder of `.poolscope/` */
  dataFolder?: string;
  /** Ends what is being started; what runs is ended by disposing of the engine. */
  signal?: AbortSignal;
}

/** Services as processes of this machine. */
export class LocalEngine implements Engine {
  readonly name = "local";
  readonly limitsWarning: string | null;
  readonly versions: Record<string, string>;
  readonly host = null;
  readonly images: Record<string, string> = {};
  #setup: Tools;
  #log: (line: string) => void;
  #owned = Owned.withKeeper();
  #signal: AbortSignal | undefined;
  #controllers: Partial<Record<Controller, ControllerPlace>>;
  #folder: string;
  #cluster: ClusterOptions;
  #database: Database | null = null;
  #groupCount = 0;
  #tools = new Map<string, Promise<Tools>>();
  /** The checkout whose `apps/` and `pgbouncer/` the next run takes. */
  root: string;

  /**
   * @param setup What is installed.
   * @param log Receives a line for each longer step.
   */
  constructor(
    setup: Tools,
    log: (line: string) => void = () => {},
    options: LocalEngineOptions = {},
  ) {
    const { signal } = options;
    this.root = options.root ?? ROOT;
    this.#setup = setup;
    this.#signal = signal;
    this.#log = log;
    this.versions = {
      deno: Deno.version.deno,
      python: setup.python.version,
      postgres: setup.postgres.version,
      pgbouncer: setup.pgbouncer.version,
      ...installedVersions(setup.python.folder, directDependencies()),
    };
    this.#controllers = findControllers(
      readFileSync("/proc/self/mountinfo", "utf8"),
      readFileSync("/proc/self/cgroup", "utf8"),
    );
    const dataFolder = options.dataFolder ?? reachableFolder("postgres", setup.user);
    this.#folder = join(dataFolder, `study-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`);
    this.#cluster = {
      binaries: setup.postgres,
      user: setup.user,
      folder: dataFolder,
      owned: this.#owned,
      log,
      signal,
    };
    const probe = this.#makeGroup("probe");
    if (typeof probe === "string") {
      this.limitsWarning = limitsRefusal(probe);
    } else {
      this.limitsWarning = null;
      // It is empty, so that its removal needs no second attempt.
      probe.folders.forEach(rmdirQuietly);
      this.#owned.removeGroup(probe.name);
    }
  }

  /** A new control group, or why there is none. Its name is no other owner's, written down first. */
  #makeGroup(service: string): ControlGroup | string {
    const name = `${this.#owned.id}-${++this.#groupCount}-${service}`;
    this.#owned.addGroups(ControlGroup.candidates(name, this.#controllers));
    const group = ControlGroup.create(name, this.#controllers);
    if (typeof group === "string") this.#owned.removeGroup(name);
    return group;
  }

  /** A new control group for a service, or null where this user may not make one. */
  createGroup(service: string): ControlGroup | null {
    if (this.limitsWarning !== null) return null;
    const group = this.#makeGroup(service);
    if (typeof group === "string") {
      throw new PoolscopeError(`Cannot limit ${service}: ${group}`);
    }
    return group;
  }

  async checkServerSettings(scenarios: readonly Scenario[]): Promise<void> {
    for (const own of byServerVersions(scenarios)) {
      const tools = await this.#toolsFor(own[0]!);
      await checkServerSettings(own, localPrograms(tools, this.#owned, this.#cluster.folder));
    }
  }

  /** Looked for once, so that the version stays the same for all runs. */
  #toolsFor(scenario: Scenario): Promise<Tools> {
    const { path, postgresVersion, pgbouncerVersion } = scenario;
    const key = [path, postgresVersion, pgbouncerVersion].join(" ");
    const options = { log: this.#log, signal: this.#signal };
    const tools = this.#tools.get(key) ?? toolsFor(this.#setup, scenario, options);
    this.#tools.set(key, tools);
    return tools;
  }

  async startDatabase(scenario: Scenario): Promise<void> {
    const settings = postgresSettings(scenario);
    const data = readData(readApp(scenario.framework));
    const { postgres } = await this.#toolsFor(scenario);
    const key = JSON.stringify([postgres.version, settings, data]);
    if (this.#database?.settings !== key || !await this.#isFit(this.#database)) {
      await this.#stopDatabase();
      this.#cluster.binaries = postgres;
      try {
        this.#database = await this.#newDatabase(settings, data, key);
      } catch (error) {
        // What a failed start leaves must not fail the next one: a half copy may fill the disk.
        this.#owned.removeFolder(this.#folder);
        throw error;
      }
    }
    if (legsOf(scenario).some(({ tls }) => tls)) await this.#enableTls(this.#database);
  }

  /** From then on PostgreSQL takes both: a restart between runs would favour those that follow. */
  async #enableTls(database: Database): Promise<void> {
    if (database.certificates !== null) return;
    const folder = join(this.#folder, "tls");
    makeFolder(folder, this.#setup.user);
    const files = writeCertificates(await makeCertificates(), folder, this.#setup.user);
    await enableTls(database.admin, database.access, files);
    database.certificates = files;
  }

  /** Whether PostgreSQL is fit for another run. */
  async #isFit({ server, access, fit }: Database): Promise<boolean> {
    if (server.exit !== null || !fit) return false;
    try {
      await checkAnswers(access);
      return true;
    } catch (error) {
      this.#log(`Starting PostgreSQL anew: ${firstLine(error)}`);
      return false;
    }
  }

  async #newDatabase(
    settings: Record<string, string>,
    data: AppData,
    key: string,
  ): Promise<Database> {
    const seeded = await ensureSeededCluster(this.#cluster, data);
    this.#log("Starting PostgreSQL");
    this.#owned.addFolder(this.#folder);
    makeFolder(this.#folder, this.#setup.user);
    const { data: copy, password } = await copyCluster(this.#cluster, seeded, this.#folder);
    const group = this.createGroup("postgres");
    const logFile = join(this.#folder, "postgres.log");
    const { server, access } = await startServer(this.#cluster, {
      data: copy,
      password,
      settings,
      logFile,
      group,
    }).catch(async (error) => {
      await group?.remove();
      throw error;
    });
    try {
      const prepared = await prepareDatabase(access);
      return { ...prepared, server, group, settings: key, logFile, fit: true, certificates: null };
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  async #stopDatabase(): Promise<void> {
    const database = this.#database;
    this.#database = null;
    if (database !== null) {
      await database.admin.end({ timeout: 1 });
      await database.server.stop();
    }
    this.#owned.removeFolder(this.#folder);
  }

  async startRun(run: PlannedRun, folder: string): Promise<RunServices> {
    const database = this.#database;
    if (database === null) {
      throw new PoolscopeError("Cannot start a run: PostgreSQL is not started");
    }
    this.#signal?.throwIfAborted();
    const app = readApp(run.scenario.framework, this.root);
    const ready = await this.prepareApp(app);
    const tools = await this.#toolsFor(run.scenario);
    const started = new LocalRun(tools, this.#owned, database, run, folder, this, app, ready);
    try {
      await started.start(this.#folder);
    } catch (error) {
      await started[Symbol.asyncDispose]();
      throw error;
    }
    return started;
  }

  /** Installs and builds an app, which a later start then finds. */
  prepareApp(app: App): Promise<ReadyApp> {
    const log = this.#log;
    return prepareApp(app, { python: this.#setup.python, log, signal: this.#signal });
  }

  /** Processes need no daemon. */
  checkAlive(): Promise<void> {
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stopDatabase();
    await this.#owned[Symbol.asyncDispose]();
  }
}

class LocalRun implements RunServices {
  readonly nonce = crypto.randomUUID();
  readonly services = new Map<string, LocalProcess>();
  readonly postgres: Access;
  readonly versions: Record<string, string>;
  readonly images = {};
  /** Nothing here decides which of the machine's cores a service runs on. */
  readonly cpuSets = null;
  appUrl = "";
  healthUrl = "";
  appOptions: Record<string, string> = {};
  pgbouncer: Access | null = null;
  network: RunNetwork | null = null;
  #groups = new Map<string, ControlGroup | null>();
  /** What the samplers read over and over. */
  #files = new KeptFiles();
  #logStart: number;
  #private: string | null = null;
  #log: string | null = null;

  constructor(
    private readonly setup: Tools,
    private readonly owned: Owned,
    private readonly database: Database,
    private readonly run: PlannedRun,
    private readonly folder: string,
    private readonly engine: LocalEngine,
    private readonly app: App,
    private readonly ready: ReadyApp,
  ) {
    const { postgres, pgbouncer } = setup;
    this.versions = {
      ...ready.versions,
      postgres: postgres.version,
      pgbouncer: pgbouncer.version,
    };
    this.postgres = { ...database.access, database: DATABASE };
    this.services.set("postgres", database.server);
    this.#groups.set("postgres", database.group);
    this.#logStart = statSync(database.logFile).size;
    database.server.beginRun();
  }

  /** Starts everything side by side; nothing here waits for an answer but the clone. */
  async start(studyFolder: string): Promise<void> {
    const { scenario } = this.run;
    const secrets = join(studyFolder, `run-${this.run.order}-${this.nonce.slice(0, 8)}`);
    makeFolder(secrets, this.setup.user);
    this.#private = secrets;
    const cloned = this.#cloneDatabase();
    try {
      const postgres = this.database.access.port;
      const pgbouncer = scenario.path === "pooled" ? freePort() : null;
      const enter = this.#startNetwork(postgres, pgbouncer);
      if (pgbouncer !== null) this.#startPgbouncer(secrets, pgbouncer, enter("pgbouncerDb"));
      this.#startApp(secrets, enter(pgbouncer === null ? "appDb" : "appPgbouncer"));
      if (this.network !== null) await networkUp(this.network, this.services.get("network")!);
    } catch (error) {
      // The next run must not meet a clone that is still under way.
      await Promise.allSettled([cloned]);
      throw error;
    }
    await cloned;
  }

  async #cloneDatabase(): Promise<void> {
    try {
      const { admin, group, server } = this.database;
      if (server.exit !== null) {
        throw new PoolscopeError(`PostgreSQL ended (${server.logTail(1)})`);
      }
      // The limits are for the load: under them the copy would take the larger part of a run.
      group?.setLimits({ cpus: null, memoryMiB: null });
      await cloneTemplate(admin);
    } catch (error) {
      // Full disk, damaged template or a server that hangs: a new server gets over each of them.
      this.database.fit = false;
      throw new PoolscopeError(`Cannot clone the database: ${firstLine(error)}`, { cause: error });
    }
  }

  /**
   * Starts the network, where a leg takes time.
   *
   * @returns The port at which a leg is entered: its service's own where it takes none.
   */
  #startNetwork(postgres: number, pgbouncer: number | null): (leg: Leg["name"]) => number {
    const { scenario } = this.run;
    const address = (port: number): Address => ({ host: HOST, port });
    const target = (leg: Leg["name"]) => leg === "appPgbouncer" ? pgbouncer! : postgres;
    const legs = legsOf(scenario).filter(({ rttMs }) => rttMs > 0).map(({ name, rttMs }) => ({
      name,
      rttMs,
      backlog: scenario.listenBacklog,
      listen: address(freePort()),
      target: address(target(name)),
    }));
    if (legs.length > 0) {
      const control = address(freePort());
      const entries = Object.fromEntries(legs.map(({ name, listen }) => [name, listen]));
      this.network = { method: "relay", control, entries };
      this.#start("network", {
        argv: networkCommand(this.setup.python.python, control, legs),
        env: {},
        cwd: ROOT,
      });
    }
    return (leg) => this.network?.entries[leg]?.port ?? target(leg);
  }

  #startPgbouncer(secrets: string, port: number, databasePort: number): void {
    const user = this.setup.user;
    const tls = this.database.certificates;
    const stats = randomPassword();
    const fill = (file: string, values: Record<string, string>) =>
      fillTemplate(
        readFileSync(join(this.engine.root, "pgbouncer", file), "utf8"),
        values,
        `pgbouncer/${file}`,
      );
    const userlist = join(secrets, "userlist.txt");
    writeSecret(
      userlist,
      fill("userlist.txt", {
        APP_USER,
        // The server's own secret serves PgBouncer for both logins, and spares it the key
        // derivation that a plain password would cost for every client.
        APP_SECRET: this.database.appSecret,
        STATS_PASSWORD: stats,
      }),
      user,
    );
    const ini = fill(
      "pgbouncer.ini",
      pgbouncerValues(this.run.scenario, {
        host: HOST,
        port,
        databaseHost: HOST,
        databasePort,
        databaseName: DATABASE,
        userlist,
        tlsKey: tls?.key ?? "",
        tlsCertificate: tls?.certificate ?? "",
        tlsCa: tls?.ca ?? "",
      }),
    );
    const iniFile = join(secrets, "pgbouncer.ini");
    writeSecret(iniFile, ini, user);
    this.pgbouncer = {
      host: HOST,
      port,
      database: "pgbouncer",
      username: ADMIN_USER,
      password: stats,
    };
    this.#start("pgbouncer", {
      argv: [...this.setup.pgbouncer.argv, iniFile],
      env: {},
      cwd: secrets,
      user,
      stopSignal: "QUIT",
    });
  }

  #startApp(secrets: string, databasePort: number): void {
    const { scenario } = this.run;
    const { app, ready } = this;
    const port = freePort();
    // Not the service user's: the app runs as whoever started Poolscope.
    const passFile = join(secrets, "pgpass");
    writeSecret(passFile, `${HOST}:*:${DATABASE}:${APP_USER}:${this.database.appPassword}\n`, null);
    this.appUrl = `http://${HOST}:${port}`;
    this.healthUrl = this.appUrl + app.healthPath;
    this.appOptions = appOptions(app, scenario);
    const placement = appPlacement(app, {
      host: HOST,
      port,
      nonce: this.nonce,
      databaseHost: HOST,
      databasePort,
      timings: join(secrets, TIMINGS),
      databaseName: DATABASE,
      databaseUser: APP_USER,
      databasePassword: this.database.appPassword,
      databaseCa: legsOf(scenario)[0]!.tls ? this.database.certificates!.ca : "",
    });
    this.#start("app", {
      argv: app.command!,
      env: {
        PATH: [...ready.programs, "/usr/bin", "/bin"].join(":"),
        PYTHONUNBUFFERED: "1",
        // Where timings/ is.
        PYTHONPATH: join(this.engine.root, "apps"),
        PGPASSFILE: passFile,
        ...this.appOptions,
        ...placement,
      },
      cwd: ready.folder,
      // Nothing of it is needed any more, and a graceful end would wait for idle connections.
      graceS: 0,
    });
  }

  #start(
    name: string,
    options: Pick<Parameters<typeof LocalProcess.start>[0], "argv" | "env" | "cwd"> & {
      user?: { uid: number; gid: number } | null;
      stopSignal?: "TERM" | "QUIT";
      graceS?: number;
    },
  ): LocalProcess {
    const group = this.engine.createGroup(name);
    this.#groups.set(name, group);
    const logFile = join(this.folder, "logs", `${name}.log`);
    // Of its own, as apps side by side would meet in one; it goes with the run's private folder.
    const home = join(this.#private!, `${name}-home`);
    makeFolder(home, options.user ?? null);
    const env = serviceEnvironment(home, options.env);
    const owned = this.owned;
    const process = LocalProcess.start({ ...options, name, env, logFile, group, owned });
    this.services.set(name, process);
    return process;
  }

  applyLimits(): Promise<Record<string, ServiceLimits>> {
    const result: Record<string, ServiceLimits> = {};
    for (const [name, asked] of Object.entries(limitsOf(this.run.scenario))) {
      this.#limit(name, asked);
      result[name] = { asked, readBack: readLimitsOf(this.services.get(name)!.pid) };
    }
    return Promise.resolve(result);
  }

  /** Sets a service's limits; version 1 of control groups refuses one that is exceeded already. */
  #limit(name: string, limits: Limits): void {
    const group = this.#groups.get(name);
    try {
      group?.setLimits(limits);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
      const usedMiB = Math.ceil(group!.usage().memoryMiB);
      throw new PoolscopeError(
        `${name} is out of memory before the load: it uses ${usedMiB} MiB, its limit is ${limits.memoryMiB} MiB`,
        { cause: error },
      );
    }
  }

  get generator(): GeneratorPlace {
    return {
      python: this.setup.python.python,
      locustfile: LOCUSTFILE,
      host: this.appUrl,
      folder: this.folder,
    };
  }

  startLoad(command: LoadCommand): LoadGenerator {
    for (const [path, text] of Object.entries(command.files)) writeFileSync(path, text);
    const locust = this.#start("locust", {
      argv: command.argv,
      env: { PATH: `${this.setup.python.folder}/bin:/usr/bin:/bin`, ...command.env },
      cwd: ROOT,
    });
    return Object.assign(locust, {
      release: () => Promise.resolve(writeFileSync(command.startFile, "")),
      // It writes into the run's folder itself.
      collect: () => Promise.resolve(),
    });
  }

  usage(): Promise<ServiceUsage[]> {
    const host = parseHostCpu(this.#files.read("/proc/stat")!);
    let all: ProcessStat[] | undefined;
    const list = () => all ??= listProcesses(); // once for all services
    return Promise.resolve([
      ...[...this.services.values()].filter((service) => service.exit === null)
        .map((service) => service.usage(list)),
      {
        service: "host",
        cpuS: host.busyS,
        throttledS: host.stolenS,
        memoryMiB: parseMemoryInUse(this.#files.read("/proc/meminfo")!),
        processes: 0,
        contextSwitches: null,
      },
    ]);
  }

  appTimings(): Promise<AppTimings[]> {
    return readAppTimings(join(this.#private!, TIMINGS), this.#files);
  }

  pauseAppTimings(paused: boolean): Promise<void> {
    const file = join(this.#private!, TIMINGS, PAUSED_FILE);
    // The workers have this very file in their memory: it must not become shorter.
    return Promise.resolve(writeFileSync(file, paused ? PAUSE : GO_ON, { flag: "r+" }));
  }

  tcp(): Promise<Record<string, TcpState>> {
    const read = (i: 0 | 1 | 2) => readFileSync(TCP_FILES[i], "utf8");
    return Promise.resolve({ machine: parseTcp([read(0), read(1), read(2)]) });
  }

  isAppListening(): Promise<boolean> {
    const { port } = new URL(this.appUrl);
    return Promise.resolve(listens(this.services.get("app")!.members(), Number(port)));
  }

  isPgbouncerSocket({ port }: Peer): Promise<boolean> {
    const pgbouncer = this.services.get("pgbouncer");
    const network = this.services.get("network");
    if (pgbouncer === undefined) return Promise.resolve(false);
    const own = pgbouncer.members();
    const entry = this.network?.entries.pgbouncerDb;
    if (entry === undefined || !ownsSocket(network!.members(), port)) {
      return Promise.resolve(ownsSocket(own, port));
    }
    // The network connects for whoever enters there.
    const entering = connectedTo(entry.port);
    return Promise.resolve(entering.length > 0 && entering.every((from) => ownsSocket(own, from)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const own = [...this.services.values()].filter((service) => service.name !== "postgres");
    await Promise.all(own.map((service) => service.stop()));
    this.database.server.endRun();
    this.#files[Symbol.dispose]();
    if (this.#private !== null) {
      rmSync(this.#private, { recursive: true, force: true });
      this.#private = null;
    }
    if (this.#log !== null) return;
    // Nothing is left to do when the disk is too full for the last step.
    this.#log = readLog(this.database.logFile, this.#logStart);
    writeFileSync(join(this.folder, "logs", "postgres.log"), this.#log);
  }
}

/** Ports of those that have a TCP connection to a port of this machine. */
function connectedTo(port: number): number[] {
  const hex = (text: string | undefined) => parseInt(text?.split(":")[1] ?? "", 16);
  return readFileSync("/proc/net/tcp", "utf8").split("\n")
    .map((line) => line.trim().split(/\s+/))
    // 01: established.
    .filter((fields) => hex(fields[2]) === port && fields[3] === "01")
    .map((fields) => hex(fields[1]));
}

/** Whether one of the processes holds the local end of a TCP connection with this port. */
function ownsSocket(pids: number[], port: number): boolean {
  return haveOpen(pids, socketsAt(["tcp"], port));
}

/** Whether one of the processes listens on this port, on addresses of either kind. */
function listens(pids: number[], port: number): boolean {
  return haveOpen(pids, socketsAt(["tcp", "tcp6"], port, LISTENING));
}

/** The state of a listening socket in `/proc/net/tcp`. */
const LISTENING = "0A";

/** The sockets whose local end has this port, as a process's open files name them. */
function socketsAt(tables: ("tcp" | "tcp6")[], port: number, state?: string): Set<string> {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return new Set(
    tables.map((table) => `/proc/net/${table}`).filter(existsSync)
      .flatMap((file) => readFileSync(file, "utf8").split("\n"))
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[1]?.endsWith(`:${hex}`))
      .filter((fields) => state === undefined || fields[3] === state)
      .map((fields) => `socket:[${fields[9]}]`),
  );
}

/** Whether one of the processes has one of these files open. */
function haveOpen(pids: number[], links: Set<string>): boolean {
  return pids.some((pid) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).some((fd) => {
        try {
          return links.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
        } catch {
          return false; // Closed between being listed and being read.
        }
      });
    } catch {
      return false; // The process has ended.
    }
  });
}
