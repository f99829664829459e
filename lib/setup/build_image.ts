/**
 * Builds one Docker image by the engine's own builder, and tells whether an image is still the one
 * that its files would give.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { stripVTControlCharacters } from "node:util";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { PoolscopeError } from "../errors.ts";
import { type ContextFile, packContext } from "./build_context.ts";

const LABEL = "org.poolscope.";
/** The label that holds the hash of an image's context. */
export const CONTEXT_LABEL = `${LABEL}context`;
/** The labels of an image's base: its name and its id. */
export const BASE_LABEL = `${LABEL}base`;
export const BASE_ID_LABEL = `${LABEL}base-id`;

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

/** The labels by which {@linkcode isCurrent} tells what an image was built from; null is no base of ours. */
export async function buildLabels(
  docker: Docker,
  hash: string,
  base: string | null,
): Promise<Record<string, string>> {
  const id = base === null ? "" : (await findImage(docker, base))?.id ?? "";
  return { [CONTEXT_LABEL]: hash, [BASE_LABEL]: base ?? "", [BASE_ID_LABEL]: id };
}

/** Whether an image was built from this context, and on the base of that name as it is now. */
export async function isCurrent(
  docker: Docker,
  image: FoundImage,
  hash: string,
  base: string,
): Promise<boolean> {
  if (image.labels[CONTEXT_LABEL] !== hash) return false;
  if (base === "") return true;
  const found = await findImage(docker, base);
  return found === null || found.id === image.labels[BASE_ID_LABEL];
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

/** Options of {@linkcode buildImage}. */
export interface BuildOptions {
  /** Called with each line of progress. */
  log?: (line: string) => void;
  /** Stops the build. */
  signal?: AbortSignal;
}

/** A line of what Docker says while it builds or pulls. */
export interface BuildMessage {
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
  { log, signal }: BuildOptions = {},
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

/** Seconds after which no build can be at work any more. */
const BUILD_TIMEOUT_S = 3600;

/**
 * Removes what an earlier build replaced while a container still used it. Younger ones may be the
 * layers of a build that another checkout has under way.
 */
export async function removeReplaced(docker: Docker): Promise<void> {
  const filters = { dangling: ["true"], label: [CONTEXT_LABEL] };
  for (const { Id, Created } of await docker.listImages({ filters })) {
    if (Date.now() / 1000 - Created > BUILD_TIMEOUT_S) await removeUnnamed(docker, Id);
  }
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
