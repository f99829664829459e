/**
 * Runs one command of a setup step: captures its output, passes lines on as they come, and turns a
 * failure into one line.
 *
 * @module
 */

import { PoolscopeError } from "../errors.ts";
import { toolEnvironment } from "./environment.ts";

/** Options of {@linkcode runCommand}. */
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
  /** What the command reads from standard input. @default {nothing} */
  input?: string;
  /** Runs as this user. @default {null} */
  user?: { uid: number; gid: number } | null;
}

/** What a command wrote; its exit status was 0. */
export interface CommandOutput {
  /** Standard output. */
  stdout: string;
  /** Standard error. */
  stderr: string;
}

/** How a command ended, whatever its exit status. */
export interface CommandResult extends CommandOutput {
  /** The exit status; 127 when the program is not there. */
  code: number;
}

async function readLines(
  stream: ReadableStream<Uint8Array>,
  onLine?: (line: string) => void,
): Promise<string> {
  let text = "";
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const chunk = decoder.decode(bytes, { stream: true });
    text += chunk;
    if (onLine === undefined) continue;
    const lines = (rest + chunk).split(/\r?\n|\r/);
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") onLine(line);
  }
  if (rest.trim() !== "") onLine?.(rest);
  return text;
}

/**
 * Runs a command to its end, whatever its exit status.
 *
 * @param argv The program and its arguments.
 * @param options Options for this call.
 * @throws The signal's reason if it was aborted.
 */
export async function tryCommand(
  argv: [string, ...string[]],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { cwd, env, signal, graceMs = 3000, onLine, input, user } = options;
  signal?.throwIfAborted();
  const [program, ...args] = argv;
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
      ...(user ? { uid: user.uid, gid: user.gid } : {}),
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
    const writer = child.stdin.getWriter();
    // A command that ends without reading all of it says why by its exit status.
    writer.write(new TextEncoder().encode(input)).then(() => writer.close()).catch(() => {});
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
    const [stdout, stderr, status] = await Promise.all([
      readLines(child.stdout, onLine),
      readLines(child.stderr, onLine),
      child.status,
    ]);
    signal?.throwIfAborted();
    return { code: status.code, stdout, stderr };
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
export function lastLine(result: { stdout: string; stderr: string }): string {
  const lines = `${result.stdout}\n${result.stderr}`
    .split(/\r?\n|\r/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const errors = lines.filter((line) => /^(error|fatal|e:)/i.test(line));
  return redact(errors.at(-1) ?? lines.at(-1) ?? "no output");
}

/**
 * Runs a command that must succeed.
 *
 * @param action What fails if it fails, as in `install the Python packages`.
 * @param argv The program and its arguments.
 * @param options Options for this call.
 * @throws {PoolscopeError} If its exit status is not 0; the message ends with the last line it wrote.
 *
 * @example
 * ```ts
 * import { runCommand } from "./command.ts";
 *
 * const { stdout } = await runCommand("ask Deno for its version", [Deno.execPath(), "--version"]);
 * console.assert(stdout.startsWith("deno "));
 * ```
 */
export async function runCommand(
  action: string,
  argv: [string, ...string[]],
  options: CommandOptions = {},
): Promise<CommandOutput> {
  const result = await tryCommand(argv, options);
  if (result.code !== 0) {
    throw new PoolscopeError(
      `Cannot ${action}: ${lastLine(result)} (exit status ${result.code})`,
    );
  }
  return result;
}

/** Finds all programs of a name on PATH, in the order in which a shell looks for them. */
export function allOnPath(name: string): string[] {
  const folders = (Deno.env.get("PATH") ?? "").split(":").filter((folder) => folder !== "");
  return folders.map((folder) => `${folder}/${name}`).filter((path) => {
    try {
      const info = Deno.statSync(path);
      return info.isFile && ((info.mode ?? 0) & 0o111) !== 0;
    } catch {
      return false; // Not in this folder.
    }
  });
}

/**
 * Finds a program on PATH.
 *
 * @returns Its path, or null.
 */
export function findOnPath(name: string): string | null {
  return allOnPath(name)[0] ?? null;
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
