/**
 * What this process owns outside itself, written down before it is used, so that what a crash leaves
 * can be ended and removed: processes by pid and start time, control groups and folders by path,
 * Docker's objects by their labels.
 *
 * Two look after it: a keeper, a sleeping shell beside each owner that sweeps as soon as the owner
 * ends without a word, and every start, which sweeps what both left.
 */

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { toolEnvironment } from "../setup/environment.ts";
import { withLock } from "../setup/lock.ts";
import { stagingFolder } from "../setup/stage.ts";
import { TOOLS } from "../store/layout.ts";
import { type Owner, ownerState, thisOwner } from "../store/owner.ts";
import { readIds, rmdirQuietly, tryRead } from "./linux/cgroup.ts";
import type { Daemon } from "./docker/daemon.ts";
import { sweepDocker } from "./docker/sweep.ts";
import { listProcesses, readProcess, signalAll } from "./linux/proc.ts";

/** What may be on a list. */
interface Entries {
  /** A process that leads its own session. */
  processes: { pid: number; startTicks: number };
  /** The folder of a control group. */
  groups: string;
  folders: string;
  /** A daemon on which objects are made, which carry the label of their owner. */
  dockers: Daemon;
}

type Lists = { [K in keyof Entries]: Entries[K][] };
type Record = Lists & { owner: Owner };

const FOLDER = join(TOOLS, "owned");
/** Names this checkout and user among others on the machine. */
const CHECKOUT = basename(stagingFolder());

/**
 * The environment variable that marks whatever an owner starts, and what those start: they are
 * recognised by it even where they have left their session.
 */
const MARK = "POOLSCOPE_OWNER";

/** The list of one owner, kept on disk from the first entry to the last removal. */
export class Owned implements AsyncDisposable {
  /** Names this list and no other, of this checkout or another. */
  readonly id: string;
  readonly owner: Owner = thisOwner();
  #file: string;
  #lists: Lists = { processes: [], groups: [], folders: [], dockers: [] };
  #keeper: Deno.ChildProcess | null = null;

  /** @param folder The folder of all lists. @default the checkout's */
  constructor(folder: string = FOLDER) {
    const { pid, startTicks } = this.owner;
    mkdirSync(folder, { recursive: true });
    this.id = `${CHECKOUT}-${pid}-${startTicks}-${crypto.randomUUID().slice(0, 8)}`;
    this.#file = join(folder, `${this.id}.json`);
  }

  /** A list with a keeper; the caller disposes of it when everything on it is gone. */
  static withKeeper(folder: string = FOLDER): Owned {
    const owned = new Owned(folder);
    owned.#keeper = startKeeper(folder, owned.owner);
    return owned;
  }

  /** What to add to the environment of everything that is started. */
  get mark(): { [MARK]: string } {
    return { [MARK]: this.id };
  }

  /** A path for a file that is gone with its owner at the latest. */
  scratchFile(name: string): string {
    return `${this.#file.replace(/json$/, "")}${name}`;
  }

  #save(): void {
    if (Object.values(this.#lists).every(({ length }) => length === 0)) {
      rmSync(this.#file, { force: true });
      return;
    }
    // By rename: a crash must not leave half a list.
    writeFileSync(`${this.#file}.tmp`, JSON.stringify({ owner: this.owner, ...this.#lists }));
    renameSync(`${this.#file}.tmp`, this.#file);
  }

  /** Writes down what will be made. */
  add<K extends keyof Entries>(kind: K, ...entries: Entries[K][]): void {
    this.#lists[kind].push(...entries);
    this.#save();
  }

  /** Strikes out what is gone. */
  remove<K extends keyof Entries>(kind: K, isGone: (entry: Entries[K]) => boolean): void {
    this.#lists[kind] = this.#lists[kind].filter((entry) => !isGone(entry)) as Lists[K];
    this.#save();
  }

  /** Strikes out a control group by its name, wherever its folders were. */
  removeGroup(name: string): void {
    this.remove("groups", (folder) => basename(folder) === name);
  }

  removeFolder(folder: string): void {
    rmSync(folder, { recursive: true, force: true });
    this.remove("folders", (entry) => entry === folder);
  }

  /** Sends the keeper home. */
  async [Symbol.asyncDispose](): Promise<void> {
    const keeper = this.#keeper;
    this.#keeper = null;
    if (keeper === null) return;
    try {
      const writer = keeper.stdin.getWriter();
      await writer.write(new TextEncoder().encode("done\n"));
      await writer.close();
    } catch {
      // Somebody ended it; the next start sweeps in its place.
    }
    await keeper.status;
  }
}

/** Waits for a word on its standard input, which the kernel closes when the owner ends. */
const KEEPER = 'read -r word; [ "$word" = done ] || ' +
  'exec "$1" run --quiet --no-config --no-lock --allow-all "$2" "$3" "$4"';

/** Starts the keeper in a session of its own, so that what ends its owner does not reach it. */
function startKeeper(folder: string, owner: Owner): Deno.ChildProcess {
  const program = fileURLToPath(import.meta.url);
  const words = [Deno.execPath(), program, folder, JSON.stringify(owner)];
  return new Deno.Command("/bin/sh", {
    args: ["-c", KEEPER, "poolscope-keeper", ...words],
    cwd: "/",
    env: toolEnvironment(),
    clearEnv: true,
    detached: true,
    stdin: "piped",
    stdout: "null",
    stderr: "null",
  }).spawn();
}

/** The pids of all owners that run now and own something. */
export function runningOwners(): number[] {
  const owners = readRecords(FOLDER).map(({ record }) => record.owner);
  const running = owners.filter((owner) => ownerState(owner) === "running");
  return [...new Set(running.map(({ pid }) => pid))];
}

/**
 * Ends and removes what owners left that no longer run. Only what they wrote down or marked is
 * touched, and a process only when pid and start time agree. Several may sweep at once: they wait
 * for each other.
 *
 * @returns One line for each leftover that was removed.
 */
export async function sweep(folder: string = FOLDER): Promise<string[]> {
  if (!existsSync(folder) || readdirSync(folder).length === 0) return [];
  return await withLock(`${folder}.lock`, async () => {
    const lines: string[] = [];
    for (const { file, record } of readRecords(folder)) {
      if (ownerState(record.owner) !== "gone") continue;
      const { left, said } = await removeLeftovers(basename(file, ".json"), record);
      lines.push(...said);
      // What could not be removed is tried again by the next start.
      if (!left) rmSync(file, { force: true });
    }
    removeScratchFiles(folder);
    return lines;
  });
}

function readRecords(folder: string): { file: string; record: Record }[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => name.endsWith(".json")).flatMap((name) => {
    const file = join(folder, name);
    try {
      return [{ file, record: JSON.parse(readFileSync(file, "utf8")) as Record }];
    } catch {
      return []; // Removed by its owner meanwhile.
    }
  });
}

/** Removes what a killed owner left beside its list, by the owner that it is named by. */
function removeScratchFiles(folder: string): void {
  for (const name of readdirSync(folder)) {
    const match = /-(\d+)-(\d+)-[0-9a-f]{8}\./.exec(name);
    if (match === null || name.endsWith(".json")) continue;
    const owner = { ...thisOwner(), pid: Number(match[1]), startTicks: Number(match[2]) };
    if (ownerState(owner) === "gone") rmSync(join(folder, name), { force: true });
  }
}

async function removeLeftovers(
  id: string,
  record: Record,
): Promise<{ left: boolean; said: string[] }> {
  const said: string[] = [];
  const sameBoot = record.owner.bootId === thisOwner().bootId;
  const remaining = () => sameBoot ? leftProcesses(id, record) : [];
  const first = remaining();
  if (first.length > 0) {
    const what = first.length === 1 ? "1 process" : `${first.length} processes`;
    said.push(`Ended ${what} that an earlier start left (pid ${first.join(", ")})`);
  }
  for (let attempt = 0; attempt < 100; attempt++) {
    const pids = remaining();
    if (pids.length === 0) break;
    signalAll(pids, "SIGKILL");
    await sleep(20);
  }
  let left = remaining().length > 0;
  for (let attempt = 0; attempt < 50; attempt++) {
    // The kernel lets go of an ended process a moment late.
    if (record.groups.map(rmdirQuietly).every(Boolean)) break;
    if (attempt === 49) left = true;
    await sleep(20);
  }
  // Lists of earlier versions may have none.
  for (const host of record.dockers ?? []) {
    // Where the daemon does not answer, the next start that finds it sweeps by labels.
    said.push(...await sweepDocker(host, id).catch(() => []));
  }
  const folders = record.folders.filter((folder) => existsSync(folder));
  for (const folder of folders) {
    try {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    } catch {
      left = true;
    }
  }
  if (folders.length > 0) {
    const what = folders.length === 1
      ? "a temporary folder"
      : `${folders.length} temporary folders`;
    said.push(`Removed ${what} that an earlier start left`);
  }
  return { left, said };
}

/** The processes of a list that still run: of its sessions, in its control groups, with its mark. */
function leftProcesses(id: string, record: Record): number[] {
  const all = listProcesses();
  const marked = (pid: number) =>
    tryRead(`/proc/${pid}/environ`)?.split("\0").includes(`${MARK}=${id}`);
  const grouped = new Set(record.groups.flatMap((folder) => readIds(join(folder, "cgroup.procs"))));
  return all.filter(({ pid, session, startTicks }) => {
    if (pid === Deno.pid) return false;
    if (grouped.has(pid) || marked(pid)) return true;
    const entry = record.processes.find((process) => process.pid === session);
    if (entry === undefined || startTicks < entry.startTicks) return false;
    // While the leader lives it shows whether the session is still the one that was written down;
    // without it the number may have been given to a stranger's session since.
    return readProcess(session)?.startTicks === entry.startTicks;
  }).map(({ pid }) => pid);
}

/** An ending process closes its files a moment before it is gone. */
const ATTEMPTS = 100;

// The keeper runs this when its owner has ended without a word.
if (import.meta.main) {
  const [folder = "", text = ""] = Deno.args;
  const owner: Owner = JSON.parse(text);
  for (let i = 0; i < ATTEMPTS && ownerState(owner) === "running"; i++) await sleep(20);
  await sweep(folder);
}
