/**
 * A shell in a container that reads its control group's files whenever it is asked: at the moment of
 * a sample, and of either version. The daemon's own account comes once a second whenever it likes,
 * and counts threads as processes.
 *
 * @module
 */

import type { Duplex } from "node:stream";
import { PassThrough } from "node:stream";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import type { Limits } from "../store/manifest.ts";
import { parseGroupFiles } from "./cgroup.ts";
import { parseSchedstat } from "./proc.ts";

const MIB = 2 ** 20;
/** A shell that has its share of CPU answers at once; one that is throttled takes its time. */
const ANSWER_TIMEOUT_MS = 3000;

/** Files of both versions, below the group's mount in the container. */
const FILES = [
  "cpu/cpu.cfs_quota_us",
  "cpu/cpu.cfs_period_us",
  "cpu.max",
  "cpu/cpu.stat",
  "cpu.stat",
  "cpuacct/cpuacct.usage",
  "memory/memory.limit_in_bytes",
  "memory.max",
  "memory/memory.usage_in_bytes",
  "memory.current",
  "memory/memory.oom_control",
  "memory.events",
  "cpuset/cpuset.cpus",
  "cpuset.cpus.effective",
  "memory/cgroup.procs",
  "cgroup.procs",
];

/** How often each thread was put on a core so far: of the files that tell, the shortest. */
const SWITCHES = "/proc/[0-9]*/task/[0-9]*/schedstat";

/**
 * Answers an empty line with `file=line` for each line of the files that are its arguments, its own
 * pid before them, without making a process. Answers a pattern, after the bytes of each file, with
 * the files' names in one line and the numbers of eight bytes of each in another. A dot ends each
 * answer.
 */
const PROGRAM = `cd /sys/fs/cgroup; while read -r bytes files; do
  if [ -n "$files" ]; then echo $files; od -An -v -t d8 -w$bytes $files; else
    echo "probe=$$"
    for f in $*; do [ -r "$f" ] && while IFS= read -r l; do echo "$f=$l"; done <"$f"; done
  fi
  echo .
done`;

/** What a container's control group says. */
export interface GroupState {
  limits: Limits;
  /** The cores that it may run on, as in `0-3`. */
  cpuset: string;
  cpuS: number;
  throttledS: number;
  memoryMiB: number;
  /** Processes, without the probe itself. */
  processes: number;
  /** How often each of its threads was put on a core so far, by its id, without the probe. */
  switches: Map<string, number>;
  /** Processes that the kernel killed at the memory limit. */
  memoryKills: number;
}

/** Reads the lines of one answer. */
export function parseAnswer(lines: string[]): GroupState {
  const files: Record<string, string[]> = {};
  for (const line of lines) {
    const at = line.indexOf("=");
    const name = line.slice(0, at).split("/").at(-1)!;
    (files[name] ??= []).push(line.slice(at + 1));
  }
  const first = (name: string) => files[name]?.[0];
  const field = (name: string, key: string) =>
    Number(files[name]?.find((line) => line.startsWith(`${key} `))?.split(" ")[1] ?? 0);
  const unified = first("cpuacct.usage") === undefined;
  return {
    limits: parseGroupFiles(
      Object.fromEntries(Object.entries(files).map(([name, [line]]) => [name, line])),
    ),
    cpuset: first("cpuset.cpus") ?? first("cpuset.cpus.effective") ?? "",
    cpuS: unified ? field("cpu.stat", "usage_usec") / 1e6 : Number(first("cpuacct.usage")) / 1e9,
    throttledS: unified
      ? field("cpu.stat", "throttled_usec") / 1e6
      : field("cpu.stat", "throttled_time") / 1e9,
    memoryMiB: Number(first("memory.usage_in_bytes") ?? first("memory.current") ?? 0) / MIB,
    processes: Math.max(0, (files["cgroup.procs"]?.length ?? 0) - 1),
    switches: readThreads(lines, first("probe")),
    memoryKills: field("memory.oom_control", "oom_kill") + field("memory.events", "oom_kill"),
  };
}

/** The counts of threads, but for those of one process. */
function readThreads(lines: string[], except: string | undefined): Map<string, number> {
  const found = lines.map((line) => /^\/proc\/(\d+)\/task\/(\d+)\/schedstat=(.*)$/.exec(line))
    .filter((match) => match !== null && match[1] !== except)
    .map((match) => [match![2]!, parseSchedstat(match![3]!)] as const);
  return new Map(found.filter((entry): entry is [string, number] => entry[1] !== null));
}

/** A probe in one container; it ends with the container. */
export class GroupProbe {
  #input: Duplex;
  #lines: string[] = [];
  #waiting: ((lines: string[] | null) => void)[] = [];
  #ended = false;

  private constructor(input: Duplex, output: PassThrough) {
    this.#input = input;
    let rest = "";
    output.setEncoding("utf8");
    output.on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        if (line !== ".") this.#lines.push(line);
        else this.#waiting.shift()?.(this.#lines.splice(0));
      }
    });
    const end = () => {
      this.#ended = true;
      this.#waiting.splice(0).forEach((resolve) => resolve(null));
    };
    input.on("end", end);
    input.on("close", end);
    input.on("error", end);
  }

  /**
   * Starts a probe.
   *
   * @throws {Error} If the container does not run, or has no shell.
   */
  static async open(container: Docker.Container): Promise<GroupProbe> {
    const exec = await container.exec({
      Cmd: ["sh", "-c", PROGRAM, "sh", ...FILES, SWITCHES],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: false,
    });
    const streams = await exec.start({ hijack: true, stdin: true });
    const output = new PassThrough();
    container.modem.demuxStream(streams, output, output);
    return new GroupProbe(streams, output);
  }

  /**
   * Reads the group's files now.
   *
   * @throws {Error} If the container has ended.
   */
  async read(): Promise<GroupState> {
    return parseAnswer(await this.#ask(""));
  }

  /**
   * Reads numbers of eight bytes, by the order of the machine, from files now.
   *
   * @param pattern The files, each of as many numbers: a pattern of the shell.
   * @param each How many numbers.
   * @returns The numbers by the file's path; none if not all files hold as many.
   * @throws {Error} If the container has ended.
   */
  async readNumbers(pattern: string, each: number): Promise<[path: string, numbers: number[]][]> {
    const [names = "", ...lines] = await this.#ask(`${8 * each} ${pattern}`);
    const paths = names.split(" ");
    const numbers = lines.map((line) => line.trim().split(/\s+/).map(Number));
    if (numbers.length !== paths.length) return [];
    return paths.map((path, i) => [path, numbers[i]!]);
  }

  async #ask(question: string): Promise<string[]> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const lines = this.#ended ? null : await new Promise<string[] | null>((resolve) => {
      timer = setTimeout(() => resolve(null), ANSWER_TIMEOUT_MS);
      // It stays in the queue when it is late, so that its answer is not taken for the next.
      this.#waiting.push(resolve);
      this.#input.write(`${question}\n`);
    });
    clearTimeout(timer);
    if (lines === null) throw new Error("its control group cannot be read");
    return lines;
  }

  /** Ends the probe. */
  close(): void {
    this.#ended = true;
    this.#input.destroy();
  }
}
