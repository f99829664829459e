/**
 * Builds one Docker image by the engine's own builder, and tells whether an image is still the one
 * that its files would give.
 */

import { Buffer } from "node:buffer";
import { stripVTControlCharacters } from "node:util";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { PoolscopeError } from "../../errors.ts";
import { type ContextFile, packContext } from "../../setup/build_context.ts";
import { daemonStatus } from "./client.ts";

/** Labels of an image: the hash of its context, and its base's name and id. */
export const CONTEXT_LABEL = "org.poolscope.context";
export const BASE_LABEL = "org.poolscope.base";
export const BASE_ID_LABEL = "org.poolscope.base-id";

/** An image of this Docker. */
type FoundImage = NonNullable<Awaited<ReturnType<typeof findImage>>>;

/** Looks an image up; its id is its digest, `sha256:…`. */
export async function findImage(docker: Docker, reference: string) {
  try {
    const { Id, Config } = await docker.getImage(reference).inspect();
    const labels: Record<string, string> = Config.Labels ?? {};
    return { id: Id, labels };
  } catch (error) {
    if (daemonStatus(error) === 404) return null;
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
  reference: string;
  args?: Record<string, string>;
  labels?: Record<string, string>;
  /** The stage to stop at. @default {the last one} */
  target?: string;
}

/** Options of {@linkcode buildImage}. */
export interface BuildOptions {
  /** Called with each line of progress. */
  log?: (line: string) => void;
  signal?: AbortSignal;
}

/** A line of what Docker says while it builds or pulls. */
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
  try {
    const failed = await readMessages(stream, signal, (message) => {
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
    });
    if (failed !== null) {
      const code = failed.errorDetail?.code;
      const failure = code ? `exit status ${code}` : failed.error!.trim().split("\n")[0]!;
      const said = lines.slice(-3).join(" / ");
      const why = said === "" ? failure : `${said} (${failure})`;
      throw new PoolscopeError(`Cannot build the image ${build.name}: ${step} failed: ${why}`);
    }
  } catch (error) {
    await removeUnnamed(docker, layer);
    throw error;
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

/**
 * Reads the JSON lines that Docker sends while it works; ends with the stream.
 *
 * @returns The last one of an error, or null.
 */
export async function readMessages(
  stream: NodeJS.ReadableStream,
  signal: AbortSignal | undefined,
  receive: (message: BuildMessage) => void = () => {},
): Promise<BuildMessage | null> {
  let rest = "";
  let failed: BuildMessage | null = null;
  const take = (line: string) => {
    if (line.trim() === "") return;
    const message: BuildMessage = JSON.parse(line);
    if (message.error !== undefined) failed = message;
    receive(message);
  };
  const decoder = new TextDecoder();
  try {
    for await (const chunk of stream) {
      rest += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
      const lines = rest.split("\n");
      rest = lines.pop()!;
      lines.forEach(take);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
  take(rest);
  return failed;
}
