/**
 * What limited each scenario: the titles of verdicts, and how a report tells of them and of their tests.
 */

import { capitalise, formatCount, formatList, formatPart } from "./format.ts";

/** What can limit a scenario, in a few words. */
export const verdictTitles = {
  load_limited: "The load",
  generator: "Load generator",
  host_cpu: "The machine's CPU",
  app_cpu: "The app's CPU",
  workers: "Workers and threads",
  app_pool: "The app's own pool",
  pgbouncer_cpu: "PgBouncer's CPU",
  pgbouncer_queue: "PgBouncer's queue",
  held_transactions: "Transactions that wait for the app",
  database_quota: "The database's CPU quota",
  database_locks: "Locks in the database",
  connection_setup: "Connection setup",
  refused_connections: "Connections refused",
  unknown: "Not known",
};

/** Verdicts, and the outcomes of their tests; `place` is an arm at its loads. */
export const bottleneckWords = {
  table: "What limited each scenario",
  confidence: (confidence: string, rounds: number, of: number, isInTurns: boolean) =>
    `${confidence} (${formatPart(rounds, of, isInTurns ? "start" : "round")})`,
  reading: "What limited throughput, by rules over what the samplers saw:",
  line: (verdict: string, why: string, places: readonly string[], unsure: number, of: number) =>
    `- **${verdict}**${why}: ${formatList(places)}${
      unsure === 0 ? "" : ` (${unsure} of ${of} with low confidence)`
    }`,
  nothingUsedUp: ", as no resource was used up",
  noRun: "No run of this scenario is complete yet.",
  scenario: (place: string, verdict: string, confidence: string, evidence: string) =>
    `${place}: **${verdict}**, with ${confidence} confidence. ${capitalise(evidence)}.`,
  outcomes: {
    confirmed: "confirmed: throughput rose",
    refuted: "refuted: throughput did not rise",
    undecided: "undecided",
    untested: "not tested",
  },
  notTested:
    "The verdicts were not put to the test: `--confirm` runs each scenario again, relieved " +
    "of what limited it, where a setting relieves that.",
  noneTested: "No verdict was put to the test",
  tested: (outcomes: readonly string[]) => {
    const counts = ["confirmed", "refuted", "undecided"]
      .map((outcome) => [outcome, outcomes.filter((one) => one === outcome).length] as const)
      .flatMap(([outcome, n]) => n > 0 ? `${n} ${outcome}` : []);
    return `Of ${formatCount(outcomes.length, "verdict")} put to the test, ${formatList(counts)}`;
  },
  refuted: (places: readonly string[]) => ` Refuted: ${formatList(places)}.`,
  confirmationTable: "Throughput relieved over original, paired by round, with 95% t intervals",
} as const;
