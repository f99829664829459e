/**
 * The connection to a Docker daemon, by npm's dockerode.
 *
 * @module
 */

// @ts-types="@types/dockerode"
import Docker from "dockerode";
import { withoutVariables } from "../setup/environment.ts";
import { connectionOptions, type DockerHost } from "./docker_host.ts";

/** Opens a connection to this daemon, whatever `DOCKER_HOST` names. */
export function openDocker(host: DockerHost): Docker {
  return withoutVariables("DOCKER_", () => new Docker(connectionOptions(host)));
}
