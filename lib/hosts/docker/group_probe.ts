/**
 * A shell in a container that reads its control group's files whenever it is asked: at the moment of
 * a sample, and of either version. The daemon's own account comes once a second whenever it likes,
 * and counts threads as processes.
 */

import { createInterface } from "node:readline";
import { type Duplex, PassThrough } from "node:stream";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import type { Limits } from "../../store/manifest.ts";
import { type GroupUsage, parseKills, parseLimits, parseUsage } from "../linux/cgroup.ts";
import { parseSchedstat } from "../linux/proc.ts";

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
export interface GroupState extends GroupUsage {
  limits: Limits;
  /** The cores that it may run on, as in `0-3`. */
  cpuset: string;
  /** Processes, without the probe itself. */
  processes: number;
  /** How often each of its threads was put on a core so far, by its id, without the probe. */
  switches: Map<string, number>;
  memoryKills: number;
}

export function parseAnswer(lines: string[]): GroupState {
  const files: Record<string, string[]> = {};
  for (const line of lines) {
    const at = line.indexOf("=");
    const name = line.slice(0, at).split("/").at(-1)!;
    (files[name] ??= []).push(line.slice(at + 1));
  }
  const read = (name: string) => files[name]?.join("\n");
  return {
    limits: parseLimits(read),
    ...parseUsage(read),
    cpuset: read("cpuset.cpus") ?? read("cpuset.cpus.effective") ?? "",
    processes: Math.max(0, (files["cgroup.procs"]?.length ?? 0) - 1),
    switches: readThreads(lines, read("probe")),
    memoryKills: parseKills(read),
  };
}

/** The counts of threads, but for those of one process. */
function readThreads(lines: string[], except: string | undefined): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const [, pid, thread, text] = /^\/proc\/(\d+)\/task\/(\d+)\/schedstat=(.*)$/.exec(line) ?? [];
    const count = thread === undefined || pid === except ? null : parseSchedstat(text!);
    if (count !== null) counts.set(thread!, count);
  }
  return counts;
}

/** A probe in one container; it ends with the container. */
export class GroupProbe {
  #lines: string[] = [];
  #waiting: ((lines: string[] | null) => void)[] = [];
  #ended = false;

  private constructor(private readonly input: Duplex, output: PassThrough) {
    createInterface({ input: output }).on("line", (line) => {
      if (line !== ".") this.#lines.push(line);
      else this.#waiting.shift()?.(this.#lines.splice(0));
    });
    const end = () => {
      this.#ended = true;
      this.#waiting.splice(0).forEach((resolve) => resolve(null));
    };
    for (const event of ["end", "close", "error"]) input.on(event, end);
  }

  /** Starts a probe; throws if the container does not run, or has no shell. */
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

  /** Reads the group's files now; throws if the container has ended. */
  async read(): Promise<GroupState> {
    return parseAnswer(await this.#ask(""));
  }

  /**
   * As `Instance.readNumbers` of host.ts, from files by a pattern of the shell; none if not all hold
   * as many. Throws if the container has ended.
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
      this.input.write(`${question}\n`);
    });
    clearTimeout(timer);
    if (lines === null) throw new Error("its control group cannot be read");
    return lines;
  }

  close(): void {
    this.#ended = true;
    this.input.destroy();
  }
}
