/**
 * What this process owns outside itself, written down so that the next start can end and remove
 * what a crash left: processes by pid and start time, control groups and folders by path.
 *
 * @module
 */

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TOOLS } from "../store/layout.ts";
import { rmdirQuietly } from "./cgroup.ts";
import { isAlive, listProcesses, readProcess } from "./proc.ts";

interface Record {
  owner: { pid: number; startTicks: number };
  processes: { pid: number; startTicks: number }[];
  groups: string[];
  folders: string[];
}

const FOLDER = join(TOOLS, "owned");

/** The list of one owner, kept on disk from the first entry to the last removal. */
export class Owned {
  #file: string;
  #record: Record;

  constructor(folder: string = FOLDER) {
    const startTicks = readProcess(Deno.pid)?.startTicks ?? 0;
    mkdirSync(folder, { recursive: true });
    this.#file = join(folder, `${Deno.pid}-${startTicks}-${crypto.randomUUID().slice(0, 8)}.json`);
    this.#record = {
      owner: { pid: Deno.pid, startTicks },
      processes: [],
      groups: [],
      folders: [],
    };
  }

  #save(): void {
    const { processes, groups, folders } = this.#record;
    if (processes.length + groups.length + folders.length === 0) {
      rmSync(this.#file, { force: true });
      return;
    }
    // By rename: a crash must not leave half a list.
    writeFileSync(`${this.#file}.tmp`, JSON.stringify(this.#record));
    renameSync(`${this.#file}.tmp`, this.#file);
  }

  /** Writes down a process that leads its own session. */
  addProcess(pid: number, startTicks: number): void {
    this.#record.processes.push({ pid, startTicks });
    this.#save();
  }

  /** Strikes out a process that is gone with its session. */
  removeProcess(pid: number): void {
    this.#record.processes = this.#record.processes.filter((entry) => entry.pid !== pid);
    this.#save();
  }

  /** Writes down a control group's folders, to be removed when they are empty. */
  addGroups(folders: string[]): void {
    this.#record.groups.push(...folders);
    this.#save();
  }

  /** Strikes out control groups that are gone. */
  removeGroups(folders: string[]): void {
    this.#record.groups = this.#record.groups.filter((entry) => !folders.includes(entry));
    this.#save();
  }

  /** Writes down a folder that lives as long as this owner. */
  addFolder(folder: string): void {
    this.#record.folders.push(folder);
    this.#save();
  }

  /** Removes a folder and strikes it out. */
  removeFolder(folder: string): void {
    rmSync(folder, { recursive: true, force: true });
    this.#record.folders = this.#record.folders.filter((entry) => entry !== folder);
    this.#save();
  }
}

/** Processes of a recorded session: its leader if it is still the same one, and its members. */
function sessionOf(entry: { pid: number; startTicks: number }): number[] {
  const leader = readProcess(entry.pid);
  const recycled = leader !== null && leader.startTicks !== entry.startTicks;
  // A session's id cannot be given to a new process while the session has members, so members of
  // a session whose leader is gone are ours, and those of a new leader with this pid are not.
  if (recycled) return [];
  return listProcesses()
    .filter((stat) => stat.session === entry.pid && stat.startTicks >= entry.startTicks)
    .map((stat) => stat.pid);
}

/**
 * Ends and removes what owners left that no longer run. Only what they wrote down is touched, and a
 * process only when pid and start time agree.
 *
 * @returns One line for each leftover that was removed.
 */
export async function sweep(folder: string = FOLDER): Promise<string[]> {
  const lines: string[] = [];
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  } catch {
    return lines;
  }
  for (const name of names) {
    const file = join(folder, name);
    let record: Record;
    try {
      record = JSON.parse(readFileSync(file, "utf8"));
    } catch {
      continue;
    }
    if (isAlive(record.owner.pid, record.owner.startTicks)) continue;
    for (const entry of record.processes) {
      for (let attempt = 0; attempt < 50; attempt++) {
        const pids = sessionOf(entry);
        if (pids.length === 0) break;
        if (attempt === 0) {
          lines.push(
            `Ended ${pids.length} processes that an earlier start left (pid ${entry.pid})`,
          );
        }
        for (const pid of pids) {
          try {
            Deno.kill(pid, "SIGKILL");
          } catch {
            // Gone already.
          }
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    record.groups.forEach(rmdirQuietly);
    for (const left of record.folders) {
      rmSync(left, { recursive: true, force: true });
      lines.push("Removed a database folder that an earlier start left");
    }
    rmSync(file, { force: true });
  }
  return lines;
}
