/**
 * What a study needs of the place where services run. The local engine starts processes, the Docker
 * engine containers; nothing above this interface knows which engine it is.
 *
 * @module
 */

import type { PlannedRun } from "../plan.ts";
import type { Leg, Scenario } from "../scenario.ts";
import type { Manifest, NetworkMethod, ServiceLimits } from "../store/manifest.ts";
import type { TcpState } from "./tcp.ts";

/** How a service ended: by itself with a code or signal. */
export interface Exit {
  /** Exit code; 128 + the signal's number when a signal ended it. */
  code: number;
  /** The signal that ended it, or null. */
  signal: string | null;
}

/** A started service. */
export interface RunningService {
  /** `postgres`, `pgbouncer`, `app`, `network` or `locust`. */
  readonly name: string;
  /** How it ended, or null while it runs. */
  readonly exit: Exit | null;
  /** Resolves when it has ended. */
  readonly exited: Promise<Exit>;
  /** The last lines of its log, of this run alone. */
  logTail(lines?: number): string;
  /** Processes of it that the kernel killed at its memory limit in this run. */
  memoryKills(): number;
  /** Why its own health check calls it unhealthy; null while it does not, or there is none. */
  readonly unhealthy: string | null;
  /** Ends the service and everything that it started; resolves when nothing of it runs. */
  stop(): Promise<void>;
}

/** How to start the load generator. */
export interface LoadCommand {
  /** Program and arguments. */
  argv: string[];
  /** The variables to add to the environment. */
  env: Record<string, string>;
  /** The file that it waits for before it begins, as it sees it. */
  startFile: string;
  /** Files that it reads, by the paths at which it sees them. */
  files: Record<string, string>;
}

/** A load generator that is started, with its libraries loaded, and waits to be let go. */
export interface LoadGenerator extends RunningService {
  /** Lets it begin; from then on the run's folder has its `.live.json`. */
  release(): Promise<void>;
  /** Brings what it wrote into the run's folder, once it has ended. */
  collect(): Promise<void>;
}

/** Where the load generator finds things, as it sees them itself. */
export interface GeneratorPlace {
  /** The Python that Locust is installed in. */
  python: string;
  /** The locustfile. */
  locustfile: string;
  /** Where the app answers, without a slash at the end. */
  host: string;
  /** The folder that receives its files. */
  folder: string;
}

/** The other end of a connection, as PostgreSQL sees it. */
export interface Peer {
  /** The IP address. */
  address: string;
  port: number;
}

/** What one service has used since it started. Counters are cumulative. */
export interface ServiceUsage {
  service: string;
  cpuS: number;
  throttledS: number;
  memoryMiB: number;
  processes: number;
  /**
   * How often one of its threads was put on a core, which is as often as the kernel switched away
   * from one: of those that live now, and of those before as far as they were seen. Null where the
   * kernel does not tell, and for the host.
   */
  contextSwitches: number | null;
}

/**
 * What the requests took that a worker process of the app has answered by now, as it saw them itself.
 * Counters are cumulative; of a busy worker estimates, by each n-th request with n times its weight.
 */
export interface AppTimings {
  /** The worker's pid, as it sees it. */
  worker: number;
  requests: number;
  /** From the app's first touch of a request to its answer. */
  handlerUs: number;
  /** Of that, waiting for a connection of the app's own pool, without opening one. */
  poolWaitUs: number;
  /** Opening connections, and how many were opened. */
  connectUs: number;
  connections: number;
  /** Waiting for answers of the database. */
  databaseUs: number;
}

/** How to reach a database server or PgBouncer's console with administrator's rights. */
export interface Access {
  host: string;
  port: number;
  database: string;
  username: string;
  password: string;
}

/** An address that a program of ours may connect to. */
export interface Address {
  host: string;
  port: number;
}

/** What stands between the services of a run and makes the scenario's round-trip times. */
export interface RunNetwork {
  /** How: bytes are held back by a process of its own. */
  method: NetworkMethod;
  /** Where it tells what it has done so far. */
  control: Address;
  /** Where each leg that takes time is entered, by the leg's name. */
  entries: Partial<Record<Leg["name"], Address>>;
}

/** Everything that one run consists of, started and not yet waited for. */
export interface RunServices extends AsyncDisposable {
  /** Where the app answers, without a slash at the end. */
  readonly appUrl: string;
  /** Where the app answers without the database. */
  readonly healthUrl: string;
  /** The value that the app gives back on its health path, so that it is known to be ours. */
  readonly nonce: string;
  /** Versions of what this run has and others may not: of the servers, and of what the app runs on. */
  readonly versions: Record<string, string>;
  /** The images of the servers, by service, with their digests; empty without images. */
  readonly images: Record<string, string>;
  /** What the scenario says to the app, by the names of its environment variables. */
  readonly appOptions: Record<string, string>;
  /** PostgreSQL, connected to the run's database. */
  readonly postgres: Access;
  /** PgBouncer's console; null when the path is direct. */
  readonly pgbouncer: Access | null;
  /** The network between the services; null when no leg takes time. */
  readonly network: RunNetwork | null;
  /** The services by name, PostgreSQL among them. */
  readonly services: ReadonlyMap<string, RunningService>;
  /** Puts the scenario's limits in force and reads back what holds. */
  applyLimits(): Promise<Record<string, ServiceLimits>>;
  /** Starts the load generator; where that fails, it has ended with the reason in its log. */
  startLoad(command: LoadCommand): LoadGenerator;
  /** Where the load generator finds things. */
  readonly generator: GeneratorPlace;
  /** The cores that each service has for itself; null when they all share the host's. */
  readonly cpuSets: Record<string, string> | null;
  /** What each service and the host have used so far. */
  usage(): Promise<ServiceUsage[]>;
  /** What the app's requests have taken so far, a record for each worker process. */
  appTimings(): Promise<AppTimings[]>;
  /** Has the app's workers count no requests that begin from now on, or count them again. */
  pauseAppTimings(paused: boolean): Promise<void>;
  /** What the kernel has counted of TCP so far, by network namespace. */
  tcp(): Promise<Record<string, TcpState>>;
  /** Whether what listens on the app's port is a process, or in a container, that was started here. */
  isAppListening(): Promise<boolean>;
  /** Whether PostgreSQL's client at this address and port is PgBouncer. */
  isPgbouncerSocket(peer: Peer): Promise<boolean>;
}

/** Where services run. */
export interface Engine extends AsyncDisposable {
  /** `local` or `docker`. */
  readonly name: "local" | "docker";
  /** The checkout whose `apps/` and `pgbouncer/` are run. */
  readonly root: string;
  /** One sentence for the reader when limits cannot be set here; null when they can. */
  readonly limitsWarning: string | null;
  /** The machine on which services run; null when it is this one. */
  readonly host: Manifest["host"] | null;
  /** Versions of everything that the engine starts. */
  readonly versions: Record<string, string>;
  /** The images of what it starts, by service, with their digests; empty without images. */
  readonly images: Record<string, string>;
  /**
   * Gets the versions of PostgreSQL and PgBouncer that scenarios ask for, and has them check what is
   * set by their own names.
   *
   * @throws {PoolscopeError} If a version cannot be had.
   * @throws {UsageError} If a setting is unknown or refused.
   */
  checkServerSettings(scenarios: readonly Scenario[]): Promise<void>;
  /** Starts PostgreSQL with the seeded template, or restarts it when a server setting differs. */
  startDatabase(scenario: Scenario): Promise<void>;
  /** Clones the database and starts PgBouncer, if pooled, and the app. */
  startRun(run: PlannedRun, folder: string): Promise<RunServices>;
  /**
   * Looks whether the engine itself still works, so that no further run is tried without it.
   *
   * @throws {EngineLostError} If it does not.
   */
  checkAlive(): Promise<void>;
}
