/**
 * What limited each scenario, and what came of putting that to the test.
 *
 * @module
 */

import { capitalise, formatCount, formatList } from "./format.ts";

/** Verdicts, and the outcomes of their tests; `place` is an arm at its loads. */
export const bottleneckWords = {
  table: "What limited each scenario",
  confidence: (confidence: string, rounds: number, of: number) =>
    `${confidence} (${rounds} of ${formatCount(of, "round")})`,
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
  tested: (
    verdicts: number,
    counts: Record<"confirmed" | "refuted" | "undecided", number>,
  ) =>
    `Of ${formatCount(verdicts, "verdict")} that were put to the test, ${
      formatList(Object.entries(counts).flatMap(([outcome, n]) => n > 0 ? `${n} ${outcome}` : []))
    }`,
  notBelieved: (places: readonly string[]) => ` Not to be believed: ${formatList(places)}.`,
  confirmationTable: "Throughput relieved over original, paired by round, with 95% t intervals",
  oneRun: "one run",
} as const;
