/**
 * Asks PostgreSQL and PgBouncer themselves, before anything of a study runs, whether they take the
 * settings that its scenarios give by their own names.
 */

import { rmSync } from "node:fs";
import { UsageError } from "../errors.ts";
import type { Host, Program } from "../hosts/host.ts";
import { waitUntil } from "../hosts/wait.ts";
import { didYouMean } from "../nearest.ts";
import type { Scenario } from "../scenario.ts";
import { type Server, SERVERS, settingsOfServer } from "../server_settings.ts";
import { ANY_VERSION } from "../settings.ts";
import { ADMIN_USER, randomPassword, withConnection } from "./database.ts";
import { PGBOUNCER_PORT, placePgbouncer } from "./pgbouncer.ts";
import { type Ran, runOnce } from "./run_once.ts";
import { iniLines, postgresArguments } from "./settings_text.ts";

/** How the programs that would be started are asked. */
export interface ServerPrograms {
  /** Versions by program. */
  readonly versions: Record<string, string>;
  /** Runs `postgres` with arguments to its end. */
  postgres(args: string[]): Promise<Ran>;
  /** The names that `postgres --describe-config` has. */
  postgresNames(): Promise<string[]>;
  /**
   * Starts PgBouncer with further lines in its configuration, reads the names that `SHOW CONFIG` has,
   * and ends it.
   *
   * @returns The names, or what it wrote where it did not start.
   */
  pgbouncer(lines: string): Promise<{ names: string[] } | { output: string }>;
}

export function hostPrograms(
  host: Host,
  { postgres, pgbouncer, versions }: Record<Server, Program> & Pick<ServerPrograms, "versions">,
): ServerPrograms {
  return {
    versions,
    postgres: (args) => runOnce(host, "postgres", postgres, ["postgres", ...args]),
    async postgresNames() {
      const list = ["sh", "-c", "postgres --describe-config | cut -f1"];
      return (await runOnce(host, "postgres", postgres, list)).output.split("\n");
    },
    pgbouncer: (lines) => probePgbouncer(host, pgbouncer, lines),
  };
}

/** Scenarios by the versions of the servers that they ask for. */
export function byServerVersions(scenarios: readonly Scenario[]): Scenario[][] {
  const versions = ({ path, postgresVersion, pgbouncerVersion }: Scenario) =>
    `${postgresVersion} ${path === "direct" ? ANY_VERSION : pgbouncerVersion}`;
  return [...Map.groupBy(scenarios, versions).values()];
}

/**
 * Has the programs check the settings of all scenarios.
 *
 * @throws {UsageError} If one is unknown, with the nearest name; or refused, in the program's words.
 */
export async function checkServerSettings(
  scenarios: readonly Scenario[],
  programs: ServerPrograms,
): Promise<void> {
  const pooled = scenarios.filter(({ path }) => path === "pooled");
  for (const settings of distinctSettings(scenarios, "postgres")) {
    await checkPostgres(settings, programs);
  }
  for (const settings of distinctSettings(pooled, "pgbouncer")) {
    await checkPgbouncer(settings, programs);
  }
}

function distinctSettings(scenarios: readonly Scenario[], server: Server) {
  const distinct = new Map(scenarios.map((scenario) => {
    const settings = settingsOfServer(scenario, server);
    return [JSON.stringify(settings), settings];
  }));
  return [...distinct.values()].filter((settings) => Object.keys(settings).length > 0);
}

async function checkPostgres(
  settings: Record<string, string>,
  programs: ServerPrograms,
): Promise<void> {
  // It reads all settings before it looks for a data folder, shows one of them, and ends.
  const show = ["-C", "max_connections", "-D", "/", "-c", "config_file=/dev/null"];
  const { ok, output } = await programs.postgres([...show, ...postgresArguments(settings)]);
  // It takes any name with a dot, for an extension that may come.
  const extension = Object.keys(settings).find((name) => name.includes("."));
  if (ok && extension === undefined) return;
  const unknown = /unrecognized configuration parameter "([^"]+)"/.exec(output)?.[1] ?? extension;
  if (unknown === undefined) return refuse("postgres", settings, output);
  refuseName("postgres", unknown, await programs.postgresNames(), programs.versions);
}

async function checkPgbouncer(
  settings: Record<string, string>,
  programs: ServerPrograms,
): Promise<void> {
  const started = await programs.pgbouncer(iniLines(settings));
  if ("names" in started) return;
  const bare = await programs.pgbouncer("");
  const names = "names" in bare ? bare.names : [];
  const unknown = Object.keys(settings).find((name) => !names.includes(name));
  if (names.length > 0 && unknown !== undefined) {
    refuseName("pgbouncer", unknown, names, programs.versions);
  }
  refuse("pgbouncer", settings, started.output);
}

async function probePgbouncer(
  host: Host,
  program: Program,
  lines: string,
): Promise<{ names: string[] } | { output: string }> {
  const logFile = host.scratchFile(`pgbouncer-${crypto.randomUUID().slice(0, 8)}.log`);
  const instance = placePgbouncer(host, { program, logFile });
  const password = randomPassword();
  const { host: address, port } = instance.binds(PGBOUNCER_PORT);
  const userlist = instance.path("userlist.txt");
  const places = { listen_addr: address, listen_port: String(port), auth_file: userlist };
  const login = { auth_type: "scram-sha-256", stats_users: ADMIN_USER, unix_socket_dir: "" };
  const ini = `[pgbouncer]\n${iniLines({ ...places, ...login })}${lines}`;
  try {
    await instance.start({
      args: [instance.path("pgbouncer.ini")],
      files: [
        { name: "pgbouncer.ini", content: ini },
        { name: "userlist.txt", content: `"${ADMIN_USER}" "${password}"\n` },
      ],
    });
    const names = await waitUntil(async () => {
      if (instance.exit !== null) return [];
      const access = { database: "pgbouncer", username: ADMIN_USER, password };
      const reached = await instance.address(PGBOUNCER_PORT);
      return await withConnection({ ...reached, ...access }, async (console) => {
        return (await console.unsafe("show config").simple()).map(({ key }) => String(key));
      }, { prepare: false });
    }, { what: "PgBouncer to answer", intervalMs: 20 });
    return instance.exit === null ? { names } : { output: instance.logTail() };
  } finally {
    await instance.remove();
    rmSync(logFile, { force: true });
  }
}

function refuseName(
  server: Server,
  name: string,
  known: string[],
  versions: Record<string, string>,
): never {
  const why = `${SERVERS[server]} ${versions[server]} has no such setting`;
  throw new UsageError(`Cannot set ${server}.${name}: ${why}${didYouMean(name, known)}`);
}

function refuse(server: Server, settings: Record<string, string>, output: string): never {
  const given = Object.entries(settings).map(([name, value]) => `${server}.${name}=${value}`);
  const why = `${SERVERS[server]} says: ${refusalIn(output)}`;
  throw new UsageError(`Cannot set ${given.join(", ")}: ${why}`);
}

/**
 * What a program wrote of its refusal, in one line: its first error with the hint to it, without
 * time, process and file.
 */
export function refusalIn(output: string): string {
  const said = (level: string) =>
    output.split("\n").flatMap((line) => {
      const words = new RegExp(`\\b${level}:?\\s+(.*)`).exec(line)?.[1];
      return words === undefined ? [] : [words.replace(/ in configuration \(.*\)$/, "")];
    });
  const [error = output.trim().split("\n").at(-1)!] = said("(?:ERROR|FATAL)");
  return [error, ...said("HINT").slice(0, 1)].join("; ");
}
