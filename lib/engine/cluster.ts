/**
 * The local PostgreSQL cluster: built and seeded once for each version and data set, then copied
 * for each study, so that no study sees another's traces.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { AppData } from "../apps/data.ts";
import { PoolscopeError } from "../errors.ts";
import { serviceEnvironment } from "../setup/environment.ts";
import type { PostgresBinaries } from "../setup/postgres.ts";
import type { ServiceUser } from "../setup/user.ts";
import type { Owned } from "./cleanup.ts";
import type { Access } from "./engine.ts";
import type { ControlGroup } from "./cgroup.ts";
import { ADMIN_USER, APP_USER, connect, randomPassword } from "./database.ts";
import { LocalProcess } from "./process.ts";
import { seedTemplate } from "./seed.ts";
import { postgresArguments } from "./server_programs.ts";
import { waitUntil } from "./wait.ts";

/** A free TCP port on the loopback address. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}

/** What is needed to build and start a cluster. */
export interface ClusterOptions {
  binaries: PostgresBinaries;
  /** The user that the server runs as; null for the current one. */
  user: ServiceUser | null;
  /** A folder that this user can reach. */
  folder: string;
  owned: Owned;
  log: (line: string) => void;
  /** Ends what is being built or started. */
  signal?: AbortSignal;
}

/** Runs a program to its end in this folder; like a service, it does not outlive us. */
async function runTool(
  options: ClusterOptions,
  folder: string,
  argv: string[],
  user = options.user,
): Promise<void> {
  const { signal, owned } = options;
  signal?.throwIfAborted();
  const name = basename(argv[0]!);
  // Not in the folder: a program that fills the disk must be able to say so.
  const logFile = owned.scratchFile(`${name}.log`);
  const env = serviceEnvironment(folder, { LC_ALL: "C" });
  const tool = LocalProcess.start({
    name,
    argv,
    env,
    cwd: folder,
    logFile,
    user,
    owned,
    graceS: 0,
  });
  const stop = () => tool.stop();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const { code } = await tool.exited;
    signal?.throwIfAborted();
    if (code !== 0) throw new PoolscopeError(`Cannot run ${name}: ${tool.logTail(1)}`);
  } finally {
    signal?.removeEventListener("abort", stop);
    await tool.stop();
    rmSync(logFile, { force: true });
  }
}

/** One start of a server. */
export interface ServerStart {
  /** The data folder. */
  data: string;
  /** The administrator's password. */
  password: string;
  /** Settings for `-c`. */
  settings: Record<string, string>;
  /** The server's log. */
  logFile: string;
  /** The control group to start in. @default none */
  group?: ControlGroup | null;
}

/**
 * Starts a server on the loopback address and waits until it answers.
 *
 * @throws {PoolscopeError} If it ends or does not answer; the message carries its last log line.
 */
export async function startServer(
  options: ClusterOptions,
  start: ServerStart,
): Promise<{ server: LocalProcess; access: Access }> {
  const port = freePort();
  const settings = {
    ...start.settings,
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
  };
  const server = LocalProcess.start({
    name: "postgres",
    argv: [
      options.binaries.postgres,
      "-D",
      start.data,
      ...postgresArguments(settings),
    ],
    env: serviceEnvironment(dirname(start.data), { LC_ALL: "C" }),
    cwd: options.folder,
    logFile: start.logFile,
    user: options.user,
    group: start.group,
    stopSignal: "QUIT",
    owned: options.owned,
  });
  const access: Access = {
    host: "127.0.0.1",
    port,
    database: "postgres",
    username: ADMIN_USER,
    password: start.password,
  };
  try {
    await waitUntil(async () => {
      const sql = connect(access);
      try {
        await sql`select 1`;
        return true;
      } finally {
        await sql.end({ timeout: 1 });
      }
    }, {
      what: "PostgreSQL to answer",
      hopeless: () => server.exit && `it ended (${server.logTail(1)})`,
      signal: options.signal,
    });
  } catch (error) {
    await server.stop();
    throw error;
  }
  return { server, access };
}

/**
 * The folder of the cluster seeded for an app, built if it is not there yet. It holds `data/` and,
 * readable by its owner alone, the administrator's password of that copy.
 */
export async function ensureSeededCluster(
  options: ClusterOptions,
  data: AppData,
): Promise<string> {
  const content = options.binaries.version + data.schema.text + data.seed.text;
  const key = createHash("sha256").update(content).digest("hex");
  const finished = join(options.folder, `cluster-${key.slice(0, 12)}`);
  if (existsSync(finished)) return finished;

  options.log("Seeding PostgreSQL");
  const folder = `${finished}.${options.owned.id}`;
  options.owned.addFolder(folder);
  try {
    await buildCluster(options, folder, data);
    renameSync(folder, finished);
  } catch (error) {
    // Unless another start finished the same cluster meanwhile; both are equal.
    if (!existsSync(finished)) throw error;
  } finally {
    options.owned.removeFolder(folder);
  }
  return finished;
}

async function buildCluster(
  options: ClusterOptions,
  folder: string,
  appData: AppData,
): Promise<void> {
  makeFolder(folder, options.user);
  const password = randomPassword();
  const passwordFile = join(folder, "password");
  writeSecret(passwordFile, password, options.user);
  const data = join(folder, "data");
  await runTool(options, folder, [
    options.binaries.initdb,
    "-D",
    data,
    "-U",
    ADMIN_USER,
    "--pwfile",
    passwordFile,
    "--auth",
    "scram-sha-256",
    "--encoding",
    "UTF8",
    "--locale",
    "C",
    "--no-instructions",
  ]);
  // Nothing of this server needs to survive a crash: an unfinished folder is thrown away.
  const settings = { timezone: "UTC", fsync: "off", full_page_writes: "off", autovacuum: "off" };
  const logFile = join(folder, "seed.log");
  const { server, access } = await startServer(options, { data, password, settings, logFile });
  const stop = () => server.stop();
  options.signal?.addEventListener("abort", stop, { once: true });
  try {
    const admin = connect(access);
    await admin.unsafe(`create role ${APP_USER} login`);
    await admin.end();
    await seedTemplate(access, appData);
    await runTool(options, folder, [
      options.binaries.pgCtl,
      "stop",
      "-D",
      data,
      "-m",
      "fast",
      "-s",
      "-w",
    ]);
  } finally {
    options.signal?.removeEventListener("abort", stop);
    await server.stop();
  }
}

/**
 * Copies the seeded cluster for one study.
 *
 * @returns The copy's data folder, and its administrator's password as it was when it was built.
 */
export async function copyCluster(
  options: ClusterOptions,
  seeded: string,
  target: string,
): Promise<{ data: string; password: string }> {
  const data = join(target, "data");
  try {
    await runTool(
      options,
      target,
      ["cp", "-a", "--reflink=auto", join(seeded, "data"), data],
      null,
    );
  } catch (error) {
    if (!(error instanceof PoolscopeError)) throw error;
    throw new PoolscopeError(
      `Cannot copy the seeded database: ${error.message}; free some disk space`,
      { cause: error },
    );
  }
  return { data, password: readFileSync(join(seeded, "password"), "utf8") };
}

/** Makes a folder that only its owner can enter. */
export function makeFolder(
  folder: string,
  user: Pick<ServiceUser, "uid" | "gid"> | null,
): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (user) chownSync(folder, user.uid, user.gid);
}

/** Writes a file that only its owner can read. */
export function writeSecret(file: string, text: string, user: ServiceUser | null): void {
  try {
    writeFileSync(file, text, { mode: 0o600, flag: "wx" });
  } catch (error) {
    const reason = (error as Error).message.split(", open")[0];
    throw new PoolscopeError(`Cannot write ${basename(file)}: ${reason}`, { cause: error });
  }
  if (user) chownSync(file, user.uid, user.gid);
}
