/**
 * This machine as a host: services are processes, with limits by control groups where the user may
 * set them.
 */

import { chownSync, existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { PoolscopeError } from "../../errors.ts";
import type { Host, HostNetwork, Instance, InstanceOptions, Kept, ServiceUsage } from "../host.ts";
import {
  ControlGroup,
  findControllers,
  limitsRefusal,
  type Places,
  rmdirQuietly,
} from "../linux/cgroup.ts";
import { KeptFiles } from "../linux/kept_files.ts";
import { hostUsage } from "../linux/proc.ts";
import { Owned } from "../owned.ts";
import { LocalInstance, type LocalPlace } from "./instance.ts";

/** Options of {@linkcode LocalHost}. */
export interface LocalHostOptions {
  /** Where folders of services are made and kept, which their users can reach. */
  folder: string;
  /** Whether services get control groups where the user may make them. @default true */
  limits?: boolean;
}

/** Ports that were handed out by this process and may not be bound yet. */
const handedOut = new Set<number>();

/** A TCP port of the loopback address that is free, and was not given to anybody else here. */
export function freePort(): number {
  for (;;) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    listener.close();
    if (!handedOut.has(port)) {
      handedOut.add(port);
      return port;
    }
  }
}

export class LocalHost implements Host {
  readonly kind: string = "local";
  readonly machine = null;
  readonly cores = null;
  readonly limitsWarning: string | null;
  readonly owned: Owned = Owned.withKeeper();
  #folder: string;
  #controllers: Places;
  #count = 0;
  #files = new KeptFiles();

  constructor({ folder, limits = true }: LocalHostOptions) {
    this.#folder = folder;
    this.#controllers = findControllers(
      readFileSync("/proc/self/mountinfo", "utf8"),
      readFileSync("/proc/self/cgroup", "utf8"),
    );
    const probe = limits ? this.#makeGroup("probe") : "no control groups are wanted";
    if (typeof probe === "string") {
      this.limitsWarning = limitsRefusal(probe);
    } else {
      this.limitsWarning = null;
      // It is empty, so that its removal needs no second attempt.
      probe.folders.forEach(rmdirQuietly);
      this.owned.removeGroup(probe.name);
    }
  }

  /** A new control group, or why there is none. Its name is no other owner's, written down first. */
  #makeGroup(service: string): ControlGroup | string {
    const name = `${this.owned.id}-${++this.#count}-${service}`;
    this.owned.add("groups", ...ControlGroup.candidates(name, this.#controllers));
    const group = ControlGroup.create(name, this.#controllers);
    if (typeof group === "string") this.owned.removeGroup(name);
    return group;
  }

  network(name: string): Promise<HostNetwork> {
    // All services meet on the loopback address, each on a port of its own.
    return Promise.resolve({ id: name, [Symbol.asyncDispose]: () => Promise.resolve() });
  }

  place(options: InstanceOptions): Instance {
    return new LocalInstance(this.makePlace(options));
  }

  protected makePlace(options: InstanceOptions): LocalPlace {
    const { service, program: { user }, ports = [] } = options;
    const group = this.limitsWarning === null ? this.#makeGroup(service) : null;
    if (typeof group === "string") throw new PoolscopeError(`Cannot limit ${service}: ${group}`);
    const folder = join(this.#folder, `${this.owned.id}-${++this.#count}-${service}`);
    this.owned.add("folders", folder);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (user) chownSync(folder, user.uid, user.gid);
    const localPorts = new Map(ports.map((port) => [port, freePort()]));
    return { ...options, group, localPorts, private: folder, owned: this.owned };
  }

  findKept(key: string): Promise<Kept | null> {
    const folder = join(this.#folder, key);
    return Promise.resolve(existsSync(folder) ? { folder, program: {} } : null);
  }

  keep(instance: Instance, key: string): Promise<Kept> {
    const folder = join(this.#folder, key);
    try {
      renameSync(instance.path("."), folder);
    } catch (error) {
      // Unless another start kept the same meanwhile; both are equal.
      if (!existsSync(folder)) throw error;
    }
    return Promise.resolve({ folder, program: {} });
  }

  usage(): Promise<ServiceUsage> {
    const [stat, meminfo] = ["/proc/stat", "/proc/meminfo"].map((file) => this.#files.read(file)!);
    return Promise.resolve(hostUsage(stat!, meminfo!));
  }

  scratchFile(name: string): string {
    return this.owned.scratchFile(name);
  }

  /** Processes need no daemon. */
  checkAlive(): Promise<void> {
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#files[Symbol.dispose]();
    await this.owned[Symbol.asyncDispose]();
  }
}
