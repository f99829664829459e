/** The exit statuses of all tasks, which their help and `docs/exit-status.md` go by. */

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

/** The table: statuses that mean the same, and when a task ends so; the first that applies counts. */
export const EXIT_STATUSES: readonly [statuses: string, when: string][] = [
  [
    [EXIT.SIGHUP, EXIT.SIGINT, EXIT.SIGTERM].join(", "),
    "ended by SIGHUP, SIGINT (Ctrl-C) or SIGTERM",
  ],
  [`${EXIT.usage}`, "wrong usage: an unknown option, name or value; nothing was started"],
  [`${EXIT.fault}`, "Poolscope or this machine could not do it; the last line says why"],
  [
    `${EXIT.nothingAccepted}`,
    "a complete report without an accepted run; of a load, no request succeeded or more than " +
    `${100 * MAX_FAILED_SHARE}% failed`,
  ],
  [`${EXIT.ok}`, "done; a report has at least one accepted run"],
];

/** The table as the tasks' help shows it. */
export function exitStatusHelp(): string {
  const lines = EXIT_STATUSES.map(([statuses, when]) => `  ${statuses.padEnd(15)}${when}`);
  return ["Exit status, the first that applies:", ...lines].join("\n");
}

/** The exit status of a task that ends in a study's report. */
export function reportStatus(runs: readonly { status: string }[]): number {
  return runs.some(({ status }) => status === "ok") ? EXIT.ok : EXIT.nothingAccepted;
}
