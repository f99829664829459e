/**
 * A place where services run: this machine's processes, or the containers of a Docker daemon. A host
 * knows nothing of PostgreSQL, PgBouncer or apps; a service knows nothing of processes or containers.
 */

import type { Limits, Manifest } from "../store/manifest.ts";
import type { TcpState } from "./linux/tcp.ts";

/** How a service ended: by itself with a code, or by a signal. */
export interface Exit {
  /** Exit code; 128 + the signal's number when a signal ended it. */
  code: number;
  /** The signal that ended it, or null. */
  signal: string | null;
}

/** An address that a program may connect to. */
export interface Address {
  /** Name or IP address. */
  host: string;
  port: number;
}

/** What a service has used since it started. Counters are cumulative. */
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

/** Where a program comes from. Each kind of host reads its own part. */
export interface Program {
  /** The words that start it, before the arguments of a service; null for its image's own. */
  command: readonly string[] | null;
  /** Local: folders of programs, searched before the system's. @default none */
  path?: readonly string[];
  /** Local: the folder in which it runs. @default its instance's own */
  folder?: string;
  /** Local: the user that it runs as; null is ourselves. @default null */
  user?: { uid: number; gid: number } | null;
  /** Docker: the image's id. */
  image?: string;
  /** Docker: the user's name in the image. @default the image's */
  imageUser?: string;
}

/** A file that an instance finds, readable by its own user alone unless `mode` says otherwise. */
export interface HostFile {
  /** Its name, without folders. */
  name: string;
  /** Null for a folder. */
  content: string | null;
  /** @default 0o600 */
  mode?: number;
}

/** What to make room for. */
export interface InstanceOptions {
  /** The service's name in logs and errors, as in `postgres`. */
  service: string;
  program: Program;
  /** The file here that receives what it writes. */
  logFile: string;
  /** The ports on which it listens where it is alone. @default none */
  ports?: readonly number[];
  /** The network that it joins. @default {the host's own} */
  network?: HostNetwork;
  /** Further networks that it joins. @default none */
  networks?: readonly HostNetwork[];
  /** The name by which others of its network reach it. @default {the service's} */
  alias?: string;
  /** The run that it serves, for whoever looks at the host. @default none */
  run?: string;
  /** Folders of its own into which it writes much, as one of its start's files each. @default none */
  volumes?: readonly string[];
  /** A folder here that it shares, into which it writes its files. @default {one of its own} */
  folder?: string;
  /** Signal that asks for its end. @default "TERM" */
  stopSignal?: "TERM" | "QUIT" | "INT";
  /** Seconds to end by itself before it is killed. @default 3 */
  graceS?: number;
}

/** How to start an instance. */
export interface StartOptions {
  /** What follows the words of the program. @default nothing */
  args?: readonly string[];
  /** The environment, nothing of which is inherited. @default nothing */
  env?: Record<string, string>;
  /** Files that it finds at {@linkcode Instance.path}. @default none */
  files?: readonly HostFile[];
  /** The cores that it runs on, as in `0-1`, where the host divides them. @default all */
  cores?: string;
  /** The longest listen queue that it may ask for. @default {the host's} */
  listenBacklog?: number;
}

/** A service on a host: made room for, started once, and ended. */
export interface Instance {
  /** The service's name: `postgres`, `pgbouncer`, `app`, `network` or `locust`. */
  readonly name: string;
  /** How it ended, or null while it runs or has not begun. */
  readonly exit: Exit | null;
  /** Resolves when it has ended. */
  readonly exited: Promise<Exit>;
  /** Where a file or folder of its own lies, as its program sees it. */
  path(name: string): string;
  /** The address that its program must bind for one of its ports. */
  binds(port: number): Address;
  /** The address by which others of its network reach one of its ports. */
  reachedAt(port: number): Address;
  /** The address by which we reach one of its ports, once it has started. */
  address(port: number): Promise<Address>;
  /**
   * Starts it with its files; where it ends at once, `exit` and the log tell.
   *
   * @throws {PoolscopeError} If the host refuses.
   */
  start(options?: StartOptions): Promise<void>;
  /** Puts a file where it runs. */
  put(files: readonly HostFile[]): Promise<void>;
  /**
   * Runs a program beside it to its end, as the same user.
   *
   * @returns What it wrote to standard output, and its exit code.
   */
  exec(argv: readonly string[]): Promise<{ code: number; output: string }>;
  /**
   * Reads numbers of eight bytes, by the order of the machine, from all files of a folder of its own.
   *
   * @param folder As of {@linkcode Instance.path}.
   * @param each How many numbers each file holds.
   * @returns The numbers by the file's name; none of a file of another size.
   */
  readNumbers(folder: string, each: number): Promise<[name: string, numbers: readonly number[]][]>;
  /**
   * Puts limits in force and reads back what holds.
   *
   * @param limits Null where only the present ones are to be read.
   * @throws {PoolscopeError} If it uses more memory than the limit.
   */
  limit(limits: Limits | null): Promise<{ limits: Limits; cores: string | null }>;
  /** What it has used so far. */
  usage(): Promise<ServiceUsage>;
  /** What the kernel counts of TCP where it runs, under a name of that place. */
  tcp(): Promise<[place: string, TcpState]>;
  /** Processes of it that the kernel killed at its memory limit. */
  memoryKills(): number;
  /** The last lines of its log. */
  logTail(lines?: number): string;
  /** Whether a connection that arrived from this address and port comes from it. */
  owns(peer: Address): Promise<boolean>;
  /** Whether one of its processes listens on one of its ports. */
  listens(port: number): Promise<boolean>;
  /** Keeps a small file here current with one of its own that it rewrites. */
  mirror(name: string, file: string): void;
  /** Brings the files of its folder into one of ours. */
  collect(folder: string): Promise<void>;
  /** Ends it and everything that it started; resolves when nothing of it runs. */
  stop(): Promise<void>;
  /** Ends it and removes what the host keeps of it but the log. */
  remove(): Promise<void>;
}

/** Those that reach each other by name. */
export interface HostNetwork extends AsyncDisposable {
  readonly id: string;
}

/** What an instance left behind for others to begin with. */
export interface Kept {
  /** The folder, as programs that are started from it see it. */
  folder: string;
  /** Changes of a program that begins with it. */
  program: Partial<Program>;
}

/** Where services run. */
export interface Host extends AsyncDisposable {
  /** `local` or `docker`, or another kind's name. */
  readonly kind: string;
  /** The machine, where it is not this one. */
  readonly machine: Manifest["host"] | null;
  /** Cores that are divided among services; null where nobody decides on which they run. */
  readonly cores: number | null;
  /** One sentence for the reader when limits cannot be set here; null when they can. */
  readonly limitsWarning: string | null;
  /** Makes a network for services that belong together. */
  network(name: string): Promise<HostNetwork>;
  /** Makes room for a service. */
  place(options: InstanceOptions): Instance;
  /** What was kept under a key, for a program; null when there is nothing. */
  findKept(key: string, program: Program): Promise<Kept | null>;
  /** Keeps what an instance that has ended has in its folder, under a key. */
  keep(instance: Instance, key: string): Promise<Kept>;
  /** What the whole machine has used so far, as the service `host`. */
  usage(): Promise<ServiceUsage>;
  /** A path here for a file that is gone with this process at the latest. */
  scratchFile(name: string): string;
  /**
   * Looks whether the host itself still works.
   *
   * @throws {EngineLostError} If it does not.
   */
  checkAlive(): Promise<void>;
}
