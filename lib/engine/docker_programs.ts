/**
 * Programs in images that are run once and to their end: what version they are, and what they say of
 * settings.
 *
 * @module
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PoolscopeError } from "../errors.ts";
import type { BuiltImage } from "../setup/images.ts";
import type { Server } from "../server_settings.ts";
import { TOOLS } from "../store/layout.ts";
import type { Owned } from "./cleanup.ts";
import { type CreateBody, toolBody } from "./containers.ts";
import type { Container } from "./container.ts";
import type { ServerPrograms } from "./server_programs.ts";
import { directDependencies } from "./versions.ts";

/**
 * Runs a program of a service's image as root, in a container of its own.
 *
 * @param env Its environment beside the image's own. @default nothing
 * @returns Whether it succeeded, and the last lines that it wrote.
 */
export type RunOnce = (
  service: string,
  argv: string[],
  env?: Record<string, string>,
) => Promise<{ ok: boolean; output: string }>;

/** As many lines as a program's list of names may have. */
const LINES = 1000;

/** A {@linkcode RunOnce} of an engine's containers. */
export function onceRunner({ make, remove, images, owned }: {
  make(service: string, options: { body: CreateBody; logFile: string }): Container;
  remove(container: Container): Promise<void>;
  images: Record<string, BuiltImage>;
  owned: Owned;
}): RunOnce {
  return async (service, argv, env = {}) => {
    const name = `${service}-${crypto.randomUUID().slice(0, 8)}`;
    const body = toolBody(images[service]!.id, argv, env);
    const logFile = owned.scratchFile(`${name}.log`);
    const container = make(name, { body, logFile });
    try {
      await container.create();
      await container.start();
      const { code } = await container.exited;
      return { ok: code === 0, output: container.logTail(LINES) };
    } finally {
      await remove(container);
      container.removeLog();
    }
  };
}

/** Starts PgBouncer as the user of the image's own entrypoint, and prints `SHOW CONFIG`. */
const PGBOUNCER_PROBE = `printf '%s' "$PROBE_INI" >/tmp/probe.ini
setpriv --reuid=postgres --regid=postgres --init-groups -- pgbouncer /tmp/probe.ini &
tries=100
while kill -0 $! 2>/dev/null && [ $tries -gt 0 ]; do
  psql -h /tmp -p 6432 -U poolscope -d pgbouncer -Atc 'show config' 2>/dev/null && exit 0
  tries=$((tries - 1))
  sleep 0.1
done
exit 1
`;

/** What that PgBouncer is reached by: a socket file in its container, which no other one sees. */
const PROBE_INI = `[pgbouncer]
listen_addr =
unix_socket_dir = /tmp
auth_type = any
`;

/** The programs in these images. */
export function dockerPrograms(
  runOnce: RunOnce,
  images: Record<Server, string>,
  versions: Record<Server, string>,
): ServerPrograms {
  return {
    versions,
    postgres: (args) => runOnce(images.postgres, ["postgres", ...args]),
    async postgresNames() {
      const script = "postgres --describe-config | cut -f1";
      return (await runOnce(images.postgres, ["sh", "-c", script])).output.split("\n");
    },
    async pgbouncer(lines) {
      const env = { PROBE_INI: PROBE_INI + lines };
      const { ok, output } = await runOnce(images.pgbouncer, ["sh", "-c", PGBOUNCER_PROBE], env);
      const names = output.split("\n").flatMap((line) => /^([a-z_]+)\|/.exec(line)?.[1] ?? []);
      return ok && names.length > 0 ? { names } : { output };
    },
  };
}

/** Prints the versions of Python and of all packages. */
const PYTHON_VERSIONS = "import importlib.metadata as m, json, platform; " +
  "print(json.dumps({'python': platform.python_version(), " +
  "**{d.metadata['Name'].lower().replace('_', '-').replace('.', '-'): d.version " +
  "for d in m.distributions()}}))";

async function ask(runOnce: RunOnce, service: string, argv: string[]): Promise<string> {
  const { ok, output } = await runOnce(service, argv);
  if (ok) return output;
  throw new PoolscopeError(
    `Cannot read the versions in the image of ${service}: ${output.split("\n").at(-1)}`,
  );
}

/** The version of a server in an image. */
export async function readServerVersion(
  runOnce: RunOnce,
  image: string,
  server: Server,
): Promise<string> {
  const text = await ask(runOnce, image, [server, "--version"]);
  return /(\d+\.\d+(\.\d+)*)/.exec(text)?.[1] ?? "unknown";
}

/** What is inside images, by their ids: an image never changes. */
const VERSIONS_FILE = join(TOOLS, "image-versions.json");

/**
 * The versions of what runs in the images.
 *
 * @param sharing The apps whose packages are locked together.
 * @throws {PoolscopeError} If the apps' Pythons differ.
 */
export async function readImageVersions(
  runOnce: RunOnce,
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
    if (service === "postgres" || service === "pgbouncer") {
      return { [service]: await readServerVersion(runOnce, service, service) };
    }
    const found: Record<string, string> = JSON.parse(
      await ask(runOnce, service, ["python", "-c", PYTHON_VERSIONS]),
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
  const current = Object.fromEntries(
    services.map((service) => [images[service]!.id, known[images[service]!.id]]),
  );
  writeFileSync(VERSIONS_FILE, JSON.stringify(current, null, 2));
  const pythons = new Set(versions.map(({ python }) => python).filter(Boolean));
  if (pythons.size > 1) {
    throw new PoolscopeError(
      `Cannot compare the apps: their images have Python ${
        [...pythons].join(" and ")
      }; build them on one base by deno task images`,
    );
  }
  const { python, postgres, pgbouncer, ...packages } = Object.assign({}, ...versions);
  return {
    deno: Deno.version.deno,
    python,
    postgres,
    pgbouncer,
    ...Object.fromEntries(Object.entries(packages as Record<string, string>).sort()),
  };
}
