/**
 * Child processes that leave nothing behind: each is the leader of its own session, is told when
 * this process dies, and is written down so that a later start can end what a crash left.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { PoolscopeError } from "../errors.ts";
import type { ControlGroup } from "./cgroup.ts";
import type { Owned } from "./cleanup.ts";
import type { Exit, RunningService, ServiceUsage } from "./engine.ts";
import {
  listProcesses,
  listThreads,
  type ProcessStat,
  readProcess,
  ThreadSwitches,
  withDescendants,
} from "./proc.ts";

/** How to start a service. */
export interface ProcessOptions {
  /** The service's name in logs and errors. */
  name: string;
  /** Program and arguments. */
  argv: string[];
  /** The whole environment; nothing is inherited. */
  env: Record<string, string>;
  /** Working folder. */
  cwd: string;
  /** File that receives standard output and standard error, appended. */
  logFile: string;
  /** Run as this user. @default the current user */
  user?: { uid: number; gid: number } | null;
  /** The control group to join before the program starts. @default none */
  group?: ControlGroup | null;
  /** Signal that asks for the end, and that is sent when this process dies. @default "TERM" */
  stopSignal?: "TERM" | "QUIT" | "INT";
  /** Time to end by itself before it is killed, in seconds. @default 3 */
  graceS?: number;
  /** Where the process is written down while it runs. */
  owned: Owned;
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

/** A service that runs as a local process, with whatever it starts itself. */
export class LocalProcess implements RunningService {
  readonly name: string;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** A process has no health check of its own. */
  readonly unhealthy = null;
  exit: Exit | null = null;
  #options: ProcessOptions;
  #logStart: number;
  #killsBefore = 0;
  #switches = new ThreadSwitches();

  private constructor(options: ProcessOptions, child: Deno.ChildProcess, logStart: number) {
    this.name = options.name;
    this.pid = child.pid;
    this.#options = options;
    this.#logStart = logStart;
    this.exited = child.status.then((status) => {
      this.exit = { code: status.code, signal: status.signal };
      return this.exit;
    });
  }

  /**
   * Starts a process.
   *
   * @throws {PoolscopeError} If the launcher cannot be started.
   */
  static start(options: ProcessOptions): LocalProcess {
    const { argv, group, user, stopSignal = "TERM" } = options;
    const log = openSync(options.logFile, "a");
    const logStart = fstatSync(log).size;
    closeSync(log);
    const rights = user
      ? ["--reuid", String(user.uid), "--regid", String(user.gid), "--clear-groups"]
      : [];
    if (rights.length > 0 && !HAS_SETPRIV) {
      throw new PoolscopeError(
        `Cannot start ${options.name} as another user: setpriv is missing; install the package util-linux`,
      );
    }
    const setpriv = HAS_SETPRIV
      ? [
        "setpriv",
        ...rights,
        "--pdeathsig",
        stopSignal,
        "--",
        "/bin/sh",
        "-c",
        UNLESS_ORPHANED,
        "sh",
        String(Deno.pid),
      ]
      : [];
    const join = group?.joinFiles ?? [];
    const child = new Deno.Command("/bin/sh", {
      args: [
        "-c",
        LAUNCHER,
        "sh",
        options.logFile,
        String(join.length),
        ...join,
        ...setpriv,
        ...argv,
      ],
      cwd: options.cwd,
      env: { ...options.env, ...options.owned.mark },
      clearEnv: true,
      detached: true,
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const started = new LocalProcess(options, child, logStart);
    options.owned.addProcess(started.pid, readProcess(started.pid)?.startTicks ?? 0);
    letGo(child);
    return started;
  }

  /** Pids of the process and of everything that it started and that is still in its session. */
  members(): number[] {
    return listProcesses().filter((stat) => stat.session === this.pid).map((stat) => stat.pid);
  }

  /**
   * Starts the account of a run for a process that outlives runs: what is told of its log and of
   * killed processes begins now.
   */
  beginRun(): void {
    this.#logStart = statSync(this.#options.logFile).size;
    this.#killsBefore += this.memoryKills();
  }

  /** Closes what readings of a run have kept open; those that come later open it anew. */
  endRun(): void {
    this.#switches[Symbol.dispose]();
  }

  memoryKills(): number {
    return (this.#options.group?.memoryKills() ?? 0) - this.#killsBefore;
  }

  logTail(lines = 20): string {
    return readLog(this.#options.logFile, this.#logStart).trimEnd().split("\n").slice(-lines)
      .join("\n");
  }

  async stop(): Promise<void> {
    const { stopSignal = "TERM", graceS = 3, owned, group } = this.#options;
    signalSession(this.members(), `SIG${stopSignal}`);
    await waitUntilGone(() => this.members(), graceS);
    for (let attempt = 0; attempt < 5 && this.members().length > 0; attempt++) {
      signalSession(this.members(), "SIGKILL");
      await waitUntilGone(() => this.members(), 1);
    }
    await this.exited;
    this.endRun();
    if (group && await group.remove()) owned.removeGroup(group.name);
    owned.removeProcess(this.pid);
  }

  /**
   * CPU time and memory, from the control group, else from `/proc`, and what that tells alone.
   *
   * @param list Lists all processes of the machine, which takes milliseconds and is asked only where
   * there is no group that knows its own. @default {@linkcode listProcesses}
   */
  usage(list: () => readonly ProcessStat[] = listProcesses): ServiceUsage {
    const { group } = this.#options;
    const { threads, ...measured } = group
      ? { ...group.usage(), ...group.members() }
      : sumUp(withDescendants(this.pid, list()));
    const contextSwitches = this.#switches.read(threads);
    return { service: this.name, ...measured, contextSwitches };
  }
}

function sumUp(members: readonly ProcessStat[]) {
  const sum = (key: "cpuS" | "residentMiB") =>
    members.reduce((total, stat) => total + stat[key], 0);
  const threads = members.flatMap(({ pid }) => listThreads(pid));
  return {
    cpuS: sum("cpuS"),
    throttledS: 0,
    memoryMiB: sum("residentMiB"),
    threads,
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

function signalSession(pids: number[], signal: string): void {
  for (const pid of pids) {
    try {
      Deno.kill(pid, signal as Deno.Signal);
    } catch {
      // It ended between being listed and being signalled, which is what was wanted.
    }
  }
}

async function waitUntilGone(members: () => number[], seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (members().length > 0 && performance.now() < end) {
    await sleep(20);
  }
}

/** At most the last 64 KiB of a log from `start` on, as text. */
export function readLog(file: string, start: number): string {
  let handle: number;
  try {
    handle = openSync(file, "r");
  } catch {
    return "";
  }
  try {
    const size = fstatSync(handle).size;
    const from = Math.max(start, size - 65_536);
    const buffer = new Uint8Array(Math.max(0, size - from));
    const read = readSync(handle, buffer, 0, buffer.length, from);
    return new TextDecoder().decode(buffer.subarray(0, read));
  } finally {
    closeSync(handle);
  }
}
