/**
 * What a study needs of the place where services run. The local engine starts processes; nothing
 * above this interface knows which engine it is.
 *
 * @module
 */

import type { PlannedRun } from "../plan.ts";
import type { Leg, Scenario } from "../scenario.ts";
import type { NetworkMethod, ServiceLimits } from "../store/manifest.ts";

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
  /** Ends the service and everything that it started; resolves when nothing is left of it. */
  stop(): Promise<void>;
}

/** What one service has used since it started. Counters are cumulative. */
export interface ServiceUsage {
  service: string;
  cpuS: number;
  throttledS: number;
  memoryMiB: number;
  processes: number;
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
  /** The value that the app gives back on its health path, so that it is known to be ours. */
  readonly nonce: string;
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
  /** Starts the load generator. */
  startLoad(command: { argv: string[]; env: Record<string, string> }): RunningService;
  /** What each service and the host have used so far. */
  usage(): Promise<ServiceUsage[]>;
  /** Whether one of PostgreSQL's clients at this address and port is PgBouncer. */
  isPgbouncerSocket(port: number): Promise<boolean>;
}

/** Where services run. */
export interface Engine extends AsyncDisposable {
  /** `local` or `docker`. */
  readonly name: "local" | "docker";
  /** One sentence for the reader when limits cannot be set here; null when they can. */
  readonly limitsWarning: string | null;
  /** Versions of everything that the engine starts. */
  readonly versions: Record<string, string>;
  /** Python as the engine's load generator runs it. */
  readonly python: string;
  /** Starts PostgreSQL with the seeded template, or restarts it when a server setting differs. */
  startDatabase(scenario: Scenario): Promise<void>;
  /** Clones the database and starts PgBouncer, if pooled, and the app. */
  startRun(run: PlannedRun, folder: string): Promise<RunServices>;
}
