/**
 * The engine of a Docker daemon: PostgreSQL, PgBouncer, the app and Locust as containers, from images
 * that are built where they are missing.
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import type { App } from "../apps/app.ts";
import { PoolscopeError } from "../errors.ts";
import { openDocker } from "../hosts/docker/client.ts";
import type { Daemon } from "../hosts/docker/daemon.ts";
import { DockerHost } from "../hosts/docker/docker_host.ts";
import { sweepDocker } from "../hosts/docker/sweep.ts";
import type { Host, Program } from "../hosts/host.ts";
import type { Scenario } from "../scenario.ts";
import { type Server, SERVERS } from "../server_settings.ts";
import {
  builtApps,
  type BuiltImage,
  ensureImages,
  ensureServerImage,
  type ImagesOptions,
} from "../services/images.ts";
import { runOnce } from "../services/run_once.ts";
import { directDependencies } from "../services/versions.ts";
import { ANY_VERSION } from "../settings.ts";
import { isVersion } from "../setup/command.ts";
import { SUITES } from "../setup/debian.ts";
import { ROOT, TOOLS } from "../store/layout.ts";
import { type EngineOptions, HostEngine, type Programs } from "./engine.ts";
import type { ScenarioPrograms } from "./run_services.ts";

/** Where the image of Locust has the locustfile. */
const LOCUSTFILE = "/poolscope/locust/locustfile.py";

/** Options of {@linkcode DockerEngine.open}. */
export interface DockerEngineOptions extends EngineOptions {
  daemon: Daemon;
  study: string;
  /** The apps of the study. @default those of the checkout */
  apps?: readonly App[];
}

/** Prints the versions of Python and of all packages. */
const PYTHON_VERSIONS = "import importlib.metadata as m, json, platform; " +
  "print(json.dumps({'python': platform.python_version(), " +
  "**{d.metadata['Name'].lower().replace('_', '-').replace('.', '-'): d.version " +
  "for d in m.distributions()}}))";

/** What is inside images, by their ids: an image never changes. */
const VERSIONS_FILE = join(TOOLS, "image-versions.json");

/** Programs in images. */
class ImagePrograms implements Programs {
  readonly root = ROOT;
  readonly images: Record<string, string>;

  private constructor(
    readonly versions: Record<string, string>,
    private readonly parts: {
      host: Host;
      docker: Docker;
      /** What is built is added. */
      images: Record<string, BuiltImage>;
      building: ImagesOptions;
      /** The versions of servers, by the names of their images. */
      servers: Record<string, string>;
    },
  ) {
    this.images = imageNames(parts.images);
  }

  /** Reads the versions of what is in the images. */
  static async open(
    host: Host,
    docker: Docker,
    images: Record<string, BuiltImage>,
    building: ImagesOptions & { apps: readonly App[] },
  ): Promise<ImagePrograms> {
    const sharing = building.apps.filter(({ environment }) => environment === "shared");
    const versions = await readImageVersions(host, images, sharing.map(({ name }) => name));
    const servers = { postgres: versions.postgres!, pgbouncer: versions.pgbouncer! };
    return new ImagePrograms(versions, { host, docker, images, building, servers });
  }

  async of(scenario: Scenario): Promise<ScenarioPrograms> {
    const { images, servers } = this.parts;
    const { path, framework, postgresVersion, pgbouncerVersion } = scenario;
    const postgres = await this.#imageOf("postgres", postgresVersion);
    const pgbouncer = path === "direct"
      ? "pgbouncer"
      : await this.#imageOf("pgbouncer", pgbouncerVersion);
    return {
      postgres: serverProgram("postgres", images[postgres]!),
      pgbouncer: serverProgram("pgbouncer", images[pgbouncer]!),
      app: { command: null, image: images[framework]!.id },
      appEnv: {},
      python: { command: ["python"], image: images.locust!.id },
      pythonCommand: "python",
      locustfile: LOCUSTFILE,
      versions: { postgres: servers[postgres]!, pgbouncer: servers[pgbouncer]! },
      images: imageNames({ postgres: images[postgres]!, pgbouncer: images[pgbouncer]! }),
    };
  }

  /** The name of the image of a server, built where it is not there yet. */
  async #imageOf(server: Server, version: string): Promise<string> {
    const { host, docker, images, building, servers } = this.parts;
    if (version === ANY_VERSION || isVersion(servers[server]!, version)) return server;
    const name = server === "postgres" ? `postgres-${version}` : "pgbouncer-testing";
    if (servers[name] === undefined) {
      const { base } = images[server]!;
      images[name] = await ensureServerImage(docker, server, name, version, base, building);
      servers[name] = await readServerVersion(host, server, images[name]);
    }
    const found = servers[name];
    if (isVersion(found, version)) return name;
    const seen = server === "postgres"
      ? `${images[name]!.base} has ${found}`
      : `${SUITES.trixie} has ${servers.pgbouncer}, ${SUITES.testing} had ${found} when ` +
        `${images[name]!.reference} was built (deno task images --remove, to build it anew)`;
    const title = SERVERS[server];
    throw new PoolscopeError(
      `Cannot find ${title} ${version} for Docker: ${seen}; put that version on PATH and use --engine local`,
    );
  }
}

/** A server in its image, run as its own user instead of by the image's entrypoint. */
function serverProgram(server: Server, { id }: BuiltImage): Program {
  const command = server === "postgres" ? [] : ["pgbouncer"];
  return { command, image: id, imageUser: "postgres" };
}

function imageNames(images: Record<string, BuiltImage>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(images).map(([name, { reference, id }]) => [name, `${reference}@${id}`]),
  );
}

async function ask(
  host: Host,
  service: string,
  { id }: BuiltImage,
  command: string[],
): Promise<string> {
  const { ok, output } = await runOnce(host, service, { command, image: id }, []);
  if (ok) return output;
  throw new PoolscopeError(
    `Cannot read the versions in the image of ${service}: ${output.split("\n").at(-1)}`,
  );
}

async function readServerVersion(host: Host, server: Server, image: BuiltImage): Promise<string> {
  const text = await ask(host, server, image, [server, "--version"]);
  return /(\d+\.\d+(\.\d+)*)/.exec(text)?.[1] ?? "unknown";
}

/**
 * The versions of what runs in the images.
 *
 * @param sharing The apps whose packages are locked together.
 * @throws {PoolscopeError} If the apps' Pythons differ.
 */
async function readImageVersions(
  host: Host,
  images: Record<string, BuiltImage>,
  sharing: readonly string[],
): Promise<Record<string, string>> {
  let known: Record<string, Record<string, string>> = {};
  try {
    known = JSON.parse(readFileSync(VERSIONS_FILE, "utf8"));
  } catch {
    // The first start, or a file that was cut short: looked at anew.
  }
  const direct = directDependencies();
  const look = async (service: string): Promise<Record<string, string>> => {
    const image = images[service]!;
    if (service === "postgres" || service === "pgbouncer") {
      return { [service]: await readServerVersion(host, service, image) };
    }
    const found: Record<string, string> = JSON.parse(
      await ask(host, service, image, ["python", "-c", PYTHON_VERSIONS]),
    );
    return Object.fromEntries(
      Object.entries(found).filter(([name]) => name === "python" || direct.includes(name)),
    );
  };
  const services = ["postgres", "pgbouncer", ...sharing, "locust"];
  const versions = await Promise.all(
    services.map(async (service) => known[images[service]!.id] ??= await look(service)),
  );
  mkdirSync(TOOLS, { recursive: true });
  const current = services.map((service) => images[service]!.id).map((id) => [id, known[id]]);
  writeFileSync(VERSIONS_FILE, JSON.stringify(Object.fromEntries(current), null, 2));
  const pythons = [...new Set(versions.map(({ python }) => python).filter(Boolean))];
  if (pythons.length > 1) {
    const all = pythons.join(" and ");
    throw new PoolscopeError(
      `Cannot compare the apps: their images have Python ${all}; build them on one base by deno task images`,
    );
  }
  const { python, postgres, pgbouncer, ...packages } = Object.assign({}, ...versions);
  const sorted = Object.fromEntries(Object.entries(packages as Record<string, string>).sort());
  return { deno: Deno.version.deno, python, postgres, pgbouncer, ...sorted };
}

/** Services as containers of one daemon. */
export class DockerEngine extends HostEngine {
  /**
   * Builds missing images, and removes what dead owners left on the daemon.
   *
   * @throws {PoolscopeError} If the daemon refuses, or an image cannot be built.
   */
  static async open(options: DockerEngineOptions): Promise<DockerEngine> {
    const { daemon, study, log = () => {}, signal, apps = builtApps() } = options;
    const docker = openDocker(daemon);
    for (const line of await sweepDocker(daemon)) log(line);
    const tag = Deno.env.get("POOLSCOPE_TAG") || "latest";
    const building = { tag, apps, log, signal };
    const images = await ensureImages(docker, building);
    signal?.throwIfAborted();
    const python = images.locust!.id;
    const host = await DockerHost.open({ daemon, study, python });
    try {
      const programs = await ImagePrograms.open(host, docker, images, building);
      return new DockerEngine("docker", host, programs, { log, signal });
    } catch (error) {
      await host[Symbol.asyncDispose]();
      throw error;
    }
  }
}
