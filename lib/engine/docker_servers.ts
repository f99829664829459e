/**
 * The images of PostgreSQL and PgBouncer, in the versions that scenarios ask for.
 *
 * @module
 */

// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { PoolscopeError } from "../errors.ts";
import type { Scenario } from "../scenario.ts";
import { type Server, SERVERS } from "../server_settings.ts";
import { ANY_VERSION } from "../settings.ts";
import { isVersion } from "../setup/command.ts";
import { SUITES } from "../setup/debian.ts";
import {
  type BuiltImage,
  ensurePgbouncerImage,
  ensurePostgresImage,
  type ImagesOptions,
} from "../setup/images.ts";
import { dockerPrograms, readServerVersion, type RunOnce } from "./docker_programs.ts";
import type { ServerPrograms } from "./server_programs.ts";

/** The names that the servers of a scenario have among an engine's images. */
export type ServerImages = Record<Server, string>;

/** The servers' images of one engine. */
export class DockerServers {
  /** The versions in the images, by their names. */
  #versions: Record<string, string>;

  constructor(
    private readonly shared: {
      docker: Docker;
      /** The engine's images; what is built is added. */
      images: Record<string, BuiltImage>;
      runOnce: RunOnce;
      /** How images are built. */
      building: ImagesOptions;
    },
    versions: Record<string, string>,
  ) {
    this.#versions = { postgres: versions.postgres!, pgbouncer: versions.pgbouncer! };
  }

  /**
   * Those of a scenario, built where they are not there yet.
   *
   * @throws {PoolscopeError} If there is no image of a version.
   */
  async imagesOf(
    { path, postgresVersion, pgbouncerVersion }: Scenario,
  ): Promise<ServerImages> {
    return {
      postgres: await this.#imageOf("postgres", postgresVersion),
      pgbouncer: path === "direct"
        ? "pgbouncer"
        : await this.#imageOf("pgbouncer", pgbouncerVersion),
    };
  }

  /** What the programs in these images can be asked. */
  programsOf(names: ServerImages): ServerPrograms {
    return dockerPrograms(this.shared.runOnce, names, this.versionsOf(names));
  }

  /** The versions in these images. */
  versionsOf({ postgres, pgbouncer }: ServerImages): Record<Server, string> {
    return { postgres: this.#versions[postgres]!, pgbouncer: this.#versions[pgbouncer]! };
  }

  async #imageOf(server: Server, version: string): Promise<string> {
    if (version === ANY_VERSION || isVersion(this.#versions[server]!, version)) return server;
    const { docker, images, runOnce, building } = this.shared;
    const name = server === "postgres" ? `postgres-${version}` : "pgbouncer-testing";
    if (this.#versions[name] === undefined) {
      images[name] = server === "postgres"
        ? await ensurePostgresImage(docker, name, version, images.postgres!.base, building)
        : await ensurePgbouncerImage(docker, name, images.pgbouncer!.base, building);
      this.#versions[name] = await readServerVersion(runOnce, name, server);
    }
    const found = this.#versions[name]!;
    if (isVersion(found, version)) return name;
    const seen = server === "postgres"
      ? `${images[name]!.base} has ${found}`
      : `${SUITES.trixie} has ${this.#versions.pgbouncer}, ${SUITES.testing} had ${found} when ` +
        `${images[name]!.reference} was built (deno task images --remove, to build it anew)`;
    throw new PoolscopeError(
      `Cannot find ${
        SERVERS[server]
      } ${version} for Docker: ${seen}; put that version on PATH and use --engine local`,
    );
  }
}
