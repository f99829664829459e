/**
 * The Docker images of a study, built from the Dockerfiles beside each service: on the public base
 * images, or on stand-ins bootstrapped from Debian's packages where no registry is reachable.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { type App, readApp } from "../apps/app.ts";
import { appFolders } from "../apps/folders.ts";
import { PoolscopeError, UsageError } from "../errors.ts";
import type { Server } from "../server_settings.ts";
import { ROOT, TOOLS } from "../store/layout.ts";
import { hashContext, readContext } from "../setup/build_context.ts";
import {
  BASE_ID_LABEL,
  BASE_LABEL,
  type Build,
  buildImage,
  buildLabels,
  type BuildOptions,
  CONTEXT_LABEL,
  findImage,
  isCurrent,
  readMessages,
  removeReplaced,
} from "../hosts/docker/build_image.ts";
import { daemonMessage, daemonStatus } from "../hosts/docker/client.ts";
import { readersEnvironment } from "../setup/environment.ts";
import { withLock } from "../setup/lock.ts";
import { ensureOfflineBases, ensureOfflinePostgres, OFFLINE_BASES } from "./offline_images.ts";

/** A base image that ours are built on: the build argument that names it, and the public one. */
export const BASES = {
  POSTGRES_IMAGE: "postgres:16",
  PYTHON_IMAGE: "python:3.13-slim",
  DEBIAN_IMAGE: "debian:13-slim",
} as const;

/** The name of a base image's build argument. */
export type Base = keyof typeof BASES;

export interface ImageDefinition {
  /** The folder that the build sees, from the checkout's root. */
  context: string;
  /** The Dockerfile, from there. */
  dockerfile: string;
  /** The files and folders of the context that are sent. */
  files: readonly string[];
  /** The base; null where the Dockerfile names its own. */
  base: Base | null;
  /** Build arguments beside the base. @default none */
  args?: Record<string, string>;
}

/**
 * The image of an app that has a Dockerfile: on one of our bases where it takes that as a build
 * argument.
 */
function appImage({ folder, dockerfile, context, contextFiles }: App): ImageDefinition {
  const seen = join(folder, context);
  const path = join(folder, dockerfile!);
  const text = readFileSync(path, "utf8");
  return {
    context: relative(ROOT, seen),
    dockerfile: relative(seen, path),
    files: contextFiles ?? readdirSync(seen),
    base: (/^ARG (PYTHON_IMAGE|DEBIAN_IMAGE)\b/m.exec(text)?.[1] ?? null) as Base | null,
  };
}

/**
 * The images of services by the names that they have in `compose/compose.yml`, and of apps.
 */
export function imagesOf(apps: readonly App[] = builtApps()): Record<string, ImageDefinition> {
  const built = apps.filter(({ dockerfile }) => dockerfile !== undefined);
  return {
    ...SERVICES,
    ...Object.fromEntries(built.map((app) => [app.name, appImage(app)])),
    locust: {
      context: "",
      dockerfile: "locust/Dockerfile",
      files: ["apps/contract.json", "locust"],
      base: "PYTHON_IMAGE",
    },
  };
}

/** The apps of a study that names none: those that are locked together, as compose/ has them. */
export function builtApps(): App[] {
  return appFolders().map(({ name }) => readApp(name))
    .filter(({ environment }) => environment === "shared");
}

const SERVICES: Record<Server, ImageDefinition> = {
  postgres: {
    context: "data",
    dockerfile: "Dockerfile",
    files: ["Dockerfile", "entrypoint.sh", "init.sh", "schema.sql", "seed.sql"],
    base: "POSTGRES_IMAGE",
  },
  pgbouncer: {
    context: "pgbouncer",
    dockerfile: "Dockerfile",
    files: ["Dockerfile", "entrypoint.sh", "pgbouncer.ini", "userlist.txt"],
    base: "DEBIAN_IMAGE",
  },
};

/** An image that is there. */
export interface BuiltImage {
  /** As in `poolscope/pgbouncer:latest`. */
  reference: string;
  /** Its content's digest, `sha256:…`, which is its id on this Docker. */
  id: string;
  /** What it was built on, as in `python:3.13-slim`; empty where its Dockerfile names that. */
  base: string;
  /** The base's content: its id, `sha256:…`. */
  baseId: string;
  /** Whether this call built it. */
  built: boolean;
}

/** Options of {@linkcode ensureImages}. */
export interface ImagesOptions extends BuildOptions {
  /**
   * `true`: on bases made here from Debian's packages; `false`: on the public ones.
   * @default {whatever the images that are there were built on; else the public ones}
   */
  offline?: boolean;
  /**
   * A file of certificates that pip trusts during the build.
   * @default {the one that the environment names}
   */
  caBundle?: string;
  /** The tag of the built images. @default {"latest"} */
  tag?: string;
  /** The apps whose images are wanted. @default {those of the checkout} */
  apps?: readonly App[];
}

/** Variables by which a machine's owner names its certificates, the most specific first. */
const CA_VARIABLES = [
  "PIP_CERT",
  "SSL_CERT_FILE",
  "REQUESTS_CA_BUNDLE",
  "CURL_CA_BUNDLE",
  "NODE_EXTRA_CA_CERTS",
];

/** The certificates that an environment names, or null. */
export function findCaBundle(env: Record<string, string>): string | null {
  return CA_VARIABLES.map((name) => env[name]).find((path) => path && existsSync(path)) ?? null;
}

function readCaBundle(
  path: string | null = findCaBundle(readersEnvironment()),
): Uint8Array | null {
  if (path === null) return null;
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`Cannot use --ca-bundle "${path}": it cannot be read (${code})`, {
      cause: error,
    });
  }
}

/**
 * Removes every image that was built or made here.
 *
 * @returns Their names.
 * @throws {PoolscopeError} If a container uses one.
 */
export async function removeImages(docker: Docker): Promise<string[]> {
  const labelled = await docker.listImages({ filters: { label: [CONTEXT_LABEL] } });
  // A stranger's image that was built on one of ours has its labels, too.
  const names = labelled.flatMap(({ RepoTags }) => RepoTags ?? [])
    .filter((name) => name.startsWith("poolscope/"));
  if (await findImage(docker, OFFLINE_BASES.DEBIAN_IMAGE) !== null) {
    names.push(OFFLINE_BASES.DEBIAN_IMAGE);
  }
  for (const name of names) {
    try {
      await docker.getImage(name).remove();
    } catch (error) {
      throw new PoolscopeError(`Cannot remove ${name}: ${daemonMessage(error)}`, { cause: error });
    }
  }
  await removeReplaced(docker);
  return names;
}

/** Pulls a base image unless it is there. */
async function ensureBase(
  docker: Docker,
  reference: string,
  { log, signal }: ImagesOptions,
): Promise<void> {
  if (await findImage(docker, reference) !== null) return;
  log?.(`Pulling ${reference}`);
  let failure: string | undefined;
  try {
    const stream = await docker.pull(reference, { abortSignal: signal });
    failure = (await readMessages(stream, signal))?.error;
  } catch (error) {
    signal?.throwIfAborted();
    failure = daemonMessage(error);
  }
  if (failure === undefined) return;
  const advice = /manifest unknown|not found/.test(failure)
    ? ""
    : "; without a registry, run: deno task images --offline";
  throw new PoolscopeError(`Cannot pull ${reference}: ${failure.trim()}${advice}`);
}

/** The base images to build on, by their build arguments. */
async function chooseBases(
  docker: Docker,
  offline: boolean | undefined,
): Promise<Record<Base, string>> {
  const chosen = Object.fromEntries(
    Object.entries(BASES).map(([name, image]) => [name, Deno.env.get(name) || image]),
  ) as Record<Base, string>;
  if (offline === false) return chosen;
  if (offline === true) return { ...OFFLINE_BASES };
  // Nothing is said: the stand-ins where they are and the public ones are not.
  for (const [name, image] of Object.entries(OFFLINE_BASES) as [Base, string][]) {
    if (Deno.env.get(name)) continue;
    if (await findImage(docker, chosen[name]) === null && await findImage(docker, image) !== null) {
      chosen[name] = image;
    }
  }
  return chosen;
}

/**
 * Builds what is missing or was built from other files; a second call finds everything.
 *
 * @returns The images by the names of their services.
 * @throws {PoolscopeError} If a base cannot be had or a build fails, in one line.
 */
export async function ensureImages(
  docker: Docker,
  options: ImagesOptions = {},
): Promise<Record<string, BuiltImage>> {
  return await building(options, () => buildMissing(docker, options));
}

/** Builds under the lock that all builds of the checkout take; what fails is one line. */
async function building<T>(options: ImagesOptions, build: () => Promise<T>): Promise<T> {
  const { signal, log } = options;
  readCaBundle(options.caBundle); // Whoever names a file that is not there hears it at once.
  try {
    return await withLock(join(TOOLS, "images.lock"), build, {
      signal,
      onWait: () => log?.("Waiting for another build of images"),
    });
  } catch (error) {
    signal?.throwIfAborted();
    const line = daemonMessage(error);
    if (daemonStatus(error) !== null) {
      throw new PoolscopeError(`Cannot build images: Docker refuses (${line})`, { cause: error });
    }
    const { syscall, code = "" } = error as NodeJS.ErrnoException;
    if (syscall === "connect" || ["ECONNRESET", "EPIPE"].includes(code)) {
      throw new PoolscopeError(
        `Cannot build images: Docker does not answer any more (${line}); see whether it still runs`,
        { cause: error },
      );
    }
    throw error;
  }
}

async function buildMissing(
  docker: Docker,
  options: ImagesOptions,
): Promise<Record<string, BuiltImage>> {
  await removeReplaced(docker);
  if (options.offline) await ensureOfflineBases(docker, options);
  const bases = await chooseBases(docker, options.offline);
  const failed = new AbortController();
  const signal = AbortSignal.any([failed.signal, ...(options.signal ? [options.signal] : [])]);
  const wanted = Object.entries(imagesOf(options.apps));
  const waiting = [...wanted];
  const built: Record<string, BuiltImage> = {};
  // Two at a time: one installs while the other downloads.
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [name, definition] = next;
      const base = definition.base === null ? null : bases[definition.base];
      built[name] = await ensureImage(docker, name, definition, base, { ...options, signal });
    }
  };
  const workers = [worker(), worker()];
  try {
    await Promise.all(workers);
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(workers);
    throw error;
  }
  const inOrder = Object.fromEntries(wanted.map(([name]) => [name, built[name]!]));
  // An app that comes as an image is only fetched.
  for (const { name, image, dockerfile } of options.apps ?? builtApps()) {
    if (image === undefined || dockerfile !== undefined) continue;
    await ensureBase(docker, image, options);
    const { id } = (await findImage(docker, image))!;
    inOrder[name] = { reference: image, id, base: image, baseId: id, built: false };
  }
  return inOrder;
}

/**
 * Builds the image of another version of a server: PostgreSQL's on the base of that version,
 * PgBouncer's from Debian's next release.
 *
 * @param name Its name, as in `postgres-17`.
 * @param beside What the image of the setup's version was built on.
 * @throws {PoolscopeError} If there is no base of that version, or the build fails.
 */
export async function ensureServerImage(
  docker: Docker,
  server: Server,
  name: string,
  version: string,
  beside: string,
  options: ImagesOptions,
): Promise<BuiltImage> {
  return await building(options, async () => {
    if (server === "pgbouncer") {
      const definition = { ...SERVICES.pgbouncer, args: { DEBIAN_SUITE: "testing" } };
      return await ensureImage(docker, name, definition, beside, options);
    }
    const base = beside === OFFLINE_BASES.POSTGRES_IMAGE
      ? await ensureOfflinePostgres(docker, version, options)
      : `${beside.replace(/:[^:/]*$/, "")}:${version}`;
    return await ensureImage(docker, name, SERVICES.postgres, base, options);
  });
}

async function ensureImage(
  docker: Docker,
  name: string,
  definition: ImageDefinition,
  base: string | null,
  options: ImagesOptions,
): Promise<BuiltImage> {
  const { offline, tag = "latest", log } = options;
  const reference = `poolscope/${name}:${tag}`;
  const files = readContext(join(ROOT, definition.context), definition.files);
  const hash = hashContext(files);
  const found = await findImage(docker, reference);
  if (found !== null) {
    const builtOn = found.labels[BASE_LABEL] ?? "";
    const fits = base === null || builtOn === base ||
      offline === undefined && !Deno.env.get(definition.base!);
    if (fits && await isCurrent(docker, found, hash, builtOn)) {
      const baseId = found.labels[BASE_ID_LABEL] ?? "";
      return { reference, id: found.id, base: builtOn, baseId, built: false };
    }
  }
  if (base !== null) await ensureBase(docker, base, options);
  const begun = performance.now();
  log?.(`Building ${reference}${base === null ? "" : ` on ${base}`}`);
  const build: Build = {
    name,
    reference,
    files,
    dockerfile: definition.dockerfile,
    args: { ...(base !== null && { [definition.base!]: base }), ...definition.args },
    labels: await buildLabels(docker, hash, base),
  };
  // A stage of this name installs from an index that a proxy may intercept.
  const dockerfile = readFileSync(join(ROOT, definition.context, definition.dockerfile), "utf8");
  if (/^FROM .* AS packages$/m.test(dockerfile)) {
    const content = readCaBundle(options.caBundle);
    if (content !== null) {
      build.files = [...files, { name: "ca-bundle.crt", content, executable: false, link: false }];
    }
    // The stage has a name of its own, else it would lie about without one; it is the cache of the
    // next build, too.
    const stage = { ...build, reference: `poolscope/build-cache:${name}`, target: "packages" };
    await buildImage(docker, stage, options);
  }
  await buildImage(docker, build, options);
  log?.(`Built ${reference} in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  const { id, labels } = (await findImage(docker, reference))!;
  return { reference, id, base: base ?? "", baseId: labels[BASE_ID_LABEL]!, built: true };
}
