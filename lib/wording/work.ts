/**
 * How the work of an arm differs from what it should be, per request.
 *
 * @module
 */

const unlike = (what: string, app: string) => (seen: number, asked: number) =>
  `${seen.toFixed(2)} ${what} per request where the contract has ${
    asked.toFixed(2)
  }: the app ${app}`;

/** Deviations, without the arm and without a full stop. */
export const workWords = {
  statements: {
    more: unlike(
      "data statements",
      "asks the database more than once for what one statement gives",
    ),
    fewer: unlike("data statements", "answers without asking the database, as from a cache"),
  },
  rows: {
    more: unlike("rows", "reads rows that no answer needs"),
    fewer: unlike("rows", "answers without reading what it shows"),
  },
  past: (seen: number, executed: number, requests: number) =>
    `PgBouncer saw ${(seen / requests).toFixed(2)} queries per request and PostgreSQL executed ${
      (executed / requests).toFixed(2)
    }: ${Math.round(100 * (1 - seen / executed))}% went past PgBouncer`,
  throughPgbouncer: (pooled: number, direct: number) =>
    `${pooled.toFixed(2)} data statements per request where the direct path has ${
      direct.toFixed(2)
    }: the app does other work through PgBouncer`,
  /** Why the arm's runs are rejected. */
  other: (deviations: readonly string[]) =>
    `other work than the contract's: ${deviations.join("; ")}`,
};
