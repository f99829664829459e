/** Runs one command of a setup step: captures its output, and turns a failure into one line. */

import { statSync } from "node:fs";
import { PoolscopeError } from "../errors.ts";
import { toolEnvironment } from "./environment.ts";
import type { ServiceUser } from "./user.ts";

export type Argv = [program: string, ...args: string[]];

export interface StepOptions {
  log?: (line: string) => void;
  signal?: AbortSignal;
}

export interface CommandOptions {
  /** The working folder. @default {the current one} */
  cwd?: string;
  /** Environment variables to add to {@linkcode toolEnvironment}; `undefined` removes one. */
  env?: Record<string, string | undefined>;
  /** Stops the command: SIGTERM, and SIGKILL when it has had time to clean up. */
  signal?: AbortSignal;
  /** How long it has to clean up. @default {3000} */
  graceMs?: number;
  /** Called with each line of standard output and standard error. */
  onLine?: (line: string) => void;
  /** Text for its standard input. @default {nothing} */
  input?: string;
  user?: Pick<ServiceUser, "uid" | "gid"> | null;
}

export interface CommandResult {
  /** The exit status; 127 when the program is not there. */
  code: number;
  stdout: string;
  stderr: string;
}

async function readLines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  onLine: (line: string) => void,
): Promise<string> {
  let text = "";
  let rest = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const lines = (rest + chunk).split(/\r?\n|\r/);
    rest = lines.pop()!;
    for (const line of lines) if (line.trim() !== "") onLine(line);
  }
  if (rest.trim() !== "") onLine(rest);
  return text;
}

/** Runs a command to its end, whatever its exit status; throws an aborted signal's reason. */
export async function tryCommand(
  [program, ...args]: Argv,
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { cwd, env, signal, graceMs = 3000, onLine = () => {}, input, user } = options;
  signal?.throwIfAborted();
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args,
      cwd,
      clearEnv: true,
      env: toolEnvironment(env),
      stdin: input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      uid: user?.uid,
      gid: user?.gid,
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return { code: 127, stdout: "", stderr: `${program} is not there` };
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      return { code: 126, stdout: "", stderr: `${program} may not be executed` };
    }
    throw error;
  }
  if (input !== undefined) {
    // A command that ends without reading all of it says why by its exit status.
    new Blob([input]).stream().pipeTo(child.stdin).catch(() => {});
  }
  let killTimer: ReturnType<typeof setTimeout> | undefined;
  const kill = (name: Deno.Signal) => {
    try {
      child.kill(name);
    } catch {
      // It has ended by itself.
    }
  };
  const stop = () => {
    kill("SIGTERM");
    killTimer = setTimeout(() => kill("SIGKILL"), graceMs);
  };
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const [stdout, stderr, { code }] = await Promise.all([
      readLines(child.stdout, onLine),
      readLines(child.stderr, onLine),
      child.status,
    ]);
    signal?.throwIfAborted();
    return { code, stdout, stderr };
  } finally {
    signal?.removeEventListener("abort", stop);
    clearTimeout(killTimer);
  }
}

/** Takes user names and passwords out of the addresses in a text. */
export function redact(text: string): string {
  return text.replace(/(\w:\/\/)[^\s/@]+@/g, "$1***@");
}

/** The line of a failed command's output that says most: its last error, else its last line. */
export function lastLine({ stdout, stderr }: Omit<CommandResult, "code">): string {
  const lines = `${stdout}\n${stderr}`.split(/[\r\n]+/).map((line) => line.trim()).filter(Boolean);
  const error = lines.findLast((line) => /^(error|fatal|e:)/i.test(line));
  return redact(error ?? lines.at(-1) ?? "no output");
}

/**
 * Runs a command that must succeed; the error ends with the last line that it wrote.
 *
 * @param action The action that fails with it, as in `install the Python packages`.
 */
export async function runCommand(
  action: string,
  argv: Argv,
  options: CommandOptions = {},
): Promise<CommandResult> {
  const result = await tryCommand(argv, options);
  if (result.code === 0) return result;
  throw new PoolscopeError(`Cannot ${action}: ${lastLine(result)} (exit status ${result.code})`);
}

/** Finds all programs of a name on PATH, in the order in which a shell looks for them. */
export function allOnPath(name: string): string[] {
  const folders = (Deno.env.get("PATH") ?? "").split(":").filter(Boolean);
  return folders.map((folder) => `${folder}/${name}`).filter((path) => {
    try {
      const info = statSync(path);
      return info.isFile() && (info.mode & 0o111) !== 0;
    } catch {
      return false; // Not in this folder.
    }
  });
}

/** Finds a program on PATH; null where there is none. */
export function findOnPath(name: string): string | null {
  return allOnPath(name)[0] ?? null;
}

/** Asks a program for its version by `--version`. Gives why there is none where there is none. */
export async function askVersion(
  argv: Argv,
  parse: (text: string) => string | null,
  user: ServiceUser | null,
): Promise<{ version: string } | { problem: string }> {
  const result = await tryCommand([...argv, "--version"], { user, cwd: "/" });
  const version = parse(result.stdout + result.stderr);
  return result.code === 0 && version !== null ? { version } : { problem: lastLine(result) };
}

/**
 * Whether a version is the one that is asked for, which may leave its end away.
 *
 * @example
 * ```ts
 * import { isVersion } from "./command.ts";
 *
 * console.assert(isVersion("1.26.1", "1.26") && !isVersion("1.2", "1.26") && isVersion("17.1", null));
 * ```
 */
export function isVersion(version: string, asked: string | null): boolean {
  return asked === null || version === asked || version.startsWith(`${asked}.`);
}
