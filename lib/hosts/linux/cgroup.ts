/**
 * CPU and memory limits by Linux control groups, version 1, version 2 or both side by side: each
 * controller is looked up for itself. A group is made below the one that this process is in, so
 * that limits set from outside go on holding.
 */

import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PoolscopeError } from "../../errors.ts";
import type { Limits } from "../../store/manifest.ts";
import { KeptFiles } from "./kept_files.ts";

const MIB = 2 ** 20;
const PERIOD_US = 100_000;
/** Version 1 shows "no limit" as the largest number of whole pages; anything this large is none. */
const V1_NO_LIMIT = 2 ** 60;

export type Controller = "cpu" | "cpuacct" | "memory";

/** Where a controller's groups are, and in which version. */
export interface ControllerPlace {
  version: 1 | 2;
  /** The folder of the group that this process is in. */
  folder: string;
  /** The mount point, above which nothing belongs to this hierarchy. */
  mount: string;
}

/** The places of those controllers that are mounted. */
export type Places = Partial<Record<Controller, ControllerPlace>>;

/**
 * Finds each controller's hierarchy.
 *
 * @param mountinfo The text of `/proc/self/mountinfo`.
 * @param membership The text of `/proc/<pid>/cgroup`.
 * @returns The places of those controllers that are mounted; cpuacct is part of cpu in version 2.
 */
export function findControllers(
  mountinfo: string,
  membership: string,
): Places {
  const paths = new Map<string, string>();
  for (const line of membership.split("\n")) {
    const match = /^\d+:([^:]*):(.*)$/.exec(line);
    if (match) { for (const name of match[1]!.split(",")) paths.set(name, match[2]!); }
  }
  const places: Places = {};
  for (const line of mountinfo.split("\n")) {
    const [before, after] = line.split(" - ");
    if (before === undefined || after === undefined) continue;
    const [, , , root = "/", mount = ""] = before.split(" ");
    const [type, , options = ""] = after.split(" ");
    const place = (version: 1 | 2, path: string): ControllerPlace => {
      // In a container the mount may show a part of the hierarchy only.
      const inside = relative(root, path);
      return { version, mount, folder: inside.startsWith("..") ? mount : join(mount, inside) };
    };
    if (type === "cgroup") {
      for (const name of ["cpu", "cpuacct", "memory"] as const) {
        const path = paths.get(name);
        if (options.split(",").includes(name) && path !== undefined) places[name] = place(1, path);
      }
    } else if (type === "cgroup2") {
      const path = paths.get("");
      if (path === undefined) continue;
      const found = place(2, path);
      const available = tryRead(join(found.mount, "cgroup.controllers"))?.trim().split(" ") ?? [];
      for (const name of ["cpu", "memory"] as const) {
        if (available.includes(name) && places[name] === undefined) places[name] = found;
      }
      if (places.cpu === found) places.cpuacct ??= found;
    }
  }
  return places;
}

/** The text of a file; null where it cannot be read. */
export function tryRead(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

/** CPU time, throttled time and memory of a group since it was made. */
export interface GroupUsage {
  cpuS: number;
  throttledS: number;
  memoryMiB: number;
}

/** Files that version 2 lacks, so that none is looked for at each reading. */
const V1_ONLY = ["cpuacct.usage", "memory.usage_in_bytes"];

/** Gives the text of a group's file by its name, which begins with its controller's. */
type ReadFile = (name: string) => string | null | undefined;

/** Reads limits from the folders of one group; null where there is none. */
export function readLimits(places: Places): Limits {
  return parseLimits((name) => {
    const folder = places[name.split(".")[0] as Controller]?.folder;
    return folder === undefined ? null : tryRead(join(folder, name));
  });
}

/** The limits in the files of one group, of either version; null where there is none. */
export function parseLimits(read: ReadFile): Limits {
  const [quota, period] = read("cpu.max")?.trim().split(" ") ??
    [read("cpu.cfs_quota_us") ?? "-1", read("cpu.cfs_period_us") ?? undefined];
  const memory = (read("memory.max") ?? read("memory.limit_in_bytes") ?? "max").trim();
  return {
    cpus: Number(quota) > 0 ? Number(quota) / Number(period ?? PERIOD_US) : null,
    memoryMiB: memory !== "max" && Number(memory) < V1_NO_LIMIT ? Number(memory) / MIB : null,
  };
}

/** What is behind a word at the begin of a line; 0 where there is no such line. */
function field(text: string | null | undefined, key: string): number {
  return Number(new RegExp(`^${key} (\\d+)`, "m").exec(text ?? "")?.[1] ?? 0);
}

/** What a group has used, in its files of either version. */
export function parseUsage(read: ReadFile): GroupUsage {
  const stat = read("cpu.stat");
  const cpuNs = read("cpuacct.usage");
  const memory = read("memory.usage_in_bytes") ?? read("memory.current");
  return {
    cpuS: cpuNs == null ? field(stat, "usage_usec") / 1e6 : Number(cpuNs) / 1e9,
    throttledS: field(stat, "throttled_time") / 1e9 + field(stat, "throttled_usec") / 1e6,
    memoryMiB: Number(memory ?? 0) / MIB,
  };
}

/** How often the kernel has killed at the memory limit, in a group's files of either version. */
export function parseKills(read: ReadFile): number {
  return field(read("memory.oom_control"), "oom_kill") + field(read("memory.events"), "oom_kill");
}

/** The limits in force for a running process, read from the group that the process is in. */
export function readLimitsOf(pid: number): Limits {
  const membership = tryRead(`/proc/${pid}/cgroup`);
  const mountinfo = tryRead("/proc/self/mountinfo");
  if (membership === null || mountinfo === null) return { cpus: null, memoryMiB: null };
  return readLimits(findControllers(mountinfo, membership));
}

/** A group that Poolscope made for one service. */
export class ControlGroup {
  /** The group's own folders, one per hierarchy. */
  readonly folders: string[];
  #files = new KeptFiles();
  #members = { threads: [] as number[], processes: 0 };

  private constructor(
    /** The group's name, which is its folders'. */
    readonly name: string,
    readonly places: Places,
  ) {
    this.folders = [...new Set(Object.values(places).map((place) => place.folder))];
  }

  /** Everywhere that {@linkcode ControlGroup.create} may make folders of that name. */
  static candidates(name: string, found: Places): string[] {
    const folders = Object.values(found).flatMap(({ version, folder, mount }) =>
      version === 1 ? [folder] : upTo(mount, folder)
    );
    return [...new Set(folders)].map((folder) => join(folder, name));
  }

  /**
   * Makes a group for one service.
   *
   * @param name A folder name that no other group has.
   * @returns The group, or a sentence that says why this user may not make one.
   */
  static create(
    name: string,
    found: Places,
  ): ControlGroup | string {
    for (const controller of ["cpu", "memory"] as const) {
      if (found[controller] === undefined) {
        return `the ${controller} controller is not mounted`;
      }
    }
    const places: Places = {};
    const made = new Set<string>();
    const undo = () => made.forEach((folder) => rmdirQuietly(folder));
    let unified: string | undefined;
    for (const [controller, place] of Object.entries(found) as [Controller, ControllerPlace][]) {
      try {
        const folder = place.version === 1
          ? join(place.folder, name)
          : unified ??= delegatingFolder(place, name);
        if (!made.has(folder)) mkdirSync(folder, { recursive: true });
        made.add(folder);
        places[controller] = { ...place, folder };
      } catch (error) {
        undo();
        return `no right to make a control group (${(error as NodeJS.ErrnoException).code})`;
      }
    }
    return new ControlGroup(name, places);
  }

  /** The files into which a process writes its pid to join. */
  get joinFiles(): string[] {
    return this.folders.map((folder) => join(folder, "cgroup.procs"));
  }

  /**
   * Sets the limits, lifting those that are null.
   *
   * @throws {Error} If the kernel refuses a value.
   */
  setLimits(limits: Limits): void {
    const { cpu, memory } = this.places;
    const quota = limits.cpus === null ? null : Math.round(limits.cpus * PERIOD_US);
    const bytes = limits.memoryMiB === null ? null : Math.round(limits.memoryMiB * MIB);
    if (cpu?.version === 1) {
      writeFileSync(join(cpu.folder, "cpu.cfs_period_us"), String(PERIOD_US));
      writeFileSync(join(cpu.folder, "cpu.cfs_quota_us"), String(quota ?? -1));
    } else if (cpu !== undefined) {
      writeFileSync(join(cpu.folder, "cpu.max"), `${quota ?? "max"} ${PERIOD_US}`);
    }
    if (memory?.version === 1) {
      // Refused (EBUSY) when more is in use than can be given back, where version 2 would kill.
      writeFileSync(join(memory.folder, "memory.limit_in_bytes"), String(bytes ?? -1));
    } else if (memory !== undefined) {
      writeFileSync(join(memory.folder, "memory.max"), String(bytes ?? "max"));
    }
  }

  usage(): GroupUsage {
    return parseUsage((name) => {
      const place = this.places[name.split(".")[0] as Controller];
      if (place === undefined || place.version === 2 && V1_ONLY.includes(name)) return null;
      return this.#files.read(join(place.folder, name));
    });
  }

  memoryKills(): number {
    const { memory } = this.places;
    return memory === undefined ? 0 : parseKills((name) => tryRead(join(memory.folder, name)));
  }

  pids(): number[] {
    return readIds(this.joinFiles[0]);
  }

  /** The ids of all threads in the group, and of how many processes they are. */
  members(): { threads: number[]; processes: number } {
    const place = Object.values(this.places)[0];
    const threads = readIds(
      place && join(place.folder, place.version === 1 ? "tasks" : "cgroup.threads"),
    );
    // Each list costs the kernel a tenth of a millisecond, and most of the time nothing has changed.
    if (String(threads) !== String(this.#members.threads)) {
      this.#members = { threads, processes: this.pids().length };
    }
    return this.#members;
  }

  /**
   * Removes the group's folders. The kernel lets go of an ended process a moment late, so that a
   * few attempts may be needed.
   *
   * @returns Whether the group is gone.
   */
  async remove(): Promise<boolean> {
    this.#files[Symbol.dispose]();
    for (let attempt = 0; attempt < 25; attempt++) {
      if (this.folders.map(rmdirQuietly).every(Boolean)) return true;
      await sleep(20);
    }
    return false;
  }
}

/** Opened anew each time: a list that is read again may be what the kernel kept of the first. */
export function readIds(file: string | undefined): number[] {
  return (tryRead(file ?? "") ?? "").split("\n").filter(Boolean).map(Number);
}

/**
 * Tries to make a group and removes it again.
 *
 * @returns Null when limits can be set, else one sentence for the reader: what does not hold, why,
 * and how to get it.
 */
export async function tryLimits(
  found: Places,
  name: string,
): Promise<string | null> {
  const group = ControlGroup.create(name, found);
  if (typeof group === "string") return limitsRefusal(group);
  await group.remove();
  return null;
}

/** The sentence for the reader when groups cannot be made, for the given reason. */
export function limitsRefusal(reason: string): string {
  return `no limit on CPU and memory of any service: ${reason}; start as root, or by ` +
    "systemd-run --user --scope -p Delegate=yes";
}

/** Removes a group's folder if it is empty; true when it is gone. */
export function rmdirQuietly(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

/**
 * In version 2 a group may hold processes or hand controllers on, not both: go up from our own
 * group to the first one that hands cpu and memory on, or lets us switch that on.
 */
function delegatingFolder(place: ControllerPlace, name: string): string {
  let refusal: unknown = new Error("no group");
  for (const folder of upTo(place.mount, place.folder)) {
    try {
      const control = join(folder, "cgroup.subtree_control");
      const on = readFileSync(control, "utf8").trim().split(" ");
      if (!on.includes("cpu") || !on.includes("memory")) writeFileSync(control, "+cpu +memory");
      const made = join(folder, name);
      mkdirSync(made);
      return made;
    } catch (error) {
      refusal = error;
    }
  }
  throw refusal;
}

/** A folder and its parents, up to the mount point. */
function upTo(mount: string, folder: string): string[] {
  if (folder === mount || folder === "/") return [folder];
  return [folder, ...upTo(mount, dirname(folder))];
}

/** The error of a limit that is exceeded before it is set. */
export function outOfMemory(
  service: string,
  usedMiB: number,
  { memoryMiB }: Limits,
  cause: unknown,
): PoolscopeError {
  const state = `it uses ${Math.ceil(usedMiB)} MiB, its limit is ${memoryMiB} MiB`;
  return new PoolscopeError(`${service} is out of memory before the load: ${state}`, { cause });
}
