/**
 * The Docker engine: services as containers with limits of their own.
 * Files travel by archive and connections through published loopback ports or a relay, so that
 * nothing here assumes that Docker runs on this machine.
 *
 * @module
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PassThrough } from "node:stream";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { type App, readApp } from "../apps/app.ts";
import { type AppData, readData } from "../apps/data.ts";
import { EngineLostError, PoolscopeError } from "../errors.ts";
import type { PlannedRun } from "../plan.ts";
import { type Leg, legsOf, type Scenario } from "../scenario.ts";
import { limitsOf } from "../settings.ts";
import { readersEnvironment } from "../setup/environment.ts";
import { builtApps, type BuiltImage, ensureImages, findCaBundle } from "../setup/images.ts";
import { ROOT } from "../store/layout.ts";
import type { Manifest, ServiceLimits } from "../store/manifest.ts";
import { appOptions } from "./app_environment.ts";
import { allAppTimings, GO_ON, PAGE_NUMBERS, PAUSE, PAUSED_FILE } from "./app_timings.ts";
import { Owned } from "./cleanup.ts";
import { Container, type ContainerFile } from "./container.ts";
import {
  CONTAINER_PASSFILE,
  CONTAINER_TIMINGS,
  CONTAINER_TLS,
  containersOf,
  type ContainerSpec,
  type CreateBody,
  createBody,
  listening,
  NETWORK_PORTS,
  PGBOUNCER_PORT,
  POSTGRES_PORT,
  postgresContainer,
  type ScenarioContainers,
  toolBody,
} from "./containers.ts";
import { divideCores } from "./cpu_sets.ts";
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
import { openDocker } from "./docker_client.ts";
import { onceRunner, readImageVersions } from "./docker_programs.ts";
import { DockerServers, type ServerImages } from "./docker_servers.ts";
import { askDocker, type DockerHost, socketPath } from "./docker_host.ts";
import { objectLabels, sweepDocker } from "./docker_sweep.ts";
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
import { networkCommand, networkUp, readNetwork } from "./network.ts";
import { parseHostCpu, parseMemoryInUse } from "./proc.ts";
import { Relay, relayProgram } from "./relay.ts";
import { fillTemplate, postgresSettings } from "./services.ts";
import { byServerVersions, checkServerSettings } from "./server_programs.ts";
import { seedTemplate } from "./seed.ts";
import { parseTcp, TCP_FILES, type TcpState } from "./tcp.ts";
import { type Certificates, enableTls, makeCertificates } from "./tls.ts";
import { waitUntil } from "./wait.ts";

const MIB = 2 ** 20;
/** The folder in Locust's container that receives its files. */
const LOAD_FOLDER = "/poolscope-run";
/** Where the image of Locust has the locustfile. */
const LOCUSTFILE = "/poolscope/locust/locustfile.py";
/** PostgreSQL builds its data folder at its first start. */
const DATABASE_TIMEOUT_S = 120;

/** Options of {@linkcode DockerEngine.open}. */
export interface DockerEngineOptions {
  /** The daemon. */
  host: DockerHost;
  /** The study, for labels. */
  study: string;
  /** Receives a line for each longer step. */
  log?: (line: string) => void;
  /** Ends what is being started; what runs is ended by disposing of the engine. */
  signal?: AbortSignal;
  /** The apps of the study. @default those of the checkout */
  apps?: readonly App[];
  /** Changes what the container of a run's app or PgBouncer is created with. @default nothing */
  adjust?: (body: CreateBody, service: "app" | "pgbouncer") => CreateBody;
}

/** A running PostgreSQL of one study. */
interface Database extends PreparedDatabase {
  server: Container;
  /** The command that it was started with. */
  key: string;
  /** What TLS needs; null until a scenario asks for it. */
  certificates: Certificates | null;
  /** False once a run could not be prepared on it; the next run then gets a new one. */
  fit: boolean;
}

/** What all containers of a study share. */
interface Shared {
  docker: Docker;
  host: DockerHost;
  network: string;
  relay: Relay;
  images: Record<string, BuiltImage>;
  adjust: DockerEngineOptions["adjust"];
  /** The daemon's machine. */
  cores: number;
  memoryMiB: number;
  /** Makes a container that is removed with the engine at the latest. */
  make(service: string, options: MakeOptions): Container;
  /** Removes one. */
  remove(container: Container): Promise<void>;
  /** The images of PostgreSQL and PgBouncer. */
  servers: DockerServers;
}

interface MakeOptions {
  body: CreateBody;
  aliases?: string[];
  files?: ContainerFile[];
  logFile: string;
  run?: string;
}

/** Whether the image of PostgreSQL is made of these scripts, those of the checkout's data/. */
function isInImage({ schema, seed }: AppData): boolean {
  const own = (name: string) => readFileSync(join(ROOT, "data", name), "utf8");
  return schema.text === own("schema.sql") && seed.text === own("seed.sql");
}

/** The files of passwords that a container is given, which its programs read as root. */
function secretFiles({ secrets }: ContainerSpec, values: Record<string, string>): ContainerFile[] {
  return secrets.map((name) => ({
    path: `/run/secrets/${name}`,
    content: values[name]!,
    mode: 0o600,
    uid: 0,
    gid: 0,
  }));
}

/** Certificates as files of a container, for those who hold the key or for the app that does not. */
function certificateFiles(
  certificates: Certificates | null,
  parts: (keyof Certificates)[] = ["ca", "certificate", "key"],
): ContainerFile[] {
  if (certificates === null) return [];
  return parts.map((part) => ({
    path: CONTAINER_TLS[part],
    content: certificates[part],
    uid: 0,
    gid: 0,
    mode: part === "key" ? 0o600 : 0o644,
  }));
}

/** What the reader's environment says of images. */
function imageOptions() {
  return {
    tag: Deno.env.get("POOLSCOPE_TAG") || "latest",
    caBundle: findCaBundle(readersEnvironment()),
  };
}

/** The machine of a daemon. */
function describeDaemon(
  info: { NCPU: number; Architecture: string; MemTotal: number; KernelVersion: string },
  cpuinfo: string,
): Manifest["host"] {
  return {
    cpus: info.NCPU,
    cpuModel: /^model name\s*: (.*)$/m.exec(cpuinfo)?.[1] ?? info.Architecture,
    memoryMiB: Math.round(info.MemTotal / MIB),
    kernel: info.KernelVersion,
  };
}

/** Images with their digests, by service. */
function imageNames(images: Record<string, BuiltImage>): Record<string, string> {
  const names = Object.entries(images).map(([service, { reference, id }]) => [
    service,
    `${reference}@${id}`,
  ]);
  return Object.fromEntries(names);
}

/** The study's containers, on one daemon. */
export class DockerEngine implements Engine {
  readonly name = "docker";
  readonly root = ROOT;
  readonly limitsWarning: string | null;
  readonly versions: Record<string, string>;
  readonly images: Record<string, string>;
  readonly host: Manifest["host"];
  #shared: Shared;
  #owned: Owned;
  #log: (line: string) => void;
  #signal: AbortSignal | undefined;
  #database: Database | null = null;
  #events: { destroy(): void } | null = null;
  #containers: Set<Container>;
  #close: () => Promise<void>;

  private constructor(parts: {
    shared: Shared;
    owned: Owned;
    versions: Record<string, string>;
    machine: Manifest["host"];
    limitsWarning: string | null;
    containers: Set<Container>;
    options: DockerEngineOptions;
    close: () => Promise<void>;
  }) {
    this.#shared = parts.shared;
    this.#owned = parts.owned;
    this.versions = parts.versions;
    this.host = parts.machine;
    this.limitsWarning = parts.limitsWarning;
    this.#containers = parts.containers;
    this.#close = parts.close;
    this.#log = parts.options.log ?? (() => {});
    this.#signal = parts.options.signal;
    this.images = imageNames(parts.shared.images);
  }

  /**
   * Builds missing images, removes what dead owners left on the daemon, and makes the study's
   * network with its relay.
   *
   * @throws {PoolscopeError} If the daemon refuses, or an image cannot be built.
   */
  static async open(options: DockerEngineOptions): Promise<DockerEngine> {
    const { host, study, log = () => {}, signal, adjust } = options;
    const apps = options.apps ?? builtApps();
    const sharing = apps.filter(({ environment }) => environment === "shared");
    const docker = openDocker(host);
    for (const line of await sweepDocker(host)) log(line);
    const building = { ...imageOptions(), apps, log, signal };
    const images = await ensureImages(docker, building);
    const owned = Owned.withKeeper();
    owned.addDocker(host);
    const containers = new Set<Container>();
    const name = `poolscope-${owned.id.slice(-8)}`;
    let count = 0;
    const make = (service: string, made: MakeOptions) => {
      const container = new Container({
        docker,
        service,
        name: `${name}-${++count}-${service}`,
        body: made.body,
        network: { id: name, aliases: made.aliases ?? [] },
        files: made.files ?? [],
        labels: objectLabels(owned.owner, owned.id, study, made.run),
        logFile: made.logFile,
      });
      containers.add(container);
      return container;
    };
    const remove = async (container: Container) => {
      await container.remove();
      containers.delete(container);
    };
    const runOnce = onceRunner({ make, remove, images, owned });
    let network: Docker.Network | null = null;
    let relay: Relay | null = null;
    const close = async () => {
      relay?.[Symbol.dispose]();
      const ended = await Promise.allSettled([...containers].map(remove));
      const removed = await network?.remove().then(() => true, () => false) ?? true;
      // What a lost daemon still holds is swept by the start that finds it again.
      if (removed && ended.every(({ status }) => status === "fulfilled")) owned.removeDocker(host);
      await owned[Symbol.asyncDispose]();
    };
    try {
      signal?.throwIfAborted();
      network = await docker.createNetwork({
        Name: name,
        CheckDuplicate: true,
        Labels: objectLabels(owned.owner, owned.id, study),
      });
      const logFile = owned.scratchFile("relay.log");
      const [opened, versions, info] = await Promise.all([
        openRelay(make, docker, images.locust!.id, logFile),
        readImageVersions(runOnce, images, sharing.map((app) => app.name)),
        docker.info(),
      ]);
      relay = opened;
      const shared = {
        docker,
        host,
        network: name,
        relay,
        images,
        adjust,
        make,
        remove,
        servers: new DockerServers({ docker, images, runOnce, building }, versions),
        cores: info.NCPU,
        memoryMiB: Math.floor(info.MemTotal / MIB),
      };
      const machine = describeDaemon(info, await relay.readFile("/proc/cpuinfo"));
      const limitsWarning = warnOfLimits(info);
      const parts = { shared, owned, versions, machine, limitsWarning, containers, options, close };
      const engine = new DockerEngine(parts);
      await engine.#watch();
      return engine;
    } catch (error) {
      await close();
      throw error;
    }
  }

  /** Listens to what the daemon tells of our containers' memory and health. */
  async #watch(): Promise<void> {
    const { docker } = this.#shared;
    const label = Object.entries(objectLabels(this.#owned.owner, this.#owned.id, "", ""))
      .filter(([name]) => name.endsWith(".owner")).map(([name, value]) => `${name}=${value}`);
    const stream = await docker.getEvents({ filters: { label, event: ["oom", "health_status"] } });
    this.#events = stream as unknown as { destroy(): void };
    let rest = "";
    stream.on("data", (chunk: Uint8Array) => {
      const lines = (rest + new TextDecoder().decode(chunk)).split("\n");
      rest = lines.pop()!;
      for (const line of lines.filter((text) => text.trim() !== "")) this.#tell(JSON.parse(line));
    });
    stream.on("error", () => {});
  }

  #tell({ Action, Actor }: { Action: string; Actor: { ID: string } }): void {
    const container = [...this.#containers].find(({ id }) => id === Actor.ID);
    if (Action === "oom") container?.countKill();
    if (/^health_status.*unhealthy/.test(Action)) container?.readHealth().catch(() => {});
  }

  async checkServerSettings(scenarios: readonly Scenario[]): Promise<void> {
    const { servers } = this.#shared;
    for (const own of byServerVersions(scenarios)) {
      await checkServerSettings(own, servers.programsOf(await servers.imagesOf(own[0]!)));
    }
  }

  async startDatabase(scenario: Scenario): Promise<void> {
    await this.#startServer(scenario);
    const database = this.#database!;
    if (database.certificates !== null || !legsOf(scenario).some(({ tls }) => tls)) return;
    const certificates = await makeCertificates();
    await database.server.put(certificateFiles(certificates));
    // Whatever number the image gives to the server's user; and it must be the key's owner.
    const own = ["chown", "-R", "postgres", dirname(CONTAINER_TLS.key)];
    await database.server.follow(own, () => {});
    await enableTls(database.admin, database.access, CONTAINER_TLS);
    database.certificates = certificates;
  }

  async #startServer(scenario: Scenario): Promise<void> {
    const shared = this.#shared;
    const cores = divideCores(shared.cores, scenario.dbCpus)?.postgres ?? "";
    const backlog = String(scenario.listenBacklog);
    const spec = postgresContainer(postgresSettings(scenario), backlog);
    // A memory limit can be changed, but not be taken back.
    const unlimited = scenario.dbMemoryMiB === null;
    const data = readData(readApp(scenario.framework));
    const { postgres } = await shared.servers.imagesOf(scenario);
    const key = JSON.stringify([postgres, spec, cores, unlimited, data]);
    if (this.#database?.key === key && await this.#isFit(this.#database)) return;
    await this.#stopDatabase();
    this.#signal?.throwIfAborted();
    this.#log("Starting PostgreSQL");
    const password = randomPassword();
    const server = shared.make("postgres", {
      body: createBody(spec, shared.images[postgres]!.id, cores, isLocal(shared.host)),
      aliases: ["postgres"],
      // The app's is changed below, as the administrator's is: neither outlives the start.
      files: secretFiles(spec, { admin_password: password, app_password: randomPassword() }),
      logFile: this.#owned.scratchFile(`postgres-${crypto.randomUUID().slice(0, 8)}.log`),
    });
    try {
      await server.create();
      await server.start();
      const port = await reach(shared, server, "postgres", POSTGRES_PORT);
      const access: Access = {
        host: "127.0.0.1",
        port,
        database: "postgres",
        username: ADMIN_USER,
        password,
      };
      await waitUntil(() => checkAnswers(access).then(() => true), {
        what: "PostgreSQL to answer",
        timeoutS: DATABASE_TIMEOUT_S,
        intervalMs: 100,
        hopeless: () =>
          server.exit !== null
            ? `it ended (${server.logTail(3).split("\n").join(" / ")})`
            : server.unhealthy,
        signal: this.#signal,
      });
      const prepared = await prepareDatabase(access);
      if (!isInImage(data)) {
        this.#log(`Seeding PostgreSQL for ${readApp(scenario.framework).title}`);
        await seedTemplate(prepared.access, data);
      }
      this.#database = {
        ...prepared,
        server,
        key,
        certificates: null,
        fit: true,
      };
    } catch (error) {
      await this.#removeServer(server);
      throw error;
    }
  }

  /** Whether PostgreSQL is fit for another run. */
  async #isFit({ server, access, fit }: Database): Promise<boolean> {
    if (server.exit !== null || server.unhealthy !== null || !fit) return false;
    try {
      await checkAnswers(access);
      return true;
    } catch (error) {
      this.#log(`Starting PostgreSQL anew: ${firstLine(error)}`);
      return false;
    }
  }

  async #stopDatabase(): Promise<void> {
    const database = this.#database;
    this.#database = null;
    if (database === null) return;
    await database.admin.end({ timeout: 1 }).catch(() => {});
    await this.#removeServer(database.server);
  }

  async #removeServer(server: Container): Promise<void> {
    // The daemon may be gone; what it holds is swept later.
    await this.#shared.remove(server).catch(() => {});
    server.removeLog();
  }

  async startRun(run: PlannedRun, folder: string): Promise<RunServices> {
    if (this.#database === null) {
      throw new PoolscopeError("Cannot start a run: PostgreSQL is not started");
    }
    this.#signal?.throwIfAborted();
    const names = await this.#shared.servers.imagesOf(run.scenario);
    const started = new DockerRun(this.#shared, this.#database, run, folder, names);
    try {
      await started.start();
    } catch (error) {
      await started[Symbol.asyncDispose]();
      throw error;
    }
    return started;
  }

  async checkAlive(): Promise<void> {
    const { host } = this.#shared;
    try {
      await askDocker(host, "GET", "/_ping", 5);
    } catch (error) {
      throw new EngineLostError(
        `Docker at ${host.url} does not answer any more (${
          firstLine(error)
        }); start it and the same study again, complete runs are kept, or use --engine local`,
        { cause: error },
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#events?.destroy();
    await this.#stopDatabase();
    await this.#close();
  }
}

/**
 * One sentence where the daemon sets limits that do not hold, as a rootless one does without
 * delegated control groups.
 *
 * @param info What the daemon says of itself.
 */
export function warnOfLimits(
  info: { MemoryLimit?: boolean; CpuCfsQuota?: boolean },
): string | null {
  const lacking = [
    ...(info.CpuCfsQuota === false ? ["CPU"] : []),
    ...(info.MemoryLimit === false ? ["memory"] : []),
  ];
  return lacking.length === 0
    ? null
    : `no limit on ${
      lacking.join(" and ")
    } of any service: this Docker cannot set it; use a system-wide Docker, or delegate control groups to the rootless one`;
}

/** A socket is this machine's: what is published on its loopback address can be reached here. */
function isLocal(host: DockerHost): boolean {
  return socketPath(host) !== null;
}

/** The local port that leads to a service's port: its published one, or one of the relay's. */
function reach(shared: Shared, container: Container, alias: string, port: number): Promise<number> {
  return isLocal(shared.host)
    ? container.publishedPort(port)
    : shared.relay.listen(`${alias}:${port}`);
}

/** Starts the relay's container. */
async function openRelay(
  make: Shared["make"],
  docker: Docker,
  image: string,
  logFile: string,
): Promise<Relay> {
  const body = {
    ...toolBody(image, ["python", "-c", relayProgram()]),
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    HostConfig: {
      PortBindings: {},
      Ulimits: [],
      // Whatever goes through it would be kept by the daemon.
      LogConfig: { Type: "none", Config: {} },
    },
  };
  const container = make("relay", { body, logFile });
  await container.create();
  const streams = await docker.getContainer(container.id).attach({
    stream: true,
    stdin: true,
    stdout: true,
    stderr: true,
    hijack: true,
  });
  const [output, errors] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(streams, output, errors);
  errors.resume();
  await container.start();
  container.removeLog();
  return new Relay(streams as unknown as ConstructorParameters<typeof Relay>[0], output);
}

class DockerRun implements RunServices {
  readonly nonce = crypto.randomUUID();
  readonly services = new Map<string, Container>();
  readonly postgres: Access;
  readonly versions: Record<string, string>;
  readonly images: Record<string, string>;
  appUrl = "";
  healthUrl = "";
  appOptions: Record<string, string> = {};
  pgbouncer: Access | null = null;
  network: RunNetwork | null = null;
  cpuSets: Record<string, string> | null = null;
  readonly #label: string;
  readonly #planned: Record<string, string> | null;
  readonly #containers: ScenarioContainers;
  #starting: Promise<unknown> = Promise.resolve();
  #pgbouncerAddress: string | null = null;
  #networkAddress: string | null = null;
  #ended = false;

  constructor(
    private readonly shared: Shared,
    private readonly database: Database,
    private readonly run: PlannedRun,
    private readonly folder: string,
    private readonly servers: ServerImages,
  ) {
    const { scenario } = run;
    this.versions = shared.servers.versionsOf(servers);
    this.images = imageNames({
      postgres: shared.images[servers.postgres]!,
      pgbouncer: shared.images[servers.pgbouncer]!,
    });
    this.#label = `${run.id}/round-${run.round}`;
    this.#planned = divideCores(shared.cores, scenario.dbCpus);
    const placement = { nonce: this.nonce, password: database.appPassword };
    this.#containers = containersOf(readApp(scenario.framework), scenario, placement);
    this.postgres = { ...database.access, database: DATABASE };
    this.services.set("postgres", database.server);
    database.server.beginRun();
  }

  /** Starts everything side by side. */
  async start(): Promise<void> {
    const { scenario } = this.run;
    const app = readApp(scenario.framework);
    this.appOptions = appOptions(app, scenario);
    const steps = [
      this.#cloneDatabase(),
      ...(scenario.path === "pooled" ? [this.#startPgbouncer()] : []),
      this.#startNetwork(),
      this.#startApp(),
    ];
    const results = await Promise.allSettled(steps);
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async #cloneDatabase(): Promise<void> {
    const { admin, server } = this.database;
    try {
      if (server.exit !== null) {
        throw new PoolscopeError(`PostgreSQL ended (${server.logTail(1)})`);
      }
      // The limits are for the load: under them the copy would take the larger part of a run.
      await server.update({ cpus: null, memoryMiB: server.limited ? this.shared.memoryMiB : null });
      await cloneTemplate(admin);
    } catch (error) {
      // Full disk, damaged template or a server that hangs: a new server gets over each of them.
      this.database.fit = false;
      throw new PoolscopeError(`Cannot clone the database: ${firstLine(error)}`, { cause: error });
    }
  }

  async #begin(
    name: "app" | "pgbouncer",
    files: ContainerFile[],
    prepare: (container: Container) => Promise<void> = () => Promise.resolve(),
  ): Promise<Container> {
    const { images, host, adjust = (body) => body } = this.shared;
    const spec = this.#containers[name];
    const { id } = images[name === "pgbouncer" ? this.servers.pgbouncer : spec.name]!;
    const container = this.shared.make(name, {
      body: adjust(createBody(spec, id, this.#planned?.[name] ?? "", isLocal(host)), name),
      aliases: [spec.name],
      files,
      logFile: join(this.folder, "logs", `${name}.log`),
      run: this.#label,
    });
    this.services.set(name, container);
    await container.create();
    await prepare(container);
    await container.start();
    return container;
  }

  async #startPgbouncer(): Promise<void> {
    const stats = randomPassword();
    const userlist = fillTemplate(
      readFileSync(join(ROOT, "pgbouncer", "userlist.txt"), "utf8"),
      // The server's own secret serves PgBouncer for both logins, and spares it the key derivation
      // that a plain password would cost for every client.
      { APP_USER, APP_SECRET: this.database.appSecret, STATS_PASSWORD: stats },
      "pgbouncer/userlist.txt",
    );
    const container = await this.#begin("pgbouncer", [
      // The finished list stands for the passwords that plain Compose gives.
      { path: "/run/secrets/userlist", content: userlist, mode: 0o600, uid: 0, gid: 0 },
      ...certificateFiles(this.database.certificates),
    ]);
    const [port, address] = await Promise.all([
      reach(this.shared, container, "pgbouncer", PGBOUNCER_PORT),
      container.address(),
    ]);
    this.#pgbouncerAddress = address;
    this.pgbouncer = {
      host: "127.0.0.1",
      port,
      database: "pgbouncer",
      username: ADMIN_USER,
      password: stats,
    };
  }

  /** Starts the container that stands between the others, where a leg takes time. */
  async #startNetwork(): Promise<void> {
    const { scenario } = this.run;
    const { images, host } = this.shared;
    const at = (name: Leg["name"] | "control") => ({ host: "0.0.0.0", port: NETWORK_PORTS[name] });
    const legs = legsOf(scenario).filter(({ rttMs }) => rttMs > 0).map(({ name, rttMs }) => ({
      name,
      rttMs,
      backlog: scenario.listenBacklog,
      listen: at(name),
      target: name === "appPgbouncer"
        ? { host: "pgbouncer", port: PGBOUNCER_PORT }
        : { host: "postgres", port: POSTGRES_PORT },
    }));
    if (legs.length === 0) return;
    const names = ["control" as const, ...legs.map(({ name }) => name)];
    const ports = names.map((name) => NETWORK_PORTS[name]);
    const { ExposedPorts, PortBindings } = listening(ports, isLocal(host));
    // Every listener may have the queue that it asks for.
    const Sysctls = { "net.core.somaxconn": String(scenario.listenBacklog) };
    const container = this.shared.make("network", {
      body: {
        ...toolBody(images.locust!.id, networkCommand("python", at("control"), legs, true)),
        ExposedPorts,
        HostConfig: { PortBindings, Ulimits: [], Sysctls },
      },
      aliases: ["network"],
      logFile: join(this.folder, "logs", "network.log"),
      run: this.#label,
    });
    this.services.set("network", container);
    await container.create();
    await container.start();
    const reached = await Promise.all(names.map(async (name): Promise<[string, Address]> => {
      const port = await reach(this.shared, container, "network", NETWORK_PORTS[name]);
      return [name, { host: "127.0.0.1", port }];
    }));
    const { control, ...entries } = Object.fromEntries(reached);
    this.network = { method: "relay", control: control!, entries };
    this.#networkAddress = await container.address();
    await networkUp(this.network, container);
  }

  async #startApp(): Promise<void> {
    const spec = this.#containers.app;
    const files = [
      ...secretFiles(spec, { app_password: this.database.appPassword }),
      ...certificateFiles(this.database.certificates, ["ca"]),
    ];
    const app = readApp(this.run.scenario.framework);
    // Images of ours write the password file themselves, of the secret that they are granted.
    const container = await this.#begin("app", files, async (created) => {
      if (spec.environment.PGPASSFILE !== CONTAINER_PASSFILE) return;
      const uid = await created.userId();
      const content = `*:*:${DATABASE}:${APP_USER}:${this.database.appPassword}\n`;
      await created.put([{ path: CONTAINER_PASSFILE, content, mode: 0o600, uid, gid: uid }]);
    });
    const port = await reach(this.shared, container, spec.name, spec.port);
    this.appUrl = `http://127.0.0.1:${port}`;
    this.healthUrl = this.appUrl + app.healthPath;
  }

  async applyLimits(): Promise<Record<string, ServiceLimits>> {
    const planned = limitsOf(this.run.scenario);
    const limits: Record<string, ServiceLimits> = {};
    const cpuSets: Record<string, string> = {};
    // An app may be ready before the generator has begun.
    await this.#starting;
    await Promise.all([...this.services].map(async ([name, container]) => {
      // The network stands for cables, which nobody limits; why a generator ended, the load tells.
      if (name === "network" || (name === "locust" && container.exit !== null)) return;
      const asked = planned[name];
      if (asked !== undefined) await container.update(asked);
      const { cpuset, limits: readBack } = await container.readGroup();
      cpuSets[name] = cpuset;
      if (asked !== undefined) limits[name] = { asked, readBack };
    }));
    this.cpuSets = this.#planned === null ? null : cpuSets;
    // In the order of a request's way, whichever answered first.
    return Object.fromEntries(
      ["postgres", "app", "pgbouncer"].filter((name) => limits[name] !== undefined)
        .map((name) => [name, limits[name]!]),
    );
  }

  get generator(): GeneratorPlace {
    return {
      python: "python",
      locustfile: LOCUSTFILE,
      host: `http://${this.run.scenario.framework}:${
        readApp(this.run.scenario.framework).containerPort
      }`,
      folder: LOAD_FOLDER,
    };
  }

  startLoad(command: LoadCommand): LoadGenerator {
    const cores = this.#planned?.locust;
    const container = this.shared.make("locust", {
      body: toolBody(this.shared.images.locust!.id, command.argv, command.env, cores),
      aliases: ["locust"],
      files: [
        { path: LOAD_FOLDER, content: null, mode: 0o777, uid: 0, gid: 0 },
        ...Object.entries(command.files)
          .map(([path, content]) => ({ path, content, mode: 0o644, uid: 0, gid: 0 })),
      ],
      logFile: join(this.folder, "logs", "locust.log"),
      run: this.#label,
    });
    this.services.set("locust", container);
    const starting = container.create().then(() => container.start()).catch((error) => {
      container.fail((error as Error).message);
    });
    this.#starting = starting;
    return Object.assign(container, {
      release: async () => {
        await starting;
        if (container.exit !== null) return;
        await container.put([
          { path: command.startFile, content: "", mode: 0o666, uid: 0, gid: 0 },
        ]);
        await this.#followLive(container);
      },
      collect: () => container.fetch(LOAD_FOLDER, this.folder),
    });
  }

  /** Keeps the run's own copy of what Locust says of its last second. */
  async #followLive(container: Container): Promise<void> {
    const script = `while sleep 0.5; do cat ${LOAD_FOLDER}/.live.json 2>/dev/null && echo; done`;
    await container.follow(["sh", "-c", script], (line) => {
      if (container.exit === null && !this.#ended && line.startsWith("{")) {
        writeFileSync(join(this.folder, ".live.json"), line);
      }
    }).catch(() => {
      // It has ended already, or the daemon is gone: there is nothing live to show.
    });
  }

  async usage(): Promise<ServiceUsage[]> {
    const running = [...this.services.values()].filter(({ id, exit }) =>
      id !== "" && exit === null
    );
    const [stat, meminfo, ...usages] = await Promise.all([
      this.shared.relay.readFile("/proc/stat"),
      this.shared.relay.readFile("/proc/meminfo"),
      // One that has ended meanwhile has no row.
      ...running.map((container) => container.usage().catch(() => null)),
    ]);
    const host = parseHostCpu(stat);
    return [
      ...usages.filter((usage) => usage !== null),
      {
        service: "host",
        cpuS: host.busyS,
        throttledS: host.stolenS,
        memoryMiB: parseMemoryInUse(meminfo),
        processes: 0,
        contextSwitches: null,
      },
    ];
  }

  async appTimings(): Promise<AppTimings[]> {
    const app = this.services.get("app");
    // One that has ended meanwhile tells nothing more.
    return await allAppTimings(() =>
      app?.readNumbers(`${CONTAINER_TIMINGS}/[0-9]*`, PAGE_NUMBERS).catch(() => []) ?? []
    );
  }

  async pauseAppTimings(paused: boolean): Promise<void> {
    const path = `${CONTAINER_TIMINGS}/${PAUSED_FILE}`;
    // The workers have this very file in their memory.
    const script = `printf %s ${paused ? PAUSE : GO_ON} 1<>${path}`;
    await this.services.get("app")!.follow(["sh", "-c", script], () => {});
  }

  async tcp(): Promise<Record<string, TcpState>> {
    const running = [...this.services.values()].filter(({ id, exit }) =>
      id !== "" && exit === null
    );
    // One that has ended meanwhile counts nothing any more.
    const states = await Promise.all(running.map(async (container) => {
      const files = await container.readFiles(TCP_FILES).catch(() => null);
      return files === null ? [] : [[container.name, parseTcp(files)] as const];
    }));
    return Object.fromEntries(states.flat());
  }

  /** The port is the container's own, in which nothing of others runs. */
  isAppListening(): Promise<boolean> {
    return Promise.resolve(true);
  }

  async isPgbouncerSocket({ address }: Peer): Promise<boolean> {
    if (this.#pgbouncerAddress === null) return false;
    if (address === this.#pgbouncerAddress) return true;
    if (this.network === null || address !== this.#networkAddress) return false;
    // The network connects for whoever enters there.
    const { legs } = await readNetwork(this.network.control);
    const entering = legs.find(({ name }) => name === "pgbouncerDb")?.clients ?? [];
    return entering.length > 0 && entering.every((client) => client === this.#pgbouncerAddress);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#starting;
    const own = [...this.services.values()].filter(({ name }) => name !== "postgres");
    // A daemon that is gone removes nothing; the start that finds it again does.
    await Promise.allSettled(own.map(this.shared.remove));
    if (existsSync(join(this.folder, "logs"))) {
      writeFileSync(join(this.folder, "logs", "postgres.log"), this.database.server.runLog());
    }
  }
}
