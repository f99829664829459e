/**
 * Asks PostgreSQL and PgBouncer themselves, before anything of a study runs, whether they take the
 * settings that its scenarios give by their own names.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { didYouMean } from "../nearest.ts";
import type { Scenario } from "../scenario.ts";
import { type Server, SERVERS, settingsOfServer } from "../server_settings.ts";
import { ANY_VERSION } from "../settings.ts";

/** How an engine asks the programs that it would start. */
export interface ServerPrograms {
  /** Versions by program. */
  readonly versions: Record<string, string>;
  /** Runs `postgres` with arguments to its end, and tells what it wrote. */
  postgres(args: string[]): Promise<{ ok: boolean; output: string }>;
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

/** Settings of a server as lines of an ini file. */
export function iniLines(settings: Record<string, string>): string {
  return Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`).join("");
}

/** Settings of PostgreSQL as arguments of its program. */
export function postgresArguments(settings: Record<string, string>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
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
  const { ok, output } = await programs.postgres([
    ...["-C", "max_connections", "-D", "/", "-c", "config_file=/dev/null"],
    ...postgresArguments(settings),
  ]);
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

function refuseName(
  server: Server,
  name: string,
  known: string[],
  versions: Record<string, string>,
): never {
  throw new UsageError(
    `Cannot set ${server}.${name}: ${SERVERS[server]} ${versions[server]} has no such setting${
      didYouMean(name, known)
    }`,
  );
}

function refuse(server: Server, settings: Record<string, string>, output: string): never {
  const given = Object.entries(settings).map(([name, value]) => `${server}.${name}=${value}`);
  throw new UsageError(
    `Cannot set ${given.join(", ")}: ${SERVERS[server]} says: ${refusalIn(output)}`,
  );
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
