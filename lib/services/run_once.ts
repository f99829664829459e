/** Programs that are run once and to their end on a host, for what they write. */

import { rmSync } from "node:fs";
import type { Host, Program } from "../hosts/host.ts";

/** As many lines as a program's list of names may have. */
const MAX_LINES = 1000;

/** What a program wrote, at most its last 64 KiB, and whether it succeeded. */
export interface Ran {
  ok: boolean;
  output: string;
}

/**
 * Runs a program to its end.
 *
 * @param service What it is called in errors.
 */
export async function runOnce(
  host: Host,
  service: string,
  program: Program,
  args: readonly string[],
): Promise<Ran> {
  const logFile = host.scratchFile(`${service}-${crypto.randomUUID().slice(0, 8)}.log`);
  const instance = host.place({ service, program, logFile });
  try {
    await instance.start({ args });
    const { code } = await instance.exited;
    return { ok: code === 0, output: instance.logTail(MAX_LINES) };
  } finally {
    await instance.remove();
    rmSync(logFile, { force: true });
  }
}
