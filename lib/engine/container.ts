/**
 * One container: created with its files, started, watched to its end, its output written to a log.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { closeSync, openSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { packTar, unpackTar } from "modern-tar";
import { PoolscopeError } from "../errors.ts";
import type { Limits } from "../store/manifest.ts";
import type { CreateBody } from "./containers.ts";
import type { Exit, RunningService, ServiceUsage } from "./engine.ts";
import { GroupProbe, type GroupState } from "./group_probe.ts";
import { SwitchCounter } from "./proc.ts";
import { readLog } from "./process.ts";

const MIB = 2 ** 20;
/** How long a container may take to end by itself. */
const STOP_TIMEOUT_MS = 3000;

/** A file to be put into a container before it starts. */
export interface ContainerFile {
  /** Its absolute path there. */
  path: string;
  /** Its content; null for a folder. */
  content: string | null;
  mode: number;
  uid: number;
  gid: number;
}

/** How to make a container. */
export interface ContainerOptions {
  docker: Docker;
  /** The service's name in logs and errors. */
  service: string;
  /** The container's name on the daemon. */
  name: string;
  body: CreateBody;
  /** The network, and its names in there. */
  network: { id: string; aliases: string[] };
  files: ContainerFile[];
  labels: Record<string, string>;
  /** The file that receives standard output and standard error, appended. */
  logFile: string;
}

/** What the daemon says about a failed request, without its prefix. */
export function daemonMessage(error: unknown): string {
  const { message, json } = error as { message: string; json?: { message?: string } };
  return (json?.message ?? message).replace(/^\(HTTP code \d+\) [^-]+ - /, "").trim()
    .split("\n")[0]!;
}

/** The status of the daemon's answer to a failed request; null when there was none. */
export function daemonStatus(error: unknown): number | null {
  return (error as { statusCode?: number }).statusCode ?? null;
}

/** What a container ended by: Docker gives 128 + the number of a signal. */
function toExit(code: number): Exit {
  const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128);
  return { code, signal: code > 128 ? signal?.[0] ?? null : null };
}

/** Whoever lost the daemon does not know how a container ended. */
const UNKNOWN_EXIT: Exit = { code: 255, signal: null };
/** The last lines of a log may arrive a moment after the end. */
const LOG_WAIT_MS = 2000;

/** A service in a container. */
export class Container implements RunningService {
  readonly name: string;
  readonly exited: Promise<Exit>;
  exit: Exit | null = null;
  unhealthy: string | null = null;
  /** Whether its memory was ever limited. */
  limited = false;
  /** The daemon's id of it; empty while it is not created. */
  id = "";
  #options: ContainerOptions;
  #ended: (exit: Exit) => void = () => {};
  #logEnded: Promise<void> = Promise.resolve();
  #logStart = 0;
  /** Kills at the memory limit that the daemon has told of, and that the group counts. */
  #toldKills = 0;
  #groupKills = 0;
  #killsBefore = 0;
  #probe: Promise<GroupProbe> = Promise.reject(new Error("it does not run"));
  #oomKilled = false;
  #switches = new SwitchCounter();

  constructor(options: ContainerOptions) {
    this.name = options.service;
    this.#options = options;
    closeSync(openSync(options.logFile, "a"));
    this.#probe.catch(() => {});
    this.exited = new Promise((resolve) => {
      this.#ended = (exit) => resolve(this.exit ??= exit);
    });
  }

  get #container(): Docker.Container {
    return this.#options.docker.getContainer(this.id);
  }

  /**
   * Creates the container and puts its files in.
   *
   * @throws {PoolscopeError} If the daemon refuses.
   */
  async create(): Promise<void> {
    const { docker, name, body, network, files, labels } = this.#options;
    const container = await docker.createContainer({
      ...body,
      name,
      Labels: { ...body.Labels, ...labels },
      HostConfig: { ...body.HostConfig, NetworkMode: network.id },
      NetworkingConfig: { EndpointsConfig: { [network.id]: { Aliases: network.aliases } } },
    }).catch((error) => this.#refused("create", error));
    this.id = container.id;
    if (files.length > 0) await this.put(files);
  }

  #refused(what: string, error: unknown): never {
    throw new PoolscopeError(
      `Cannot ${what} the container of ${this.name}: ${daemonMessage(error)}`,
    );
  }

  /** Puts files into the container, running or not. */
  async put(files: ContainerFile[]): Promise<void> {
    const archive = await packTar(files.map(({ path, content, mode, uid, gid }) => {
      const bytes = Buffer.from(content ?? "");
      return {
        header: {
          name: path.slice(1) + (content === null ? "/" : ""),
          mode,
          uid,
          gid,
          type: content === null ? "directory" as const : "file" as const,
          size: bytes.length,
          mtime: new Date(),
        },
        ...(content !== null && { body: bytes }),
      };
    }));
    try {
      await this.#container.putArchive(Buffer.from(archive), { path: "/" });
    } catch (error) {
      this.#refused("put files into", error);
    }
  }

  /**
   * Starts it and begins to watch.
   *
   * @throws {PoolscopeError} If the daemon cannot start its program.
   */
  async start(): Promise<void> {
    try {
      await this.#container.start();
    } catch (error) {
      // A port that is taken, a program that is not there: it has ended before it began.
      this.fail(daemonMessage(error));
      this.#refused("start", error);
    }
    this.#logEnded = this.#followLog();
    this.#probe = GroupProbe.open(this.#container);
    // Whoever asks it is told.
    this.#probe.catch(() => {});
    this.#watch();
  }

  /** Marks it as ended before it ran, with the reason as its log. */
  fail(reason: string): void {
    writeFileSync(this.#options.logFile, `${reason}\n`, { flag: "a" });
    this.#ended({ code: 125, signal: null });
  }

  async #watch(): Promise<void> {
    let exit = UNKNOWN_EXIT;
    try {
      // Answers at once where it has ended already, so that no end is missed.
      const { StatusCode } = await this.#container.wait({ condition: "not-running" });
      exit = toExit(StatusCode);
      const { State } = await this.#container.inspect();
      this.#oomKilled = State.OOMKilled;
    } catch {
      // Removed meanwhile, or the daemon is gone, which the engine looks at by itself.
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, LOG_WAIT_MS));
    await Promise.race([this.#logEnded, late]);
    clearTimeout(timer);
    this.#ended(exit);
  }

  async #followLog(): Promise<void> {
    try {
      const stream = await this.#container.logs({ follow: true, stdout: true, stderr: true });
      const log = new PassThrough();
      this.#container.modem.demuxStream(stream, log, log);
      const file = openSync(this.#options.logFile, "a");
      try {
        stream.on("end", () => log.end());
        stream.on("error", () => log.end());
        stream.on("close", () => log.end());
        for await (const chunk of log) writeSync(file, chunk as Uint8Array);
      } finally {
        closeSync(file);
      }
    } catch {
      // Without the daemon there is no more log.
    }
  }

  /** The host's port of a published one. */
  async publishedPort(target: number): Promise<number> {
    const { NetworkSettings } = await this.#container.inspect();
    const port = NetworkSettings.Ports?.[`${target}/tcp`]?.[0]?.HostPort;
    if (port === undefined) {
      throw new PoolscopeError(
        this.exit === null
          ? `Docker has not published port ${target} of ${this.name}`
          : `${this.name} exited with code ${this.exit.code} (${this.logTail(1)})`,
      );
    }
    return Number(port);
  }

  /** Its address in the network; empty when it does not run. */
  async address(): Promise<string> {
    const { NetworkSettings } = await this.#container.inspect();
    return Object.values(NetworkSettings.Networks)[0]?.IPAddress ?? "";
  }

  /** Counts a kill at the memory limit that the daemon has told of. */
  countKill(): void {
    this.#toldKills++;
  }

  /** Asks the daemon what the failing health check says. */
  async readHealth(): Promise<void> {
    const { State } = await this.#container.inspect();
    const last = State.Health?.Log.at(-1)?.Output ?? "";
    const line = last.trim().split("\n").at(-1)?.trim() ?? "";
    this.unhealthy = line === "" ? "its health check fails" : `its health check says: ${line}`;
  }

  /**
   * Starts the account of a run for a container that outlives runs: what is told of its log and of
   * killed processes begins now.
   */
  beginRun(): void {
    this.#logStart = statSync(this.#options.logFile).size;
    this.#killsBefore = Math.max(this.#toldKills, this.#groupKills);
  }

  memoryKills(): number {
    const kills = Math.max(this.#toldKills, this.#groupKills) - this.#killsBefore;
    return this.#oomKilled ? Math.max(1, kills) : kills;
  }

  logTail(lines = 20): string {
    return readLog(this.#options.logFile, this.#logStart).trimEnd().split("\n").slice(-lines)
      .join("\n");
  }

  /** Its log since {@linkcode Container.beginRun}. */
  runLog(): string {
    return readLog(this.#options.logFile, this.#logStart);
  }

  /**
   * Sets its limits, lifting a CPU quota that is null; a memory limit that is null stays as it is.
   *
   * @throws {PoolscopeError} If it uses more memory than the limit.
   */
  async update(limits: Limits): Promise<void> {
    const memory = limits.memoryMiB === null ? undefined : Math.round(limits.memoryMiB * MIB);
    try {
      await this.#container.update({
        CpuPeriod: 100_000,
        CpuQuota: limits.cpus === null ? -1 : Math.round(limits.cpus * 100_000),
        // No swap beside it: a limit is what the service has.
        ...(memory !== undefined && { Memory: memory, MemorySwap: memory }),
      });
      this.limited ||= memory !== undefined;
    } catch (error) {
      const reason = daemonMessage(error);
      // Version 1 of control groups refuses a limit that is exceeded already.
      if (!/busy|unable to set memory limit/i.test(reason)) {
        throw new PoolscopeError(`Cannot limit ${this.name}: ${reason}`, { cause: error });
      }
      const usedMiB = Math.ceil((await this.usage()).memoryMiB);
      throw new PoolscopeError(
        `${this.name} is out of memory before the load: it uses ${usedMiB} MiB, its limit is ${limits.memoryMiB} MiB`,
        { cause: error },
      );
    }
  }

  /**
   * What its control group says now.
   *
   * @throws {Error} If it has ended.
   */
  async readGroup(): Promise<GroupState> {
    const state = await (await this.#probe).read();
    this.#groupKills = Math.max(this.#groupKills, state.memoryKills);
    return state;
  }

  /** What it has used. */
  async usage(): Promise<ServiceUsage> {
    const { cpuS, throttledS, memoryMiB, processes, switches } = await this.readGroup();
    const contextSwitches = this.#switches.add(switches);
    return { service: this.name, cpuS, throttledS, memoryMiB, processes, contextSwitches };
  }

  /**
   * The numbers of eight bytes in the files that match a pattern of the shell, by the file's name
   * without folders.
   *
   * @throws {Error} If it has ended.
   */
  async readNumbers(pattern: string, each: number): Promise<[name: string, numbers: number[]][]> {
    return (await (await this.#probe).readNumbers(pattern, each)).map((
      [path, numbers],
    ) => [path.split("/").at(-1)!, numbers]);
  }

  /** Runs a program in the container, giving each line that it writes, until either ends. */
  async follow(argv: string[], onLine: (line: string) => void): Promise<void> {
    const exec = await this.#container.exec({ Cmd: argv, AttachStdout: true, AttachStderr: false });
    const stream = await exec.start({});
    const output = new PassThrough();
    this.#container.modem.demuxStream(stream, output, output);
    stream.on("end", () => output.end());
    stream.on("error", () => output.end());
    let rest = "";
    output.setEncoding("utf8");
    output.on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      lines.forEach(onLine);
    });
  }

  /**
   * Reads files of the running container, those of `/proc` too, which no archive has.
   *
   * @throws {Error} If it has ended, or a file cannot be read.
   */
  async readFiles<const T extends readonly string[]>(
    paths: T,
  ): Promise<{ [K in keyof T]: string }> {
    const script = `for f in "$@"; do cat "$f" && printf '\\0'; done`;
    const exec = await this.#container.exec({
      Cmd: ["sh", "-c", script, "sh", ...paths],
      AttachStdout: true,
      AttachStderr: false,
    });
    const stream = await exec.start({});
    const output = new PassThrough();
    this.#container.modem.demuxStream(stream, output, output);
    stream.on("end", () => output.end());
    stream.on("error", () => output.end());
    const chunks: Uint8Array[] = [];
    for await (const chunk of output) chunks.push(chunk as Uint8Array);
    const texts = Buffer.concat(chunks).toString("utf8").split("\0").slice(0, -1);
    if (texts.length !== paths.length) throw new Error(`cannot read ${paths.join(", ")}`);
    return texts as unknown as { [K in keyof T]: string };
  }

  /**
   * The number of the user that the image runs as, running or not.
   *
   * @throws {PoolscopeError} If its name stands in no /etc/passwd of the image.
   */
  async userId(): Promise<number> {
    const [user = ""] = (await this.#container.inspect()).Config.User.split(":");
    if (/^\d*$/.test(user)) return Number(user);
    const [passwd] = await this.#unpack("/etc/passwd").catch(() => []);
    const lines = new TextDecoder().decode(passwd?.data).split("\n").map((line) => line.split(":"));
    const id = lines.find(([name]) => name === user)?.[2];
    if (id !== undefined) return Number(id);
    throw new PoolscopeError(
      `Cannot start ${this.name}: its image runs as ${user}, who has no number in it; name one in its Dockerfile (USER 1000)`,
    );
  }

  async #unpack(path: string) {
    const stream = await this.#container.getArchive({ path });
    const chunks: Uint8Array[] = [];
    for await (const chunk of stream) chunks.push(chunk as Uint8Array);
    return await unpackTar(Buffer.concat(chunks));
  }

  /** Copies the files of a folder in the container, running or not, into one of ours. */
  async fetch(from: string, to: string): Promise<void> {
    let files: Awaited<ReturnType<typeof unpackTar>>;
    try {
      files = await this.#unpack(`${from}/.`);
    } catch (error) {
      return this.#refused("read the files of", error);
    }
    for (const { header, data } of files) {
      const name = header.name.replace(/^\.\//, "");
      // A flat folder is what is asked for; a name is never a way out of ours.
      if (header.type !== "file" || name.includes("/") || data === undefined) continue;
      writeFileSync(join(to, name), data);
    }
  }

  /** Sends a signal; nothing happens when it has ended. */
  async kill(signal: string): Promise<void> {
    if (this.id === "" || this.exit !== null) return;
    await this.#container.kill({ signal }).catch((error) => {
      const status = daemonStatus(error);
      if (status !== 404 && status !== 409) throw error;
    });
  }

  async stop(): Promise<void> {
    await this.kill("SIGTERM").catch(() => {});
    const deadline = Date.now() + STOP_TIMEOUT_MS;
    while (this.exit === null && this.id !== "" && Date.now() < deadline) {
      await Promise.race([this.exited, sleep(200)]);
    }
    if (this.exit === null) {
      await this.kill("SIGKILL").catch(() => {});
      if (this.id === "") this.#ended({ code: 125, signal: null });
      else await Promise.race([this.exited, sleep(5000)]);
    }
  }

  /** Ends and removes it, with its log read to the end. */
  async remove(): Promise<void> {
    if (this.id === "") return;
    this.#probe.then((probe) => probe.close()).catch(() => {});
    try {
      await this.#container.remove({ force: true, v: true });
    } catch (error) {
      const status = daemonStatus(error);
      // Gone, or just going.
      if (status !== 404 && status !== 409) throw error;
    }
  }

  /** Removes its log, where that is not one of the run's files. */
  removeLog(): void {
    rmSync(this.#options.logFile, { force: true });
  }
}
