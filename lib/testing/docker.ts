/** Docker for tests: the daemon that a study would use, or the reason why there is none. */

// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { openDocker } from "../hosts/docker/client.ts";
import { type Daemon, findDocker } from "../hosts/docker/daemon.ts";
import { findObjects } from "../hosts/docker/sweep.ts";

/** Whether the tests that need Docker are skipped here, and Docker itself. */
export interface DockerForTests {
  /** For `ignore`: never where `POOLSCOPE_REQUIRE_DOCKER` is 1, so that there they fail. */
  skipped: boolean;
  /** The daemon. Throws where there is none. */
  open(): { docker: Docker; daemon: Daemon };
}

/** Looks for Docker once, at a test file's top, and says when its tests are skipped and why. */
export async function dockerForTests(what: string): Promise<DockerForTests> {
  const found = await findDocker();
  if (typeof found !== "string") {
    const { daemon } = found;
    return { skipped: false, open: () => ({ docker: openDocker(daemon), daemon }) };
  }
  const skipped = Deno.env.get("POOLSCOPE_REQUIRE_DOCKER") !== "1";
  if (skipped) console.log(`Skipped, as they need Docker: ${what} (${found})`);
  return {
    skipped,
    open: () => {
      throw new Error(`Docker is required and not there: ${found}`);
    },
  };
}

/** A daemon and a connection to it. */
export interface TestDocker {
  docker: Docker;
  daemon: Daemon;
}

/**
 * Makes tests that need Docker, as {@linkcode dockerForTests} allows. The test file itself registers
 * them, so that they are told as its own.
 */
export async function dockerTests(
  what: string,
): Promise<
  (
    name: string,
    body: (docker: TestDocker, t: Deno.TestContext) => Promise<void>,
  ) => Deno.TestDefinition
> {
  const { skipped, open } = await dockerForTests(what);
  return (name, body) => ({
    name,
    ignore: skipped,
    // The daemon's client keeps connections open for its next request.
    sanitizeResources: false,
    sanitizeOps: false,
    fn: (t) => body(open(), t),
  });
}

/** Everything of ours on the daemon, and what nobody would own. */
export async function looseEnds({ docker, daemon }: TestDocker): Promise<string[]> {
  const [objects, volumes, images] = await Promise.all([
    findObjects(daemon),
    docker.listVolumes(),
    docker.listImages({ filters: { dangling: ["true"] } }),
  ]);
  return [
    ...objects.map(({ kind, id, owner }) => `${kind} ${id.slice(0, 12)} of pid ${owner.pid}`),
    ...volumes.Volumes.map(({ Name }) => `volume ${Name}`),
    ...images.map(({ Id }) => `dangling image ${Id}`),
  ].sort();
}
