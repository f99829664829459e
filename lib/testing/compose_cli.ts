/** Docker Compose itself, unpacked from Debian 13's package: it runs by itself, as a plugin would. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { socketPath } from "../hosts/docker/daemon.ts";
import type { Daemon } from "../hosts/docker/daemon.ts";
import { type CommandResult, tryCommand } from "../setup/command.ts";
import { unpackDebian } from "../setup/debian.ts";
import { withLock } from "../setup/lock.ts";
import { ROOT, TOOLS } from "../store/layout.ts";

/** Finds Compose, or unpacks it into `.poolscope/`. */
export async function ensureComposeCli(): Promise<string> {
  const program = join(TOOLS, "docker-compose");
  await withLock(join(TOOLS, "docker-compose.lock"), async () => {
    if (existsSync(program)) return;
    const work = await Deno.makeTempDir({ dir: TOOLS, prefix: "docker-compose.partial-" });
    try {
      const folder = await unpackDebian(["docker-compose"], work, {
        refuse: (what) => new Error(`Cannot set up Docker Compose: ${what}`),
        what: "Docker Compose",
      });
      Deno.renameSync(join(folder, "usr/libexec/docker/cli-plugins/docker-compose"), program);
    } finally {
      await Deno.remove(work, { recursive: true });
    }
  });
  return program;
}

/** A project of our compose files, under a name of its own. */
export class ComposeProject {
  constructor(
    private readonly program: string,
    private readonly host: Daemon,
    readonly name: string,
    private readonly env: Record<string, string>,
  ) {}

  /** Runs Compose on the direct path's file, or on the pooled path's two, whatever its status. */
  try(path: "direct" | "pooled", ...args: string[]): Promise<CommandResult> {
    const files = ["compose.yml", ...(path === "pooled" ? ["compose.pooled.yml"] : [])];
    return tryCommand([
      this.program,
      "--project-name",
      this.name,
      ...files.flatMap((file) => ["-f", `compose/${file}`]),
      ...args,
    ], {
      cwd: ROOT,
      env: {
        ...this.env,
        DOCKER_HOST: this.host.url,
        DOCKER_CERT_PATH: socketPath(this.host) === null ? this.host.certificates ?? "" : "",
        DOCKER_TLS_VERIFY: this.host.certificates !== null && this.host.verify ? "1" : "",
      },
    });
  }

  /** The same, which must succeed. */
  async run(path: "direct" | "pooled", ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.try(path, ...args);
    if (code !== 0) {
      const said = (stderr || stdout).trim().split("\n").slice(-8).join("\n");
      throw new Error(`docker compose ${args.join(" ")} ended with ${code}:\n${said}`);
    }
    return stdout;
  }
}
