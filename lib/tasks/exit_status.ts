/**
 * The exit statuses of all tasks: one table, which their help, `docs/exit-status.md` and the tasks
 * themselves go by.
 *
 * @module
 */

import { MAX_FAILED_SHARE } from "../stats/delivery.ts";

/** Exit statuses by name; a signal's is 128 and its number, as shells have it. */
export const EXIT = {
  ok: 0,
  fault: 1,
  usage: 2,
  nothingAccepted: 3,
  SIGHUP: 129,
  SIGINT: 130,
  SIGTERM: 143,
} as const;

/** A line of the table. */
export interface ExitStatus {
  /** The statuses that mean the same. */
  statuses: number[];
  /** When a task ends with it. */
  when: string;
}

/** The table; of several lines that apply, the first counts. */
export const EXIT_STATUSES: readonly ExitStatus[] = [
  {
    statuses: [EXIT.SIGHUP, EXIT.SIGINT, EXIT.SIGTERM],
    when: "ended by SIGHUP, SIGINT (Ctrl-C) or SIGTERM",
  },
  {
    statuses: [EXIT.usage],
    when: "wrong usage: an unknown option, name or value; nothing was started",
  },
  {
    statuses: [EXIT.fault],
    when: "Poolscope or this machine could not do it; the last line says why",
  },
  {
    statuses: [EXIT.nothingAccepted],
    when:
      "a complete report without an accepted run; of a load, no request succeeded or more than " +
      `${100 * MAX_FAILED_SHARE}% failed`,
  },
  {
    statuses: [EXIT.ok],
    when: "done; a report has at least one accepted run",
  },
];

/** The table as the tasks' help shows it. */
export function exitStatusHelp(): string {
  const lines = EXIT_STATUSES.map(({ statuses, when }) =>
    `  ${statuses.join(", ").padEnd(15)}${when}`
  );
  return ["Exit status, the first that applies:", ...lines].join("\n");
}

/**
 * The exit status of a task that ends in a study's report.
 *
 * @param runs The study's runs.
 */
export function reportStatus(runs: readonly { status: string }[]): number {
  return runs.some(({ status }) => status === "ok") ? EXIT.ok : EXIT.nothingAccepted;
}
