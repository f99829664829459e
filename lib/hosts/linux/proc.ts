/** What Linux tells about processes: start times, sessions, CPU time and memory. */

import { readdirSync, readFileSync } from "node:fs";
import type { ServiceUsage } from "../host.ts";
import { KeptFiles } from "./kept_files.ts";

/** Clock ticks per second in `/proc/<pid>/stat`; USER_HZ is 100 on every Linux architecture. */
const USER_HZ = 100;
const PAGE_MIB = 4096 / 2 ** 20;

/** One process as `/proc/<pid>/stat` shows it. */
export interface ProcessStat {
  pid: number;
  /** State letter: `R` running, `S` sleeping, `Z` ended and not yet collected. */
  state: string;
  /** The process that started it, or that took it over. */
  parent: number;
  session: number;
  /** CPU time of the process in seconds, its collected children not included. */
  cpuS: number;
  /** Start in clock ticks since boot: with the pid it names a process for good. */
  startTicks: number;
  /** Resident memory in MiB, shared pages included. */
  residentMiB: number;
}

/**
 * Parses the text of `/proc/<pid>/stat`.
 *
 * The command name stands in parentheses and may hold any character, so fields are counted from
 * the last closing one.
 */
export function parseStat(text: string): ProcessStat {
  const end = text.lastIndexOf(")");
  const fields = text.slice(end + 2).split(" ");
  const number = (i: number) => Number(fields[i]);
  return {
    pid: parseInt(text, 10),
    state: fields[0] ?? "?",
    parent: number(1),
    session: number(3),
    cpuS: (number(11) + number(12)) / USER_HZ,
    startTicks: number(19),
    residentMiB: number(21) * PAGE_MIB,
  };
}

/** The state of one process; null when there is none with that pid. */
export function readProcess(pid: number): ProcessStat | null {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return null;
  }
}

/** All processes that can be seen, those that have ended meanwhile left out. */
export function listProcesses(): ProcessStat[] {
  const found: ProcessStat[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readProcess(Number(name));
    if (stat !== null && stat.state !== "Z") found.push(stat);
  }
  return found;
}

/** Memory that programs can still get, in MiB; null where the system does not tell. */
export function availableMemoryMiB(): number | null {
  try {
    const kib = /^MemAvailable:\s+(\d+)/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
    return kib === undefined ? null : Number(kib) / 1024;
  } catch {
    return null;
  }
}

/** Listings take milliseconds; those who ask at the same moment share one. */
const SHARED_MS = 20;
let listed = { at: -Infinity, processes: [] as ProcessStat[] };

/** As {@linkcode listProcesses}, or what that gave a moment ago. */
export function recentProcesses(): ProcessStat[] {
  const now = performance.now();
  if (now - listed.at > SHARED_MS) listed = { at: now, processes: listProcesses() };
  return listed.processes;
}

/**
 * Those of a session and what they started, sessions of their own included, as PostgreSQL's backends
 * begin one each.
 *
 * @param session The session's first pid.
 */
export function withDescendants(session: number, all: readonly ProcessStat[]): ProcessStat[] {
  const byParent = Map.groupBy(all, ({ parent }) => parent);
  const found = new Map<number, ProcessStat>();
  const add = (stat: ProcessStat) => {
    if (found.has(stat.pid)) return;
    found.set(stat.pid, stat);
    byParent.get(stat.pid)?.forEach(add);
  };
  all.filter((stat) => stat.session === session).forEach(add);
  return [...found.values()];
}

/** Whether the process that had this pid and start time still runs. */
export function isAlive(pid: number, startTicks: number): boolean {
  const stat = readProcess(pid);
  return stat !== null && stat.state !== "Z" && stat.startTicks === startTicks;
}

/** Sends a signal to all of them that have not ended meanwhile. */
export function signalAll(pids: readonly number[], signal: Deno.Signal): void {
  for (const pid of pids) {
    try {
      Deno.kill(pid, signal);
    } catch {
      // It ended between being listed and being signalled, which is what was wanted.
    }
  }
}

/** The ids of a process's threads; none of one that has ended. */
export function listThreads(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [];
  }
}

/** The last number of a thread's `schedstat`; null where the kernel does not count. */
export function parseSchedstat(text: string): number | null {
  const [ranNs = 0, , count = NaN] = text.trim().split(" ").map(Number);
  return Number.isNaN(count) || (count === 0 && ranNs === 0) ? null : count;
}

/** Sums what threads have counted, those included that ended since. */
export class SwitchCounter {
  #last = new Map<string, number>();
  #total = 0;

  /**
   * Takes one reading of all threads that live.
   *
   * @param counts How often each was put on a core so far, by its id.
   * @returns The sum so far; null while nothing was counted at all.
   */
  add(counts: ReadonlyMap<string, number>): number | null {
    for (const [thread, count] of counts) {
      const before = this.#last.get(thread) ?? 0;
      // A lower number is of another thread that was given the same id.
      this.#total += count >= before ? count - before : count;
    }
    this.#last = new Map(counts);
    return this.#total === 0 ? null : this.#total;
  }
}

/** How often threads were put on a core, read from their files, which stay open between readings. */
export class ThreadSwitches implements Disposable {
  #counter = new SwitchCounter();
  #files = new KeptFiles();

  /** Takes one reading of all threads that live, as {@linkcode SwitchCounter.add}. */
  read(threads: readonly number[]): number | null {
    const counts = new Map<string, number>();
    const files = new Set<string>();
    for (const thread of threads) {
      // A thread can be asked by its own id as a process can, wherever it belongs.
      const file = `/proc/${thread}/schedstat`;
      const count = parseSchedstat(this.#files.read(file) ?? "");
      if (count === null) continue;
      counts.set(String(thread), count);
      files.add(file);
    }
    this.#files.keepOnly(files);
    return this.#counter.add(counts);
  }

  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]();
  }
}

/**
 * CPU time of the whole machine since boot, from the first line of `/proc/stat`: in which a core ran
 * something, all cores together, and that the hypervisor gave to others.
 */
export function parseHostCpu(text: string): { busyS: number; stolenS: number } {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = text
    .slice(0, text.indexOf("\n")).trim().split(/\s+/).slice(1).map(Number);
  return { busyS: (user + nice + system + irq + softirq) / USER_HZ, stolenS: steal / USER_HZ };
}

/** Memory in use on the whole machine, in MiB: total less available. */
function parseMemoryInUse(meminfo: string): number {
  const kib = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(meminfo)?.[1]);
  return (kib("MemTotal") - kib("MemAvailable")) / 1024;
}

/** What the whole machine has used so far, from the texts of `/proc/stat` and `/proc/meminfo`. */
export function hostUsage(stat: string, meminfo: string): ServiceUsage {
  const { busyS, stolenS } = parseHostCpu(stat);
  return {
    service: "host",
    cpuS: busyS,
    throttledS: stolenS,
    memoryMiB: parseMemoryInUse(meminfo),
    processes: 0,
    contextSwitches: null,
  };
}
