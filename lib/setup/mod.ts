/**
 * Everything that a study needs on this machine, found or installed: the Python environment with the
 * Deno kernel's description, PostgreSQL and PgBouncer.
 *
 * @module
 */

import type { Scenario } from "../scenario.ts";
import { ANY_VERSION } from "../settings.ts";
import { writeKernelspec } from "./kernelspec.ts";
import { ensurePgbouncer, type PgbouncerBinary } from "./pgbouncer.ts";
import { ensurePostgres, type PostgresBinaries } from "./postgres.ts";
import { ensurePython, type PythonEnvironment, type PythonPart, studyParts } from "./python.ts";
import { type ServiceUser, serviceUser } from "./user.ts";

/** What {@linkcode setUp} found or installed. */
export interface Tools {
  /** Where the apps, Locust and Jupyter are installed. */
  python: PythonEnvironment;
  /** The folder of the Deno kernel's description. */
  kernelspec: string;
  /** PostgreSQL 16, unless a scenario asks for another. */
  postgres: PostgresBinaries;
  /** PgBouncer 1.21 or later, unless a scenario asks for another. */
  pgbouncer: PgbouncerBinary;
  /** Whom PostgreSQL and PgBouncer run as; null is ourselves. */
  user: ServiceUser | null;
}

/** What is there for a scenario: of PostgreSQL and PgBouncer the versions that it asks for. */
export async function toolsFor(
  tools: Tools,
  { postgresVersion, pgbouncerVersion, path }: Scenario,
  options: Pick<SetUpOptions, "log" | "signal">,
): Promise<Tools> {
  const postgres = postgresVersion === ANY_VERSION
    ? tools.postgres
    : await ensurePostgres({ ...options, version: postgresVersion });
  const pgbouncer = pgbouncerVersion === ANY_VERSION || path === "direct"
    ? tools.pgbouncer
    : await ensurePgbouncer({ ...options, version: pgbouncerVersion });
  return { ...tools, postgres, pgbouncer };
}

/** Options of {@linkcode setUp}. */
export interface SetUpOptions {
  /** Called with each line of progress. */
  log?: (line: string) => void;
  /** Whether JupyterLab is needed, too. @default {false} */
  lab?: boolean;
  /** Stops the installation. */
  signal?: AbortSignal;
}

/** Installs what notebooks need and writes the kernel's description. */
export async function setUpNotebooks(
  options: SetUpOptions & { parts?: readonly PythonPart[] } = {},
): Promise<Pick<Tools, "python" | "kernelspec">> {
  const { log, lab = false, signal, parts = ["notebooks"] } = options;
  const python = await ensurePython({ parts: lab ? [...parts, "lab"] : parts, log, signal });
  return { python, kernelspec: await writeKernelspec(python) };
}

/**
 * Finds everything, or installs it into the checkout's `.poolscope/`. A second start finds all of it.
 *
 * @param options Options for this call.
 * @throws {PoolscopeError} If something is missing and cannot be installed; what was under way beside
 * it is stopped first.
 *
 * @example
 * ```ts ignore
 * import { setUp } from "./mod.ts";
 *
 * const { python, postgres, pgbouncer } = await setUp({ log: console.log });
 * ```
 */
export async function setUp(options: SetUpOptions = {}): Promise<Tools> {
  const { log, lab = false } = options;
  const failed = new AbortController();
  const signal = options.signal === undefined
    ? failed.signal
    : AbortSignal.any([failed.signal, options.signal]);
  const parts = studyParts();
  const user = serviceUser();
  const steps = [
    setUpNotebooks({ parts, lab, log, signal }),
    ensurePgbouncer({ log, signal }),
    ensurePostgres({ log, signal }),
  ] as const;
  try {
    const [notebooks, pgbouncer, postgres] = await Promise.all(steps);
    return { ...notebooks, pgbouncer, postgres, user };
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(steps);
    throw error;
  }
}
