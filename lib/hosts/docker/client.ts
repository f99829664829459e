/** The connection to a Docker daemon, by npm's dockerode, and what it says when it refuses. */

// @ts-types="@types/dockerode"
import Docker from "dockerode";
import { withoutVariables } from "../../setup/environment.ts";
import { connectionOptions, type Daemon } from "./daemon.ts";

/** Opens a connection to this daemon, whatever `DOCKER_HOST` names. */
export function openDocker(host: Daemon): Docker {
  return withoutVariables("DOCKER_", () => new Docker(connectionOptions(host)));
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
