/**
 * The words of a study as a whole: its lines in a cell, and what is wrong with its files.
 *
 * @module
 */

/** A study in a few lines, and its warnings. */
export const studyWords = {
  study: (name: string, plan: string, arms: readonly string[], levels: readonly string[]) =>
    `Study ${name} of plan ${plan}: ${arms.join(", ")}; ${levels.join(", ")}`,
  runs: (accepted: number, rejected: number, failed: number, toCome: number) =>
    `${accepted} runs accepted, ${rejected} rejected, ${failed} failed, ${toCome} to come`,
  where:
    "conclusion(results) answers, describeStudy(results) says what was measured; its numbers are in " +
    "results.scenarios, .ratios and .runs, its requests in await results.requests(id)",
  unequalWork: (arm: string, what: readonly string[]) =>
    `${arm}: ${what.join("; ")}; it is compared with nothing`,
  otherPlan: (others: number, all: number) =>
    `plan.json is not the plan that ${others} of ${all} runs were made with: it was changed, or read by a version with other settings`,
  unreadable: (arm: string, fault: string) => `${arm}: the run cannot be read (${fault})`,
  fault: (file: string, line: number | null, what: string) =>
    `${file}${line === null ? "" : `, line ${line}`}: ${what}`,
} as const;
