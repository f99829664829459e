/** What the generator's benchmarks share: a server on one core, and Locust on another. */

import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { PoolscopeError } from "../errors.ts";
import { explainExit, type LoadOptions, locustCommand, LOCUSTFILE } from "../load/locust.ts";
import { toolEnvironment } from "../setup/environment.ts";
import { ensurePython } from "../setup/python.ts";
import { ROOT } from "../store/layout.ts";

/** The core of the programs that are measured, and that of the server. */
export const [CLIENT_CORE, SERVER_CORE] = [0, 1];

const HERE = join(ROOT, "lib", "bench");

/** The path of a Python program of the benchmarks. */
export function script(name: string): string {
  return join(HERE, name);
}

/**
 * The Python with Locust.
 *
 * @throws {PoolscopeError} If the machine has a single core.
 */
export async function benchPython(signal: AbortSignal): Promise<string> {
  if (availableParallelism() < 2) {
    throw new PoolscopeError(
      "Cannot measure the generator: this machine has one core; it takes two, one for the server",
    );
  }
  return (await ensurePython({ parts: ["locust"], signal })).python;
}

/** The command that runs a program on one core. */
export function pinned(
  python: string,
  core: number,
  argv: string[],
  realtime: boolean = false,
): string[] {
  return [python, script("pin.py"), String(core), ...(realtime ? ["--realtime"] : []), ...argv];
}

/** A program that runs on a core beside those that are measured, until its input ends. */
export class Companion implements AsyncDisposable {
  #stdin: WritableStream<Uint8Array>;
  #output: Promise<Deno.CommandOutput>;
  #closed: Promise<void> | null = null;

  /**
   * Starts it.
   *
   * @param core @default {the clients'}
   */
  constructor(
    python: string,
    name: "keep_awake.py" | "watch_core.py" | "watch_speed.py",
    core: number = CLIENT_CORE,
  ) {
    const child = new Deno.Command(python, {
      args: [script(name), String(core)],
      clearEnv: true,
      env: toolEnvironment(),
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#stdin = child.stdin;
    this.#output = child.output();
  }

  /** Ends it. @returns What it has printed. */
  async stop(): Promise<string> {
    this.#closed ??= this.#stdin.close().catch(() => {}); // it may have ended by itself
    await this.#closed;
    return new TextDecoder().decode((await this.#output).stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** A server of the benchmarks, on its core. */
export class BenchServer implements AsyncDisposable {
  #child: Deno.ChildProcess;
  #lines: AsyncIterator<string>;
  /** Where it answers. */
  readonly url: string;

  private constructor(child: Deno.ChildProcess, lines: AsyncIterator<string>, port: string) {
    this.#child = child;
    this.#lines = lines;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Starts one; it answers when this resolves. */
  static async start(python: string, name: string, args: string[] = []): Promise<BenchServer> {
    const argv = pinned(python, SERVER_CORE, [python, script(name), ...args]);
    const child = new Deno.Command(argv[0]!, {
      args: argv.slice(1),
      clearEnv: true,
      env: toolEnvironment(),
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const lines = readLines(child.stdout)[Symbol.asyncIterator]();
    const { value } = await lines.next();
    if (value === undefined) throw new PoolscopeError(`Cannot start ${name}: it ended at once`);
    return new BenchServer(child, lines, value);
  }

  /** Ends it. @returns Its account. */
  async stop(): Promise<string> {
    this.#child.kill("SIGTERM");
    const { value } = await this.#lines.next();
    await this.#child.status;
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#child.status;
  }
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream() as never)) {
    const lines = (text + chunk).split("\n");
    text = lines.pop()!;
    yield* lines;
  }
}

/** A folder of one run, removed at the end of its scope. */
export class BenchFolder implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), "poolscope-bench-"));
  /** A contract with one route. */
  readonly contract: string = join(this.path, "contract.json");

  constructor() {
    const route = { name: "GET /posts", path: "/posts", weight: 1, status: 200 };
    writeFileSync(this.contract, JSON.stringify({ routes: [route], cases: [] }));
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A scenario's load, closed unless told otherwise. */
export const LOAD: LoadOptions["scenario"] = {
  users: 50,
  spawnRate: 1000,
  thinkTimeMinS: 0,
  thinkTimeMaxS: 0,
  arrivalRate: null,
  arrivals: "constant",
  client: "lean",
};

/** What is special about one run of Locust. */
export interface BenchRun extends Omit<LoadOptions, "locustfile"> {
  signal: AbortSignal;
  /** The core to use; null for any. @default {the clients'} */
  core?: number | null;
  /** Run it before all others on its core, for a load that leaves the core time to rest. */
  realtime?: boolean;
  /** Send SIGTERM so many seconds after the first report of the load. */
  terminateAfterS?: number;
  /** Changes the command. */
  argv?: (argv: string[]) => string[];
  /** Variables to add. */
  env?: Record<string, string>;
}

/**
 * Runs Locust to its end.
 *
 * @returns Its log.
 * @throws {PoolscopeError} If it did not end well.
 */
export async function runLocust(run: BenchRun): Promise<string> {
  const { core = CLIENT_CORE, terminateAfterS, signal } = run;
  const { argv, env, startFile } = locustCommand({ ...run, locustfile: LOCUSTFILE });
  const changed = run.argv?.(argv) ?? argv;
  const command = core === null ? changed : pinned(run.python, core, changed, run.realtime);
  writeFileSync(startFile, "");
  const child = new Deno.Command(command[0]!, {
    args: command.slice(1),
    clearEnv: true,
    env: toolEnvironment({ HOME: run.folder, ...env, ...run.env }),
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    signal,
  }).spawn();
  const ended = new AbortController();
  const terminated = terminateAfterS === undefined
    ? undefined
    : terminate(child, join(run.folder, ".live.json"), terminateAfterS, ended.signal);
  const output = await child.output();
  ended.abort();
  await terminated;
  signal.throwIfAborted();
  const log = new TextDecoder().decode(output.stderr);
  const trouble = explainExit(output.code, output.signal, log);
  if (trouble !== null) throw new PoolscopeError(trouble);
  return log;
}

/** Ends a generator some seconds after it first reported. */
async function terminate(
  child: Deno.ChildProcess,
  report: string,
  afterS: number,
  ended: AbortSignal,
): Promise<void> {
  try {
    while (!existsSync(report)) await setTimeout(50, undefined, { signal: ended });
    await setTimeout(afterS * 1000, undefined, { signal: ended });
    child.kill("SIGTERM");
  } catch (error) {
    if (!ended.aborted) throw error;
  }
}
