/** Everything that a study needs on this machine, found or installed. */

import type { Scenario } from "../scenario.ts";
import { ANY_VERSION } from "../settings.ts";
import type { StepOptions } from "./command.ts";
import { writeKernelspec } from "./kernelspec.ts";
import { ensurePgbouncer } from "./pgbouncer.ts";
import { ensurePostgres } from "./postgres.ts";
import { ensurePython, studyParts } from "./python.ts";
import { serviceUser } from "./user.ts";

/** Python, PostgreSQL and PgBouncer, and the user that both servers run as; null is ourselves. */
export type Tools = Awaited<ReturnType<typeof setUp>>;

/** The tools of a scenario: PostgreSQL and PgBouncer in the versions that it asks for. */
export async function toolsFor(
  tools: Tools,
  { postgresVersion, pgbouncerVersion, path }: Scenario,
  options: StepOptions,
): Promise<Tools> {
  const postgres = postgresVersion === ANY_VERSION
    ? tools.postgres
    : await ensurePostgres({ ...options, version: postgresVersion });
  const pgbouncer = pgbouncerVersion === ANY_VERSION || path === "direct"
    ? tools.pgbouncer
    : await ensurePgbouncer({ ...options, version: pgbouncerVersion });
  return { ...tools, postgres, pgbouncer };
}

export interface SetUpOptions extends StepOptions {
  lab?: boolean;
}

/** Installs what notebooks need and writes the kernel's description. */
export async function setUpNotebooks(
  { parts = ["notebooks"], lab = false, ...options }: SetUpOptions & { parts?: string[] } = {},
) {
  const python = await ensurePython({ ...options, parts: lab ? [...parts, "lab"] : parts });
  writeKernelspec(python);
  return { python };
}

/**
 * Finds everything, or installs it into the checkout's `.poolscope/`. A second start finds all of it.
 * Where one thing cannot be installed, what is under way beside it is stopped first.
 */
export async function setUp({ log, lab, signal: given }: SetUpOptions = {}) {
  const failed = new AbortController();
  const signal = given === undefined ? failed.signal : AbortSignal.any([failed.signal, given]);
  const parts = studyParts();
  const user = serviceUser();
  const steps = [
    setUpNotebooks({ parts, lab, log, signal }),
    ensurePgbouncer({ log, signal }),
    ensurePostgres({ log, signal }),
  ] as const;
  try {
    const [{ python }, pgbouncer, postgres] = await Promise.all(steps);
    return { python, pgbouncer, postgres, user };
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(steps);
    throw error;
  }
}
