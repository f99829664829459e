/**
 * A service as a container: created with its files, started, watched to its end, its output written
 * to a log.
 */

import { Buffer } from "node:buffer";
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { packTar, unpackTar } from "modern-tar";
import { unpackTar as unpackFiles } from "modern-tar/fs";
import { PoolscopeError } from "../../errors.ts";
import type { Limits } from "../../store/manifest.ts";
import type {
  Address,
  Exit,
  HostFile,
  Instance,
  InstanceOptions,
  ServiceUsage,
  StartOptions,
} from "../host.ts";
import { SwitchCounter } from "../linux/proc.ts";
import { parseTcp, TCP_FILES, type TcpState } from "../linux/tcp.ts";
import { outOfMemory } from "../linux/cgroup.ts";
import { LoggedInstance } from "../log.ts";
import { daemonMessage, daemonStatus } from "./client.ts";
import { GroupProbe, type GroupState } from "./group_probe.ts";
import type { Relay } from "./relay.ts";

/** Where an instance finds its files. */
export const FOLDER = "/poolscope-run";
const MIB = 2 ** 20;
/** How long a container may take to be gone once it was killed. */
const KILL_TIMEOUT_MS = 5000;
/** The last lines of a log may arrive a moment after the end. */
const LOG_WAIT_MS = 2000;
/** The exit of a container whose daemon was lost. */
const UNKNOWN_EXIT: Exit = { code: 255, signal: null };

/** What a Docker host gives an instance beside what it was asked for. */
export interface ContainerPlace extends InstanceOptions {
  docker: Docker;
  container: string;
  labels: Record<string, string>;
  networkId: string;
  /** Whether its ports are published on this machine's loopback address; the relay leads there else. */
  published: boolean;
  relay: Relay;
  /** The numbers of users that were looked up in images already. */
  users: Map<string, Promise<number>>;
  /** Called when it is gone. */
  forget(): void;
}

/**
 * The create request of an instance: without limits, which are put in force later, and without a
 * health check, which would cost the measured services CPU. In a volume, a file costs a fraction of
 * what it costs in the image's layers.
 */
export function createBody(
  { program, ports = [], volumes = [], networkId, published }:
    & InstanceOptions
    & Pick<ContainerPlace, "networkId" | "published">,
  { args = [], env = {}, cores, listenBacklog }: StartOptions,
) {
  const keys = ports.map((port) => `${port}/tcp`);
  const loopback = [{ HostIp: "127.0.0.1", HostPort: "" }];
  return {
    Image: program.image!,
    ...(program.command !== null && { Entrypoint: [...program.command, ...args], Cmd: [] }),
    ...(program.imageUser !== undefined && { User: program.imageUser }),
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ExposedPorts: Object.fromEntries(keys.map((key) => [key, {}])),
    Volumes: Object.fromEntries(volumes.map((name) => [join(FOLDER, name), {}])),
    Healthcheck: { Test: ["NONE"] },
    HostConfig: {
      NetworkMode: networkId,
      PortBindings: published ? Object.fromEntries(keys.map((key) => [key, loopback])) : {},
      Ulimits: [],
      ...(cores && { CpusetCpus: cores }),
      ...(listenBacklog && { Sysctls: { "net.core.somaxconn": String(listenBacklog) } }),
    },
  };
}

/** What a container ended by: Docker gives 128 + the number of a signal. */
function toExit(code: number): Exit {
  const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128);
  return { code, signal: code > 128 ? signal?.[0] ?? null : null };
}

export class ContainerInstance extends LoggedInstance implements Instance {
  /** The daemon's id of it; empty while it is not created. */
  id = "";
  /** Its address in its network; empty while it does not run. */
  #ip = "";
  #starting: Promise<void> = Promise.resolve();
  #logEnded: Promise<void> = Promise.resolve();
  /** Kills at the memory limit that the daemon has told of, and that the group counts. */
  #toldKills = 0;
  #groupKills = 0;
  #oomKilled = false;
  #probe: Promise<GroupProbe> | null = null;
  #switches = new SwitchCounter();
  #mirrored: [name: string, file: string][] = [];

  constructor(private readonly place: ContainerPlace) {
    super(place);
  }

  get container(): Docker.Container {
    return this.place.docker.getContainer(this.id);
  }

  path(name: string): string {
    return join(FOLDER, name);
  }

  binds(port: number): Address {
    return { host: "0.0.0.0", port };
  }

  reachedAt(port: number): Address {
    return { host: this.place.alias ?? this.name, port };
  }

  async address(port: number): Promise<Address> {
    await this.#starting;
    const { published, relay } = this.place;
    const local = published
      ? await this.#publishedPort(port)
      : await relay.listen(`${this.#ip}:${port}`);
    return { host: "127.0.0.1", port: local };
  }

  start(options: StartOptions = {}): Promise<void> {
    this.#starting = this.#start(options).catch((error) => {
      // It has ended before it began.
      writeFileSync(this.place.logFile, `${error.message}\n`, { flag: "a" });
      this.ended({ code: 125, signal: null });
      throw error;
    });
    return this.#starting;
  }

  async #start(options: StartOptions): Promise<void> {
    const place = this.place;
    const { docker, container: name, labels, networkId, networks = [], alias = this.name } = place;
    const { id } = await docker.createContainer({
      ...createBody(place, options),
      name,
      Labels: labels,
      NetworkingConfig: { EndpointsConfig: { [networkId]: { Aliases: [alias] } } },
    }).catch((error) => this.#refused("create", error));
    this.id = id;
    for (const network of networks) {
      await docker.getNetwork(network.id).connect({ Container: id })
        .catch((error) => this.#refused("join a network with", error));
    }
    await this.put([{ name: ".", content: null, mode: 0o755 }, ...options.files ?? []]);
    // A port that is taken, a program that is not there.
    await this.container.start().catch((error) => this.#refused("start", error));
    this.#logEnded = this.#followLog();
    this.#probe = GroupProbe.open(this.container);
    this.#probe.catch(() => {}); // Told to whoever asks it.
    this.#watch();
    for (const [file, target] of this.#mirrored) this.#follow(file, target);
    const { NetworkSettings } = await this.container.inspect();
    this.#ip = NetworkSettings.Networks[networkId]?.IPAddress ??
      Object.values(NetworkSettings.Networks)[0]?.IPAddress ?? "";
  }

  #refused(what: string, error: unknown): never {
    throw new PoolscopeError(
      `Cannot ${what} the container of ${this.name}: ${daemonMessage(error)}`,
      { cause: error },
    );
  }

  async put(files: readonly HostFile[]): Promise<void> {
    const uid = await this.#userId();
    const archive = await packTar(files.map(({ name, content, mode = 0o600 }) => {
      const bytes = Buffer.from(content ?? "");
      return {
        header: {
          name: this.path(name).slice(1) + (content === null ? "/" : ""),
          mode,
          uid,
          gid: uid,
          type: content === null ? "directory" as const : "file" as const,
          size: bytes.length,
          mtime: new Date(),
        },
        ...(content !== null && { body: bytes }),
      };
    }));
    try {
      await this.container.putArchive(Buffer.from(archive), { path: "/" });
    } catch (error) {
      this.#refused("put files into", error);
    }
  }

  /** The number of the user that its program runs as. */
  async #userId(): Promise<number> {
    const { program: { image, imageUser }, users } = this.place;
    const user = imageUser ?? (await this.container.inspect()).Config.User.split(":")[0]!;
    if (/^\d*$/.test(user)) return Number(user);
    const key = `${image} ${user}`;
    const known = users.get(key) ?? this.#lookUpUser(user);
    users.set(key, known);
    return await known.catch((error) => {
      users.delete(key);
      throw new PoolscopeError(`Cannot start ${this.name}: ${error.message}`, { cause: error });
    });
  }

  async #lookUpUser(user: string): Promise<number> {
    const [file] = await this.#unpack("/etc/passwd").catch(() => []);
    const lines = new TextDecoder().decode(file?.data).split("\n").map((line) => line.split(":"));
    const id = lines.find(([name]) => name === user)?.[2];
    if (id !== undefined) return Number(id);
    throw new Error(
      `its image runs as ${user}, who has no number in it; name one in its Dockerfile (USER 1000)`,
    );
  }

  async #watch(): Promise<void> {
    let exit = UNKNOWN_EXIT;
    try {
      // Answers at once where it has ended already, so that no end is missed.
      const { StatusCode } = await this.container.wait({ condition: "not-running" });
      exit = toExit(StatusCode);
      this.#oomKilled = (await this.container.inspect()).State.OOMKilled;
    } catch {
      // Removed meanwhile, or the daemon is gone, which the host looks at by itself.
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, LOG_WAIT_MS));
    await Promise.race([this.#logEnded, late]);
    clearTimeout(timer);
    this.ended(exit);
  }

  async #followLog(): Promise<void> {
    try {
      const stream = await this.container.logs({ follow: true, stdout: true, stderr: true });
      const file = openSync(this.place.logFile, "a");
      try {
        for await (const chunk of this.#demux(stream)) writeSync(file, chunk as Uint8Array);
      } finally {
        closeSync(file);
      }
    } catch {
      // Without the daemon there is no more log.
    }
  }

  /** Both outputs of a stream of Docker's as one, which ends when that does. */
  #demux(stream: NodeJS.ReadableStream): PassThrough {
    const output = new PassThrough();
    this.container.modem.demuxStream(stream, output, output);
    for (const event of ["end", "error", "close"]) stream.on(event, () => output.end());
    return output;
  }

  /** The port of this machine that leads to a published one. */
  async #publishedPort(port: number): Promise<number> {
    const { NetworkSettings } = await this.container.inspect();
    const found = NetworkSettings.Ports?.[`${port}/tcp`]?.[0]?.HostPort;
    if (found !== undefined) return Number(found);
    throw new PoolscopeError(
      this.exit === null
        ? `Docker has not published port ${port} of ${this.name}`
        : `${this.name} exited with code ${this.exit.code} (${this.logTail(1)})`,
    );
  }

  async exec(argv: readonly string[]): Promise<{ code: number; output: string }> {
    const exec = await this.container.exec({
      Cmd: [...argv],
      AttachStdout: true,
      AttachStderr: false,
      User: this.place.program.imageUser ?? "",
    });
    const chunks: Uint8Array[] = [];
    const output = this.#demux(await exec.start({}));
    for await (const chunk of output) chunks.push(chunk as Uint8Array);
    const { ExitCode } = await exec.inspect();
    return { code: ExitCode ?? UNKNOWN_EXIT.code, output: Buffer.concat(chunks).toString("utf8") };
  }

  async readNumbers(folder: string, each: number): Promise<[string, readonly number[]][]> {
    const probe = await this.#probe;
    // One that has ended meanwhile tells nothing more.
    const pages = await probe?.readNumbers(`${this.path(folder)}/[0-9]*`, each).catch(() => []);
    return (pages ?? []).map(([path, numbers]) => [path.split("/").at(-1)!, numbers]);
  }

  /** Sets its limits, lifting a CPU quota that is null; a container has no memory limit before. */
  async limit(limits: Limits | null): Promise<{ limits: Limits; cores: string | null }> {
    await this.#starting;
    if (limits !== null) await this.#update(limits);
    const { cpuset, limits: readBack } = await this.#readGroup();
    return { limits: readBack, cores: cpuset };
  }

  async #update(limits: Limits): Promise<void> {
    const memory = limits.memoryMiB === null ? undefined : Math.round(limits.memoryMiB * MIB);
    try {
      await this.container.update({
        CpuPeriod: 100_000,
        CpuQuota: limits.cpus === null ? -1 : Math.round(limits.cpus * 100_000),
        // No swap beside it: a limit is what the service has.
        ...(memory !== undefined && { Memory: memory, MemorySwap: memory }),
      });
    } catch (error) {
      const reason = daemonMessage(error);
      // Version 1 of control groups refuses a limit that is exceeded already.
      if (!/busy|unable to set memory limit/i.test(reason)) {
        throw new PoolscopeError(`Cannot limit ${this.name}: ${reason}`, { cause: error });
      }
      throw outOfMemory(this.name, (await this.usage()).memoryMiB, limits, error);
    }
  }

  /** What its control group says now; throws where it has ended. */
  async #readGroup(): Promise<GroupState> {
    if (this.#probe === null) throw new Error("it does not run");
    const state = await (await this.#probe).read();
    this.#groupKills = Math.max(this.#groupKills, state.memoryKills);
    return state;
  }

  async usage(): Promise<ServiceUsage> {
    const { cpuS, throttledS, memoryMiB, processes, switches } = await this.#readGroup();
    const contextSwitches = this.#switches.add(switches);
    return { service: this.name, cpuS, throttledS, memoryMiB, processes, contextSwitches };
  }

  async tcp(): Promise<[string, TcpState]> {
    const script = `for f in "$@"; do cat "$f" && printf '\\0'; done`;
    const { output } = await this.exec(["sh", "-c", script, "sh", ...TCP_FILES]);
    const texts = output.split("\0").slice(0, -1);
    if (texts.length !== TCP_FILES.length) throw new Error(`cannot read ${TCP_FILES.join(", ")}`);
    return [this.name, parseTcp(texts)];
  }

  countKill(): void {
    this.#toldKills++;
  }

  memoryKills(): number {
    const kills = Math.max(this.#toldKills, this.#groupKills);
    return this.#oomKilled ? Math.max(1, kills) : kills;
  }

  owns({ host }: Address): Promise<boolean> {
    return Promise.resolve(this.#ip !== "" && host === this.#ip);
  }

  /** The port is the container's own, in which nothing of others runs. */
  listens(): Promise<boolean> {
    return Promise.resolve(true);
  }

  mirror(name: string, file: string): void {
    this.#mirrored.push([name, file]);
    if (this.#probe !== null) this.#follow(name, file);
  }

  /** Copies a file of one line, twice a second, until it ends. */
  async #follow(name: string, file: string): Promise<void> {
    const script = `while sleep 0.5; do cat ${this.path(name)} 2>/dev/null && echo; done`;
    try {
      const Cmd = ["sh", "-c", script];
      const exec = await this.container.exec({ Cmd, AttachStdout: true, AttachStderr: false });
      const output = this.#demux(await exec.start({})).setEncoding("utf8");
      let rest = "";
      for await (const text of output) {
        const lines = (rest + text).split("\n");
        rest = lines.pop()!;
        const last = lines.findLast((line) => line !== "");
        if (last !== undefined && this.exit === null) writeFileSync(file, last);
      }
    } catch {
      // It has ended already, or the daemon is gone: there is nothing to show.
    }
  }

  async #unpack(path: string) {
    const stream = await this.container.getArchive({ path });
    const chunks: Uint8Array[] = [];
    for await (const chunk of stream) chunks.push(chunk as Uint8Array);
    return await unpackTar(Buffer.concat(chunks));
  }

  async collect(folder: string): Promise<void> {
    if (this.id === "") return;
    // Folders by number within are asked for too; a name is never a way out of ours.
    const filter = ({ name, type }: { name: string; type?: string }) =>
      type === "file" && /^(\.\/)?(\d+\/)?[^/]+$/.test(name);
    try {
      const archive = await this.container.getArchive({ path: `${FOLDER}/.` });
      await pipeline(archive, unpackFiles(folder, { filter, fmode: 0o644 }));
    } catch (error) {
      return this.#refused("read the files of", error);
    }
  }

  /** Sends a signal; nothing happens when it has ended. */
  async #kill(signal: string): Promise<void> {
    if (this.id === "" || this.exit !== null) return;
    await this.container.kill({ signal }).catch((error) => {
      const status = daemonStatus(error);
      if (status !== 404 && status !== 409) throw error;
    });
  }

  async stop(): Promise<void> {
    const { stopSignal = "TERM", graceS = 3 } = this.place;
    await this.#starting.catch(() => {});
    await this.#kill(`SIG${stopSignal}`).catch(() => {});
    const deadline = Date.now() + graceS * 1000;
    while (this.exit === null && this.id !== "" && Date.now() < deadline) {
      await Promise.race([this.exited, sleep(200)]);
    }
    if (this.exit !== null) return;
    await this.#kill("SIGKILL").catch(() => {});
    if (this.id !== "") await Promise.race([this.exited, sleep(KILL_TIMEOUT_MS)]);
    this.lose();
  }

  /** Takes it as ended: its daemon does not tell any more. */
  lose(): void {
    this.ended(UNKNOWN_EXIT);
  }

  async remove(): Promise<void> {
    await this.#starting.catch(() => {});
    if (this.id === "") return this.place.forget();
    this.#probe?.then((probe) => probe.close()).catch(() => {});
    try {
      await this.container.remove({ force: true, v: true });
    } catch (error) {
      const status = daemonStatus(error);
      // Gone, or just going.
      if (status !== 404 && status !== 409) throw error;
    }
    this.place.forget();
    // Its log is read to the end.
    await Promise.race([this.exited, sleep(LOG_WAIT_MS)]);
  }
}
