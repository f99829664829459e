/**
 * A service as a process that leaves nothing behind: it leads a session of its own, is told when this
 * process dies, and is written down so that a later start can end what a crash left.
 */

import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PoolscopeError } from "../../errors.ts";
import { tryCommand } from "../../setup/command.ts";
import { serviceEnvironment } from "../../setup/environment.ts";
import type { Limits } from "../../store/manifest.ts";
import type {
  Address,
  HostFile,
  Instance,
  InstanceOptions,
  ServiceUsage,
  StartOptions,
} from "../host.ts";
import { type ControlGroup, outOfMemory, readLimitsOf } from "../linux/cgroup.ts";
import { KeptFiles } from "../linux/kept_files.ts";
import {
  listThreads,
  type ProcessStat,
  readProcess,
  recentProcesses,
  signalAll,
  ThreadSwitches,
  withDescendants,
} from "../linux/proc.ts";
import { parseTcp, TCP_FILES, type TcpState } from "../linux/tcp.ts";
import { LoggedInstance } from "../log.ts";
import type { Owned } from "../owned.ts";
import { listens, ownsSocket } from "./sockets.ts";

/** What a host of processes gives an instance beside what it was asked for. */
export interface LocalPlace extends InstanceOptions {
  /** Its own folder, made and written down. */
  private: string;
  /** The local port that stands for each of its ports. */
  localPorts: ReadonlyMap<number, number>;
  /** The control group that it joins before its program starts; null where there is none. */
  group: ControlGroup | null;
  /** Where the process is written down while it runs. */
  owned: Owned;
  /** Words before its program, as in `unshare --mount`. @default none */
  wrap?: readonly string[];
}

/**
 * The launcher waits until it is written down, and ends if its parent does before that. Then it
 * joins the control groups, redirects, drops the user's rights and asks the kernel for the signal at
 * the parent's death; then the program takes the launcher's place, so that its pid is the session's.
 */
const LAUNCHER = 'read -r word && [ "$word" = go ] || exit 125; log=$1; n=$2; shift 2; ' +
  'while [ "$n" -gt 0 ]; do echo $$ > "$1" || exit 126; shift; n=$((n-1)); done; ' +
  'exec "$@" </dev/null >>"$log" 2>&1';

/** The parent may have died before the kernel was asked for that signal. */
const UNLESS_ORPHANED = '[ "$PPID" = "$1" ] || exit 125; shift; exec "$@"';

const HAS_SETPRIV = ["/usr/bin/setpriv", "/bin/setpriv"].some((file) => existsSync(file));
const HOST = "127.0.0.1";

/** A service that runs as a process of this machine, with whatever it starts itself. */
export class LocalInstance extends LoggedInstance implements Instance {
  /** Its process, which leads its session; 0 while it has not begun. */
  pid = 0;
  #switches = new ThreadSwitches();
  #files = new KeptFiles();
  #removed = new AbortController();
  #commands = new Set<Promise<unknown>>();

  constructor(private readonly place: LocalPlace) {
    super(place);
  }

  path(name: string): string {
    return join(this.place.folder ?? this.place.private, name);
  }

  binds(port: number): Address {
    return { host: HOST, port: this.place.localPorts.get(port)! };
  }

  reachedAt(port: number): Address {
    return this.binds(port);
  }

  address(port: number): Promise<Address> {
    return Promise.resolve(this.binds(port));
  }

  put(files: readonly HostFile[]): Promise<void> {
    const { user } = this.place.program;
    for (const { name, content, mode = 0o600 } of files) {
      const path = this.path(name);
      try {
        if (content === null) mkdirSync(path, { recursive: true });
        else writeFileSync(path, content, { mode });
      } catch (error) {
        const reason = (error as Error).message.split(/, (?:open|mkdir)/)[0];
        throw new PoolscopeError(`Cannot write ${basename(path)}: ${reason}`, { cause: error });
      }
      chmodSync(path, mode); // whatever the reader's umask leaves of it
      if (user) chownSync(path, user.uid, user.gid);
    }
    return Promise.resolve();
  }

  async start(options: StartOptions = {}): Promise<void> {
    try {
      await this.#start(options);
    } catch (error) {
      if (this.pid === 0) this.#endUnbegun(error as Error);
      throw error;
    }
  }

  async #start({ args = [], env = {}, files = [] }: StartOptions): Promise<void> {
    const { program, group, owned, logFile, stopSignal = "TERM", wrap = [] } = this.place;
    await this.put(files);
    const joined = group?.joinFiles ?? [];
    const launched = [...wrap, ...this.#dropRights(stopSignal), ...program.command!, ...args];
    const child = new Deno.Command("/bin/sh", {
      cwd: program.folder ?? this.place.private,
      env: { ...this.#environment(env), ...owned.mark },
      clearEnv: true,
      args: ["-c", LAUNCHER, "sh", logFile, String(joined.length), ...joined, ...launched],
      detached: true,
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.pid = child.pid;
    child.status.then(({ code, signal }) => this.ended({ code, signal }));
    const startTicks = readProcess(this.pid)?.startTicks ?? 0;
    owned.add("processes", { pid: this.pid, startTicks });
    letGo(child);
  }

  /** It has ended before it began. */
  #endUnbegun({ message }: Error): void {
    try {
      writeFileSync(this.place.logFile, `${message}\n`, { flag: "a" });
    } catch {
      // A full disk, which is told elsewhere.
    }
    this.ended({ code: 125, signal: null });
  }

  /** Its home is of its own, as services side by side would meet in one. */
  #environment(env: Record<string, string>): Record<string, string> {
    const { program, private: folder } = this.place;
    const home = join(folder, "home");
    mkdirSync(home, { recursive: true, mode: 0o700 });
    if (program.user) chownSync(home, program.user.uid, program.user.gid);
    const path = [...program.path ?? [], "/usr/bin", "/bin"].join(":");
    return serviceEnvironment(home, { PATH: path, ...env });
  }

  /** Words that start a program as its user, with a signal for our death. */
  #dropRights(deathSignal: string): string[] {
    const { user } = this.place.program;
    if (!HAS_SETPRIV) {
      if (!user) return [];
      throw new PoolscopeError(
        `Cannot start ${this.name} as another user: setpriv is missing; install the package util-linux`,
      );
    }
    const rights = user
      ? ["--reuid", String(user.uid), "--regid", String(user.gid), "--clear-groups"]
      : [];
    const orphan = ["/bin/sh", "-c", UNLESS_ORPHANED, "sh", String(Deno.pid)];
    return ["setpriv", ...rights, "--pdeathsig", deathSignal, "--", ...orphan];
  }

  async exec(argv: readonly string[]): Promise<{ code: number; output: string }> {
    const { program, private: cwd, owned } = this.place;
    const command = tryCommand(argv as [string, ...string[]], {
      cwd,
      env: { ...this.#environment({}), ...owned.mark },
      user: program.user ?? undefined,
      signal: this.#removed.signal,
    });
    this.#commands.add(command);
    try {
      const { code, stdout } = await command;
      return { code, output: stdout };
    } finally {
      this.#commands.delete(command);
    }
  }

  readNumbers(folder: string, each: number): Promise<[string, readonly number[]][]> {
    return Promise.resolve(this.#files.readNumbers(this.path(folder), each));
  }

  limit(limits: Limits | null): Promise<{ limits: Limits; cores: null }> {
    const { group } = this.place;
    try {
      if (limits !== null) group?.setLimits(limits);
    } catch (error) {
      // Version 1 of control groups refuses a limit that is exceeded already.
      if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
      throw outOfMemory(this.name, group!.usage().memoryMiB, limits!, error);
    }
    return Promise.resolve({ limits: readLimitsOf(this.pid), cores: null });
  }

  usage(): Promise<ServiceUsage> {
    const { group } = this.place;
    const { threads, ...measured } = group
      ? { ...group.usage(), ...group.members() }
      : sumUp(withDescendants(this.pid, recentProcesses()));
    const contextSwitches = this.#switches.read(threads);
    return Promise.resolve({ service: this.name, ...measured, contextSwitches });
  }

  tcp(): Promise<[string, TcpState]> {
    const texts = TCP_FILES.map((file) => readFileSync(file, "utf8"));
    return Promise.resolve(["machine", parseTcp(texts)]);
  }

  memoryKills(): number {
    return this.place.group?.memoryKills() ?? 0;
  }

  owns({ port }: Address): Promise<boolean> {
    return Promise.resolve(ownsSocket(this.members(), port));
  }

  listens(port: number): Promise<boolean> {
    return Promise.resolve(listens(this.members(), this.binds(port).port));
  }

  /** It writes into a folder that it shares with us. */
  mirror(): void {}

  collect(): Promise<void> {
    return Promise.resolve();
  }

  /** Pids of the process and of everything that it started: of its control group, else its session. */
  members(): number[] {
    if (this.pid === 0) return [];
    const all = this.place.group?.pids() ??
      recentProcesses().filter(({ session }) => session === this.pid).map(({ pid }) => pid);
    // It joins the group, and is in a list that others asked for, a moment after it was started.
    return [...new Set([...this.exit ? [] : [this.pid], ...all])];
  }

  async stop(): Promise<void> {
    const { stopSignal = "TERM", graceS = 3 } = this.place;
    if (this.pid === 0) return;
    signalAll(this.members(), `SIG${stopSignal}`);
    await waitUntilGone(() => this.members(), graceS);
    for (let attempt = 0; attempt < 5 && this.members().length > 0; attempt++) {
      signalAll(this.members(), "SIGKILL");
      await waitUntilGone(() => this.members(), 1);
    }
    await this.exited;
  }

  async remove(): Promise<void> {
    const { owned, group } = this.place;
    this.#removed.abort();
    await Promise.all([this.stop(), Promise.allSettled(this.#commands)]);
    this.#switches[Symbol.dispose]();
    this.#files[Symbol.dispose]();
    if (group && await group.remove()) owned.removeGroup(group.name);
    owned.remove("processes", ({ pid }) => pid === this.pid);
    await rm(this.place.private, { recursive: true, force: true });
    owned.removeFolder(this.place.private);
  }
}

function sumUp(members: readonly ProcessStat[]) {
  const sum = (key: "cpuS" | "residentMiB") =>
    members.reduce((total, stat) => total + stat[key], 0);
  return {
    cpuS: sum("cpuS"),
    throttledS: 0,
    memoryMiB: sum("residentMiB"),
    threads: members.flatMap(({ pid }) => listThreads(pid)),
    processes: members.length,
  };
}

/** Tells the launcher that it is written down. */
function letGo(child: Deno.ChildProcess): void {
  const writer = child.stdin.getWriter();
  writer.write(new TextEncoder().encode("go\n")).then(() => writer.close()).catch(() => {
    // It has ended, which its status tells.
  });
}

async function waitUntilGone(members: () => number[], seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (members().length > 0 && performance.now() < end) await sleep(20);
}
