/**
 * Which of a Docker host's cores each service runs on, so that generator, app, pooler and database
 * do not take each other's time.
 */

/** Each service needs a core of its own. */
const FEWEST_CORES = 4;

/**
 * Divides the cores. Locust and PgBouncer use one core each; the database gets what its quota can
 * use, and the app the rest. Both paths of a pair are divided alike.
 *
 * @param dbCpus The database's quota in cores; null for none.
 * @returns The cores by service, as `cpuset.cpus` takes them; null when there are too few.
 *
 * @example
 * ```ts
 * import { divideCores } from "./cpu_sets.ts";
 *
 * console.assert(divideCores(6, 0.5)?.app === "3-5");
 * console.assert(divideCores(2, 0.5) === null);
 * ```
 */
export function divideCores(cores: number, dbCpus: number | null): Record<string, string> | null {
  if (cores < FEWEST_CORES) return null;
  const spare = cores - FEWEST_CORES;
  const database = 1 + Math.min(Math.ceil(dbCpus ?? cores) - 1, Math.floor(spare / 2));
  const range = (from: number, n: number) => n === 1 ? String(from) : `${from}-${from + n - 1}`;
  return {
    locust: "0",
    pgbouncer: "1",
    postgres: range(2, database),
    app: range(2 + database, cores - 2 - database),
  };
}
