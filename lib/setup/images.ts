/**
 * The Docker images of a study, built from the Dockerfiles beside each service: on the public base
 * images, or on stand-ins bootstrapped from Debian's packages where no registry is reachable.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { PoolscopeError, UsageError } from "../errors.ts";
import { ROOT, TOOLS } from "../store/layout.ts";
import { type ContextFile, hashContext, packContext, readContext } from "./build_context.ts";
import { withLock } from "./lock.ts";
import { ensureOfflineBases, OFFLINE_BASES } from "./offline_images.ts";

/** A base image that ours are built on: the build argument that names it, and the public one. */
export const BASES = {
  POSTGRES_IMAGE: "postgres:16",
  PYTHON_IMAGE: "python:3.13-slim",
  DEBIAN_IMAGE: "debian:13-slim",
} as const;

/** The name of a base image's build argument. */
export type Base = keyof typeof BASES;

/** How an image is built. */
export interface ImageDefinition {
  /** The folder that the build sees, from the checkout's root. */
  context: string;
  /** The Dockerfile, from there. */
  dockerfile: string;
  /** The files and folders of the context that are sent. */
  files: readonly string[];
  /** The base. */
  base: Base;
  /** Whether a stage named `packages` installs from an index that a proxy may intercept. */
  hasPackages: boolean;
}

function appImage(name: string): ImageDefinition {
  return {
    context: "apps",
    dockerfile: `${name}_app/Dockerfile`,
    files: ["entrypoint.sh", `${name}_app`],
    base: "PYTHON_IMAGE",
    hasPackages: true,
  };
}

/** The images by the names of their services in `compose/compose.yml`. */
export const IMAGES: Readonly<Record<string, ImageDefinition>> = {
  postgres: {
    context: "data",
    dockerfile: "Dockerfile",
    files: ["Dockerfile", "entrypoint.sh", "init.sh", "schema.sql", "seed.sql"],
    base: "POSTGRES_IMAGE",
    hasPackages: false,
  },
  pgbouncer: {
    context: "pgbouncer",
    dockerfile: "Dockerfile",
    files: ["Dockerfile", "entrypoint.sh", "pgbouncer.ini", "userlist.txt"],
    base: "DEBIAN_IMAGE",
    hasPackages: false,
  },
  fastapi: appImage("fastapi"),
  django: appImage("django"),
  flask: appImage("flask"),
  locust: {
    context: "",
    dockerfile: "locust/Dockerfile",
    files: ["apps/contract.json", "locust"],
    base: "PYTHON_IMAGE",
    hasPackages: true,
  },
};

/** An image that is there. */
export interface BuiltImage {
  /** As in `poolscope/flask:latest`. */
  reference: string;
  /** Its content's digest, `sha256:…`, which is its id on this Docker. */
  id: string;
  /** What it was built on, as in `python:3.13-slim`. */
  base: string;
  /** The base's content: its id, `sha256:…`. */
  baseId: string;
  /** Whether this call built it. */
  built: boolean;
}

/** Options of {@linkcode ensureImages}. */
export interface ImagesOptions {
  /**
   * `true`: on bases made here from Debian's packages; `false`: on the public ones.
   * @default {whatever the images that are there were built on; else the public ones}
   */
  offline?: boolean;
  /**
   * A file of certificates that pip trusts during the build; null for none.
   * @default {the one that the environment names}
   */
  caBundle?: string | null;
  /** The tag of the built images. @default {"latest"} */
  tag?: string;
  /** Called with each line of progress. */
  log?: (line: string) => void;
  /** Stops the build. */
  signal?: AbortSignal;
}

const LABEL = "org.poolscope.";
/** The label that holds the hash of an image's context. */
export const CONTEXT_LABEL = `${LABEL}context`;
/** The labels of an image's base: its name and its id. */
export const BASE_LABEL = `${LABEL}base`;
export const BASE_ID_LABEL = `${LABEL}base-id`;

/** Variables by which a machine's owner names its certificates, the most specific first. */
const CA_VARIABLES = [
  "PIP_CERT",
  "SSL_CERT_FILE",
  "REQUESTS_CA_BUNDLE",
  "CURL_CA_BUNDLE",
  "NODE_EXTRA_CA_CERTS",
];

/**
 * The certificates that this machine's environment names, or null.
 *
 * @param env The environment.
 */
export function findCaBundle(env: Record<string, string>): string | null {
  return CA_VARIABLES.map((name) => env[name]).find((path) => path && existsSync(path)) ?? null;
}

function readCaBundle(
  path: string | null = findCaBundle(Deno.env.toObject()),
): Uint8Array | null {
  if (path === null) return null;
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UsageError(
      `Cannot use --ca-bundle "${path}": it cannot be read (${
        (error as NodeJS.ErrnoException).code
      })`,
    );
  }
}

/** An image of this Docker. */
export interface FoundImage {
  /** `sha256:…` */
  id: string;
  /** Its labels. */
  labels: Record<string, string>;
}

/** Looks an image up. */
export async function findImage(docker: Docker, reference: string): Promise<FoundImage | null> {
  try {
    const image = await docker.getImage(reference).inspect();
    return { id: image.Id, labels: image.Config.Labels ?? {} };
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return null;
    throw error;
  }
}

/** What a build is given. */
export interface Build {
  /** What it is called in messages. */
  name: string;
  /** The files of its context. */
  files: readonly ContextFile[];
  /** The Dockerfile among them. */
  dockerfile: string;
  /** The built image's name. */
  reference: string;
  /** Build arguments. */
  args?: Record<string, string>;
  /** Labels of the image. */
  labels?: Record<string, string>;
  /** The stage to stop at. @default {the last one} */
  target?: string;
}

/** A line of a build's output. */
interface BuildMessage {
  stream?: string;
  error?: string;
  /** `code` is the exit status of a command. */
  errorDetail?: { code?: number };
}

/**
 * Builds one image.
 *
 * @throws {PoolscopeError} If a step fails; the message names the step and ends with its last lines.
 */
export async function buildImage(
  docker: Docker,
  build: Build,
  { log, signal }: Pick<ImagesOptions, "log" | "signal"> = {},
): Promise<void> {
  signal?.throwIfAborted();
  const before = await findImage(docker, build.reference);
  // Typed for streams only, which the client would send in pieces.
  const context = Buffer.from(await packContext(build.files)) as unknown as NodeJS.ReadableStream;
  const stream = await docker.buildImage(context, {
    t: build.reference,
    dockerfile: build.dockerfile,
    buildargs: { ...build.args, ...proxyArguments() },
    labels: build.labels ?? {},
    target: build.target ?? "",
    rm: true,
    forcerm: true,
    abortSignal: signal,
  });
  let step = "its first step";
  let layer = "";
  const lines: string[] = [];
  let failure: string | null = null;
  try {
    await eachMessage(stream, (message: BuildMessage) => {
      if (message.error !== undefined) {
        const code = message.errorDetail?.code;
        failure = code ? `exit status ${code}` : message.error.trim().split("\n")[0]!;
      }
      for (const line of (message.stream ?? "").split(/\r?\n|\r/)) {
        const text = stripVTControlCharacters(line).trim();
        const started = /^Step (\d+\/\d+) : (.*)$/.exec(text);
        const made = /^---> ([0-9a-f]{12})$/.exec(text);
        if (started !== null) {
          step = `step ${started[1]} (${shorten(started[2]!)})`;
          lines.length = 0;
          log?.(`${build.name} ${started[1]}: ${shorten(started[2]!)}`);
        } else if (made !== null) layer = made[1]!;
        else if (text !== "" && !/^--->|^Removing intermediate/.test(text)) lines.push(text);
      }
    }, signal);
  } catch (error) {
    await removeUnnamed(docker, layer);
    throw error;
  }
  if (failure !== null) {
    await removeUnnamed(docker, layer);
    const said = lines.slice(-3).join(" / ");
    throw new PoolscopeError(
      `Cannot build the image ${build.name}: ${step} failed: ${
        said === "" ? failure : `${said} (${failure})`
      }`,
    );
  }
  if (before !== null) await removeUnnamed(docker, before.id);
}

/** Removes an image that has no name and that nothing uses; any other stays. */
async function removeUnnamed(docker: Docker, id: string): Promise<void> {
  try {
    const image = docker.getImage(id);
    if ((await image.inspect()).RepoTags?.length === 0) await image.remove();
  } catch {
    // It is gone, or a container or another image still uses it.
  }
}

/** Removes what an earlier build replaced while a container still used it. */
async function removeReplaced(docker: Docker): Promise<void> {
  const filters = { dangling: ["true"], label: [CONTEXT_LABEL] };
  for (const { Id } of await docker.listImages({ filters })) await removeUnnamed(docker, Id);
}

/**
 * Removes every image that was built or made here.
 *
 * @returns Their names.
 * @throws {PoolscopeError} If a container uses one.
 */
export async function removeImages(docker: Docker): Promise<string[]> {
  const labelled = await docker.listImages({ filters: { label: [CONTEXT_LABEL] } });
  const names = labelled.flatMap(({ RepoTags }) => RepoTags ?? []);
  if (await findImage(docker, OFFLINE_BASES.DEBIAN_IMAGE) !== null) {
    names.push(OFFLINE_BASES.DEBIAN_IMAGE);
  }
  for (const name of names) {
    try {
      await docker.getImage(name).remove();
    } catch (error) {
      const { json } = error as { json?: { message?: string } };
      throw new PoolscopeError(
        `Cannot remove ${name}: ${json?.message ?? (error as Error).message}`,
      );
    }
  }
  await removeReplaced(docker);
  return names;
}

function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}

/** The proxies of this machine; Docker keeps these arguments out of the image's history. */
function proxyArguments(): Record<string, string> {
  return Object.fromEntries(
    ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]
      .flatMap((name) => [name, name.toLowerCase()])
      .map((name) => [name, Deno.env.get(name)])
      .filter((entry): entry is [string, string] => Boolean(entry[1])),
  );
}

/** Reads the JSON lines that Docker sends while it works; ends with the stream. */
export async function eachMessage<T>(
  stream: NodeJS.ReadableStream,
  receive: (message: T) => void,
  signal?: AbortSignal,
): Promise<void> {
  let rest = "";
  const decoder = new TextDecoder();
  try {
    for await (const chunk of stream) {
      rest += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
      const lines = rest.split("\n");
      rest = lines.pop()!;
      for (const line of lines) if (line.trim() !== "") receive(JSON.parse(line));
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
  if (rest.trim() !== "") receive(JSON.parse(rest));
}

/** Pulls a base image unless it is there. */
async function ensureBase(
  docker: Docker,
  reference: string,
  { log, signal }: ImagesOptions,
): Promise<void> {
  if (await findImage(docker, reference) !== null) return;
  log?.(`Pulling ${reference}`);
  let failure: string | null = null;
  try {
    const stream = await docker.pull(reference, { abortSignal: signal });
    await eachMessage(stream, ({ error }: BuildMessage) => failure = error ?? failure, signal);
  } catch (error) {
    signal?.throwIfAborted();
    failure = (error as Error).message;
  }
  if (failure !== null) {
    const reason = String(failure).replace(/^\(HTTP code \d+\) (server error|unexpected) - /, "");
    throw new PoolscopeError(
      `Cannot pull ${reference}: ${reason.trim()}; without a registry, run: deno task images --offline`,
    );
  }
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
    if (await findImage(docker, chosen[name]) === null && await findImage(docker, image) !== null) {
      chosen[name] = image;
    }
  }
  return chosen;
}

/**
 * Builds what is missing or was built from other files; a second call finds everything.
 *
 * @param docker The connection to Docker.
 * @param options Options for this call.
 * @returns The images by the names of their services.
 * @throws {PoolscopeError} If a base cannot be had or a build fails, in one line.
 */
export async function ensureImages(
  docker: Docker,
  options: ImagesOptions = {},
): Promise<Record<string, BuiltImage>> {
  const { signal, log } = options;
  readCaBundle(options.caBundle); // Whoever names a file that is not there hears it at once.
  try {
    return await withLock(join(TOOLS, "images.lock"), () => buildMissing(docker, options), {
      ...{ signal, onWait: () => log?.("Waiting for another build of images") },
    });
  } catch (error) {
    signal?.throwIfAborted();
    const { statusCode, syscall, code, json, message } = error as DockerError;
    const line = (json?.message ?? message).trim().split("\n")[0];
    if (statusCode !== undefined) {
      throw new PoolscopeError(`Cannot build images: Docker refuses (${line})`);
    }
    if (syscall === "connect" || ["ECONNRESET", "EPIPE"].includes(code ?? "")) {
      throw new PoolscopeError(
        `Cannot build images: Docker does not answer any more (${line}); see whether it still runs`,
      );
    }
    throw error;
  }
}

/** What the client of Docker throws. */
interface DockerError extends Error {
  /** The status of an answer. */
  statusCode?: number;
  json?: { message?: string };
  /** Of a connection that failed. */
  syscall?: string;
  code?: string;
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
  const waiting = Object.entries(IMAGES);
  const built: [string, BuiltImage][] = [];
  // Two at a time: one installs while the other downloads.
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [name, definition] = next;
      const base = bases[definition.base];
      const image = await ensureImage(docker, name, definition, base, { ...options, signal });
      built.push([name, image]);
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
  return Object.fromEntries(
    Object.keys(IMAGES).map((name) => [name, Object.fromEntries(built)[name]!]),
  );
}

/** The labels by which {@linkcode isCurrent} tells what an image was built from. */
export async function buildLabels(
  docker: Docker,
  hash: string,
  base: string,
): Promise<Record<string, string>> {
  const id = (await findImage(docker, base))?.id ?? "";
  return { [CONTEXT_LABEL]: hash, [BASE_LABEL]: base, [BASE_ID_LABEL]: id };
}

/** Whether an image was built from this context, and on the base of that name as it is now. */
export async function isCurrent(
  docker: Docker,
  image: FoundImage,
  hash: string,
  base: string,
): Promise<boolean> {
  if (image.labels[CONTEXT_LABEL] !== hash) return false;
  const found = await findImage(docker, base);
  return found === null || found.id === image.labels[BASE_ID_LABEL];
}

async function ensureImage(
  docker: Docker,
  name: string,
  definition: ImageDefinition,
  base: string,
  options: ImagesOptions,
): Promise<BuiltImage> {
  const { offline, tag = "latest", log } = options;
  const reference = `poolscope/${name}:${tag}`;
  const files = readContext(join(ROOT, definition.context), definition.files);
  const hash = hashContext(files);
  const found = await findImage(docker, reference);
  if (found !== null) {
    const builtOn = found.labels[BASE_LABEL] ?? "";
    const fits = offline === undefined && !Deno.env.get(definition.base) || builtOn === base;
    if (fits && await isCurrent(docker, found, hash, builtOn)) {
      const baseId = found.labels[BASE_ID_LABEL] ?? "";
      return { reference, id: found.id, base: builtOn, baseId, built: false };
    }
  }
  await ensureBase(docker, base, options);
  const begun = performance.now();
  log?.(`Building ${reference} on ${base}`);
  const build: Build = {
    ...{ name, reference, files, dockerfile: definition.dockerfile },
    args: { [definition.base]: base },
    labels: await buildLabels(docker, hash, base),
  };
  if (definition.hasPackages) {
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
  return { reference, id, base, baseId: labels[BASE_ID_LABEL]!, built: true };
}
