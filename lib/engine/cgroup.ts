/**
 * CPU and memory limits by Linux control groups, version 1, version 2 or both side by side: each
 * controller is looked up for itself. A group is made below the one that this process is in, so
 * that limits set from outside go on holding.
 *
 * @module
 */

import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Limits } from "../store/manifest.ts";
import { KeptFiles } from "./kept_files.ts";

const MIB = 2 ** 20;
const PERIOD_US = 100_000;
/** Version 1 shows "no limit" as the largest number of whole pages; anything this large is none. */
const V1_NO_LIMIT = 2 ** 60;

/** The controllers that Poolscope uses. */
export type Controller = "cpu" | "cpuacct" | "memory";

/** Where a controller's groups are, and in which version. */
export interface ControllerPlace {
  version: 1 | 2;
  /** The folder of the group that this process is in. */
  folder: string;
  /** The mount point, above which nothing belongs to this hierarchy. */
  mount: string;
}

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
): Partial<Record<Controller, ControllerPlace>> {
  const paths = new Map<string, string>();
  for (const line of membership.split("\n")) {
    const match = /^\d+:([^:]*):(.*)$/.exec(line);
    if (match) { for (const name of match[1]!.split(",")) paths.set(name, match[2]!); }
  }
  const places: Partial<Record<Controller, ControllerPlace>> = {};
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

function tryRead(file: string): string | null {
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

/** Reads limits from the folders of one group; null where there is none. */
export function readLimits(places: Partial<Record<Controller, ControllerPlace>>): Limits {
  const files: Record<string, string | null> = {};
  const read = (place: ControllerPlace | undefined, version: 1 | 2, name: string) => {
    if (place?.version === version) files[name] = tryRead(join(place.folder, name));
  };
  read(places.cpu, 1, "cpu.cfs_quota_us");
  read(places.cpu, 1, "cpu.cfs_period_us");
  read(places.cpu, 2, "cpu.max");
  read(places.memory, 1, "memory.limit_in_bytes");
  read(places.memory, 2, "memory.max");
  return parseGroupFiles(files);
}

/**
 * The limits in the files of one group, by their names, of either version; null where there is none.
 *
 * @example
 * ```ts
 * import { parseGroupFiles } from "./cgroup.ts";
 *
 * const limits = parseGroupFiles({ "cpu.max": "50000 100000", "memory.max": "max" });
 * console.assert(limits.cpus === 0.5 && limits.memoryMiB === null);
 * ```
 */
export function parseGroupFiles(files: Record<string, string | null | undefined>): Limits {
  let cpus: number | null = null;
  let memoryMiB: number | null = null;
  const [quota, period] = files["cpu.max"]?.trim().split(" ") ??
    [files["cpu.cfs_quota_us"] ?? "-1", files["cpu.cfs_period_us"] ?? undefined];
  if (Number(quota) > 0) cpus = Number(quota) / Number(period ?? PERIOD_US);
  const memory = (files["memory.max"] ?? files["memory.limit_in_bytes"] ?? "max").trim();
  if (memory !== "max" && Number(memory) < V1_NO_LIMIT) memoryMiB = Number(memory) / MIB;
  return { cpus, memoryMiB };
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
    readonly places: Partial<Record<Controller, ControllerPlace>>,
  ) {
    this.folders = [...new Set(Object.values(places).map((place) => place.folder))];
  }

  /** Everywhere that {@linkcode ControlGroup.create} may make folders of that name. */
  static candidates(name: string, found: Partial<Record<Controller, ControllerPlace>>): string[] {
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
    found: Partial<Record<Controller, ControllerPlace>>,
  ): ControlGroup | string {
    for (const controller of ["cpu", "memory"] as const) {
      if (found[controller] === undefined) {
        return `the ${controller} controller is not mounted`;
      }
    }
    const places: Partial<Record<Controller, ControllerPlace>> = {};
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

  /** What the group has used so far. */
  usage(): GroupUsage {
    const { cpu, cpuacct, memory } = this.places;
    const read = ({ folder }: ControllerPlace, name: string) =>
      this.#files.read(join(folder, name)) ?? "";
    const cpuStat = cpu === undefined ? "" : read(cpu, "cpu.stat");
    const stat = (key: string) => Number(new RegExp(`^${key} (\\d+)`, "m").exec(cpuStat)?.[1] ?? 0);
    const cpuS = cpuacct?.version === 1
      ? Number(read(cpuacct, "cpuacct.usage")) / 1e9
      : stat("usage_usec") / 1e6;
    const memoryFile = memory?.version === 1 ? "memory.usage_in_bytes" : "memory.current";
    return {
      cpuS,
      throttledS: cpu?.version === 1 ? stat("throttled_time") / 1e9 : stat("throttled_usec") / 1e6,
      memoryMiB: memory === undefined ? 0 : Number(read(memory, memoryFile)) / MIB,
    };
  }

  /** Processes of the group that the kernel has killed because of the memory limit. */
  memoryKills(): number {
    const { memory } = this.places;
    if (memory === undefined) return 0;
    const file = memory.version === 1 ? "memory.oom_control" : "memory.events";
    const text = tryRead(join(memory.folder, file)) ?? "";
    return Number(/^oom_kill (\d+)/m.exec(text)?.[1] ?? 0);
  }

  /** The pids in the group. */
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
function readIds(file: string | undefined): number[] {
  return (tryRead(file ?? "") ?? "").split("\n").filter(Boolean).map(Number);
}

/**
 * Tries to make a group and removes it again.
 *
 * @param found The controllers' places.
 * @param name A folder name that no other group has.
 * @returns Null when limits can be set, else one sentence for the reader: what does not hold, why,
 * and how to get it.
 */
export async function tryLimits(
  found: Partial<Record<Controller, ControllerPlace>>,
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
