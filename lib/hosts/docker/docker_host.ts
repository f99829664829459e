/**
 * A Docker daemon as a host: services are containers with limits of their own. Files travel by
 * archive and connections through published loopback ports or a relay, so that nothing here assumes
 * that Docker runs on this machine.
 */

import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { EngineLostError, PoolscopeError } from "../../errors.ts";
import type { Manifest } from "../../store/manifest.ts";
import type {
  Host,
  HostNetwork,
  Instance,
  InstanceOptions,
  Kept,
  Program,
  ServiceUsage,
} from "../host.ts";
import { hostUsage } from "../linux/proc.ts";
import { Owned } from "../owned.ts";
import { CONTEXT_LABEL, findImage } from "./build_image.ts";
import { daemonMessage, openDocker } from "./client.ts";
import { askDocker, type Daemon, socketPath } from "./daemon.ts";
import { ContainerInstance, FOLDER } from "./instance.ts";
import { Relay, relayProgram } from "./relay.ts";
import { objectLabels, OWNER_LABEL } from "./sweep.ts";

const MIB = 2 ** 20;

/** Options of {@linkcode DockerHost.open}. */
export interface DockerHostOptions {
  daemon: Daemon;
  study: string;
  /** The id of an image with Python. */
  python: string;
}

/** What a daemon says of itself, as far as it is used here. */
type DaemonInfo = {
  NCPU: number;
  Architecture: string;
  MemTotal: number;
  KernelVersion: string;
  MemoryLimit?: boolean;
  CpuCfsQuota?: boolean;
};

/** Containers on one daemon. */
export class DockerHost implements Host {
  readonly kind = "docker";
  #containers = new Set<ContainerInstance>();
  #users = new Map<string, Promise<number>>();
  #count = 0;
  #events: { destroy(): void } | null = null;

  private constructor(
    readonly machine: Manifest["host"],
    readonly limitsWarning: string | null,
    readonly cores: number,
    private readonly parts: DockerHostOptions & {
      docker: Docker;
      owned: Owned;
      relay: Relay;
      relayId: string;
      network: Docker.Network;
      name: string;
    },
  ) {}

  /**
   * Makes the network that services join and the relay in it.
   *
   * @throws {PoolscopeError} If the daemon refuses.
   */
  static async open(options: DockerHostOptions): Promise<DockerHost> {
    const { daemon, study } = options;
    const docker = openDocker(daemon);
    const owned = Owned.withKeeper();
    owned.add("dockers", daemon);
    const name = `poolscope-${owned.id.slice(-8)}`;
    const labels = objectLabels(owned.owner, owned.id, study);
    let network: Docker.Network | null = null;
    let relayId = "";
    try {
      network = await docker.createNetwork({ Name: name, CheckDuplicate: true, Labels: labels });
      const { relay, id } = await openRelay(docker, name, options.python, labels);
      relayId = id;
      const info: DaemonInfo = await docker.info();
      const cpuinfo = await relay.readFile("/proc/cpuinfo");
      const machine = {
        cpus: info.NCPU,
        cpuModel: /^model name\s*: (.*)$/m.exec(cpuinfo)?.[1] ?? info.Architecture,
        memoryMiB: Math.round(info.MemTotal / MIB),
        kernel: info.KernelVersion,
      };
      const parts = { ...options, relay, docker, owned, relayId, network, name };
      const host = new DockerHost(machine, warnOfLimits(info), info.NCPU, parts);
      await host.#watch();
      return host;
    } catch (error) {
      if (relayId !== "") await docker.getContainer(relayId).remove({ force: true });
      const removed = await network?.remove().then(() => true, () => false) ?? true;
      if (removed) owned.remove("dockers", ({ url }) => url === daemon.url);
      await owned[Symbol.asyncDispose]();
      if (error instanceof PoolscopeError) throw error;
      throw new PoolscopeError(`Cannot use Docker: ${daemonMessage(error)}`, { cause: error });
    }
  }

  /** Listens to what the daemon tells of our containers' memory, and whether it is there. */
  async #watch(): Promise<void> {
    const { docker, owned } = this.parts;
    const label = [`${OWNER_LABEL}=${objectLabels(owned.owner, owned.id, "")[OWNER_LABEL]}`];
    // A daemon that is lost says nothing of the ends of containers.
    this.parts.relay.closed.then(() => this.#containers.forEach((container) => container.lose()));
    const stream = await docker.getEvents({ filters: { label, event: ["oom"] } });
    this.#events = stream as unknown as { destroy(): void };
    const lines = createInterface({ input: stream });
    lines.on("line", (line) => {
      if (line.trim() === "") return;
      const { Actor } = JSON.parse(line) as { Actor: { ID: string } };
      [...this.#containers].find(({ id }) => id === Actor.ID)?.countKill();
    });
    for (const source of [stream, lines]) source.on("error", () => {});
  }

  async network(name: string): Promise<HostNetwork> {
    const { docker, owned, study, relayId } = this.parts;
    const made = await docker.createNetwork({
      Name: `${this.parts.name}-${++this.#count}-${name}`,
      Labels: objectLabels(owned.owner, owned.id, study),
    }).catch((error) => {
      throw new PoolscopeError(`Cannot make a network: ${daemonMessage(error)}`, { cause: error });
    });
    const isRelayed = !this.#isHere();
    if (isRelayed) await made.connect({ Container: relayId });
    return {
      id: made.id,
      async [Symbol.asyncDispose]() {
        if (isRelayed) await made.disconnect({ Container: relayId, Force: true }).catch(() => {});
        // What a lost daemon still holds is swept by the start that finds it again.
        await made.remove().catch(() => {});
      },
    };
  }

  place(options: InstanceOptions): Instance {
    const { docker, owned, study, name, network, relay } = this.parts;
    const instance: ContainerInstance = new ContainerInstance({
      ...options,
      docker,
      container: `${name}-${++this.#count}-${options.service}`,
      labels: objectLabels(owned.owner, owned.id, study, options.run),
      networkId: options.network?.id ?? network.id,
      published: this.#isHere(),
      relay,
      users: this.#users,
      forget: () => this.#containers.delete(instance),
    });
    this.#containers.add(instance);
    return instance;
  }

  /** Whether what is published on the daemon's loopback address can be reached here. */
  #isHere(): boolean {
    return socketPath(this.parts.daemon) !== null;
  }

  async findKept(key: string, program: Program): Promise<Kept | null> {
    const found = await findImage(this.parts.docker, keptReference(key));
    if (found?.labels[KEPT_FROM_LABEL] !== program.image) return null;
    return { folder: FOLDER, program: { image: found!.id } };
  }

  async keep(instance: Instance, key: string): Promise<Kept> {
    const { container } = instance as ContainerInstance;
    const { Config, Image } = await container.inspect();
    const [repo, tag] = keptReference(key).split(":");
    const { Id } = await container.commit({
      repo,
      tag,
      changes: [
        `LABEL ${KEPT_FROM_LABEL}=${Image}`,
        ...(Config.Labels[CONTEXT_LABEL] === undefined ? [`LABEL ${CONTEXT_LABEL}=${key}`] : []),
      ].join("\n"),
    });
    return { folder: FOLDER, program: { image: Id } };
  }

  async usage(): Promise<ServiceUsage> {
    const read = (file: string) => this.parts.relay.readFile(file);
    return hostUsage(await read("/proc/stat"), await read("/proc/meminfo"));
  }

  scratchFile(name: string): string {
    return this.parts.owned.scratchFile(name);
  }

  async checkAlive(): Promise<void> {
    const { daemon } = this.parts;
    try {
      await askDocker(daemon, "GET", "/_ping", 5);
    } catch (error) {
      const reason = (error as Error).message.split("\n")[0];
      throw new EngineLostError(
        `Docker at ${daemon.url} does not answer any more (${reason}); start it and the same study again, complete runs are kept, or use --engine local`,
        { cause: error },
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { docker, daemon, owned, relay, relayId, network } = this.parts;
    this.#events?.destroy();
    relay[Symbol.dispose]();
    const ended = await Promise.allSettled([
      ...[...this.#containers].map((container) => container.remove()),
      docker.getContainer(relayId).remove({ force: true, v: true }),
    ]);
    const removed = await network.remove().then(() => true, () => false);
    // What a lost daemon still holds is swept by the start that finds it again.
    if (removed && ended.every(({ status }) => status === "fulfilled")) {
      owned.remove("dockers", ({ url }) => url === daemon.url);
    }
    await owned[Symbol.asyncDispose]();
  }
}

/** The label of the image that a kept one began with. */
const KEPT_FROM_LABEL = "org.poolscope.kept-from";

function keptReference(key: string): string {
  return `poolscope/kept:${key}`;
}

/** Starts the relay's container in a network. */
async function openRelay(
  docker: Docker,
  network: string,
  image: string,
  labels: Record<string, string>,
): Promise<{ relay: Relay; id: string }> {
  const container = await docker.createContainer({
    name: `${network}-relay`,
    Image: image,
    Entrypoint: ["python", "-c", relayProgram()],
    Cmd: [],
    Labels: labels,
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    // Whatever goes through it would be kept by the daemon.
    HostConfig: { NetworkMode: network, LogConfig: { Type: "none", Config: {} } },
  });
  try {
    const streams = await container.attach({
      stream: true,
      stdin: true,
      stdout: true,
      stderr: true,
      hijack: true,
    });
    const [output, errors] = [new PassThrough(), new PassThrough()];
    docker.modem.demuxStream(streams, output, errors);
    errors.resume();
    await container.start();
    const input = streams as unknown as ConstructorParameters<typeof Relay>[0];
    return { relay: new Relay(input, output), id: container.id };
  } catch (error) {
    await container.remove({ force: true });
    throw error;
  }
}

/** One sentence where limits do not hold, as on a rootless daemon without delegated control groups. */
export function warnOfLimits(
  { CpuCfsQuota, MemoryLimit }: Pick<DaemonInfo, "CpuCfsQuota" | "MemoryLimit">,
): string | null {
  const lacking = [CpuCfsQuota === false && "CPU", MemoryLimit === false && "memory"]
    .filter(Boolean);
  if (lacking.length === 0) return null;
  const what = lacking.join(" and ");
  return `no limit on ${what} of any service: this Docker cannot set it; use a system-wide Docker, or delegate control groups to the rootless one`;
}
