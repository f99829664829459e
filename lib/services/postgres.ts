/**
 * PostgreSQL: seeded once for each version and data set, then copied for each start, so that no run
 * sees another's traces.
 */

import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { type App, readData } from "../apps/app.ts";
import { serverLimits } from "../connections.ts";
import { PoolscopeError } from "../errors.ts";
import type { Host, Instance, InstanceOptions, Kept, Program } from "../hosts/host.ts";
import { waitUntil } from "../hosts/wait.ts";
import type { Scenario } from "../scenario.ts";
import { settingsOfServer } from "../server_settings.ts";
import { settingsFor } from "../settings.ts";
import {
  type Access,
  ADMIN_USER,
  APP_USER,
  DATABASE,
  randomPassword,
  withConnection,
} from "./database.ts";
import { SEED_STEPS, seedDatabase } from "./seed.ts";
import { postgresArguments } from "./settings_text.ts";
import { CERTIFICATE_FILES, certificateFiles, type Certificates } from "./tls.ts";

/** The port on which PostgreSQL listens where it is alone. */
export const POSTGRES_PORT = 5432;

/** The data folder of a start, and the one that is built once, in the folder that is kept. */
const DATA = "data";
const SEEDED = "seeded";
/** The roles' passwords of one start, as statements. */
const ROLES = "roles.sql";

/** Makes a data folder and starts a server on it; its first argument is the folder. */
const BUILD = 'initdb -D "$1" -U "$2" --pwfile "$3" --auth scram-sha-256 --encoding UTF8 ' +
  "--locale C --no-instructions >/dev/null && " +
  // Others of its network come from addresses of their own.
  `echo 'host all all all scram-sha-256' >>"$1/pg_hba.conf" && shift 3 && exec "$@"`;

const SEEDING = {
  timezone: "UTC",
  autovacuum: "off",
  // Nothing of it needs to survive a crash: an unfinished folder is thrown away.
  fsync: "off",
  full_page_writes: "off",
  // Each start copies what is left of the log.
  wal_level: "minimal",
  max_wal_senders: "0",
  min_wal_size: "32MB",
  max_wal_size: "32MB",
};

/**
 * Copies the data folder, gives the roles their passwords before anybody can connect, and starts the
 * server. Nothing of the statements gets into a log: nothing logs yet.
 */
const START =
  'cp -a "$1/." "$2" && postgres --single -D "$2" postgres <"$3" >/dev/null && rm "$3" ' +
  '&& shift 3 && exec "$@"';

/** PostgreSQL's settings that differ from its own defaults, as `-c` takes them. */
export function postgresSettings(scenario: Scenario): Record<string, string> {
  const { max_connections, superuser_reserved_connections } = serverLimits(scenario);
  const settings = Object.entries(settingsFor(scenario, "postgres"));
  return {
    ...Object.fromEntries(settings.map(([name, value]) => [name, String(value)])),
    max_connections: String(max_connections),
    superuser_reserved_connections: String(superuser_reserved_connections),
    // Times go out in UTC whatever the machine's zone, so that every framework sends the same text.
    timezone: "UTC",
    log_timezone: "UTC",
    password_encryption: "scram-sha-256",
    // Counts statements for the samplers; what it costs is the same for every arm.
    shared_preload_libraries: "pg_stat_statements",
    ...settingsOfServer(scenario, "postgres"),
  };
}

/**
 * Writes what a start copied to the disk, which the system would else do during the load.
 *
 * @throws {PoolscopeError} If it cannot be written.
 */
export async function syncPostgres(instance: Instance): Promise<void> {
  const { code } = await instance.exec(["initdb", "--sync-only", "-D", instance.path(DATA)]);
  if (code !== 0) throw new PoolscopeError("Cannot write PostgreSQL's data folder to the disk");
}

/** A role's password as PostgreSQL keeps it (RFC 5803), of as many rounds. */
export function scramSecret(password: string, iterations: number, salt = randomBytes(16)): string {
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const key = (name: string) => createHmac("sha256", salted).update(name).digest();
  const stored = createHash("sha256").update(key("Client Key")).digest("base64");
  const server = key("Server Key").toString("base64");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${stored}:${server}`;
}

/** Passwords of one start; the app's also as the server keeps it. */
export function makePasswords({ scramIterations }: Scenario) {
  const app = randomPassword();
  return { admin: randomPassword(), app, appSecret: scramSecret(app, scramIterations) };
}

/** What building a data folder needs. */
export interface SeedOptions {
  program: Program;
  version: string;
  log: (line: string) => void;
  signal?: AbortSignal;
}

/**
 * The data folder seeded for an app, built if it is not there yet.
 *
 * @throws {PoolscopeError} If it cannot be built; a script's error names file and line.
 */
export async function ensureSeeded(host: Host, app: App, options: SeedOptions): Promise<Kept> {
  const { program, version, log, signal } = options;
  const data = readData(app);
  const steps = JSON.stringify([SEEDING, SEED_STEPS]);
  const made = [version, BUILD, steps, data.schema.text, data.seed.text];
  const hash = createHash("sha256").update(made.join("\n")).digest("hex").slice(0, 12);
  const key = `cluster-${hash}`;
  const kept = await host.findKept(key, program);
  if (kept !== null) return kept;
  log("Seeding PostgreSQL");
  const logFile = host.scratchFile(`seeding-${hash}.log`);
  const builder = host.place({
    service: "postgres",
    program,
    ports: [POSTGRES_PORT],
    logFile,
    stopSignal: "INT",
    graceS: 30,
  });
  const stop = () => builder.stop();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const password = randomPassword();
    const folder = builder.path(SEEDED);
    const server = serverCommand(builder, folder, SEEDING);
    await builder.start({
      args: ["sh", "-c", BUILD, "sh", folder, ADMIN_USER, builder.path("password"), ...server],
      files: [{ name: "password", content: password }],
    });
    const access = await awaitServer(builder, password, 120, signal);
    await seedDatabase({ ...access, database: "postgres" }, data);
    await builder.exec(["rm", builder.path("password")]);
    signal?.throwIfAborted();
    await builder.stop();
    return await host.keep(builder, key);
  } finally {
    signal?.removeEventListener("abort", stop);
    await builder.remove();
    rmSync(logFile, { force: true });
  }
}

function serverCommand(
  instance: Instance,
  data: string,
  settings: Record<string, string>,
): string[] {
  const { host, port } = instance.binds(POSTGRES_PORT);
  const own = { listen_addresses: host, port: String(port), unix_socket_directories: "" };
  return ["postgres", "-D", data, ...postgresArguments({ ...settings, ...own })];
}

/** Of the last lines of a log the one that tells most. */
function tellingLine(log: string): string {
  const lines = log.split("\n");
  const isError = (line: string) => /\b(error|fatal|panic|could not|no space left)\b/i.test(line);
  return lines.findLast(isError) ?? lines.at(-1)!;
}

/** Waits until a server answers its administrator, and gives the way there. */
async function awaitServer(
  instance: Instance,
  password: string,
  timeoutS: number,
  signal?: AbortSignal,
): Promise<Access> {
  const address = await instance.address(POSTGRES_PORT);
  const access = { ...address, database: DATABASE, username: ADMIN_USER, password };
  const server = { ...access, database: "postgres" };
  await waitUntil(() => withConnection(server, (sql) => sql`select 1`), {
    what: "PostgreSQL to answer",
    timeoutS,
    hopeless: () => instance.exit && `it ended (${tellingLine(instance.logTail())})`,
    signal,
  });
  return access;
}

/** Room for PostgreSQL beside others of a run. */
export function placePostgres(
  host: Host,
  kept: Kept,
  place: Omit<InstanceOptions, "service" | "ports">,
): Instance {
  return host.place({
    ...place,
    program: { ...place.program, ...kept.program },
    service: "postgres",
    ports: [POSTGRES_PORT],
    volumes: [DATA],
    stopSignal: "QUIT",
  });
}

/** What a start of PostgreSQL needs. */
export interface PostgresStart {
  kept: Kept;
  passwords: ReturnType<typeof makePasswords>;
  /** Key and certificates; null where no connection to it is encrypted. */
  certificates: Certificates | null;
  cores?: string;
  signal?: AbortSignal;
}

/**
 * Starts a copy of the seeded data folder and waits until it answers.
 *
 * @returns The administrator's way to the run's database.
 * @throws {PoolscopeError} If it ends or does not answer; the message carries its last log line.
 */
export async function startPostgres(
  instance: Instance,
  scenario: Scenario,
  { kept, passwords, certificates, cores, signal }: PostgresStart,
): Promise<Access> {
  const { admin, appSecret } = passwords;
  const adminSecret = scramSecret(admin, scenario.scramIterations);
  const roles = `alter role ${ADMIN_USER} password '${adminSecret}'\n` +
    `alter role ${APP_USER} password '${appSecret}'\n`;
  const tls: Record<string, string> = certificates === null ? {} : {
    ssl: "on",
    ssl_cert_file: instance.path(CERTIFICATE_FILES.certificate),
    ssl_key_file: instance.path(CERTIFICATE_FILES.key),
  };
  const data = instance.path(DATA);
  const server = serverCommand(instance, data, { ...postgresSettings(scenario), ...tls });
  const copied = [`${kept.folder}/${SEEDED}`, data, instance.path(ROLES)];
  try {
    await instance.start({
      args: ["sh", "-c", START, "sh", ...copied, ...server],
      files: [
        { name: DATA, content: null, mode: 0o700 },
        { name: ROLES, content: roles },
        ...certificateFiles(certificates),
      ],
      listenBacklog: scenario.listenBacklog,
      cores,
    });
    return await awaitServer(instance, admin, 60, signal);
  } catch (error) {
    signal?.throwIfAborted();
    const [line] = (error as Error).message.split("\n");
    throw new PoolscopeError(`Cannot start PostgreSQL: ${line}`, { cause: error });
  }
}
