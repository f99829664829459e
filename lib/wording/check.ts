/**
 * What a functional check says: what ran, and that it compares nothing.
 *
 * @module
 */

import { formatCount, formatList } from "./format.ts";

/** Its answer, what stands for a comparison, and the cells of its table. */
export const checkWords = {
  reading: (measure: string) => `**Functional check only:** ${measure} is not compared.`,
  notice: (measure: string) => `Functional check only: ${measure} is not compared`,
  answer: (good: number, planned: number, broken: readonly string[], windowS: number) =>
    `**Functional check only: ${good === planned ? "all" : `${good} of`} ${
      formatCount(planned, "run")
    } ran, were verified and were counted.**${
      broken.length === 0 ? "" : ` What did not: ${formatList(broken)}; the cause is in the table.`
    } Its windows of ${windowS} s are too short to compare anything: run the plan \`quick\` for a ` +
    `first answer, and \`reference\` for one to share.`,
  /** Whether something holds of every run, or of how many. */
  share: (runs: number, all: number, what = "yes") =>
    runs === all ? what : runs === 0 ? "no" : `${what} in ${runs} of ${all} runs`,
  pooled: "through PgBouncer",
  direct: "straight to PostgreSQL",
  table: (study: string) => `Functional check only: what ran in ${study}`,
} as const;
