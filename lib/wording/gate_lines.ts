/**
 * What the gates that fired say together: how many runs count, and a line for each of them.
 *
 * @module
 */

import { capitalise, formatCount, formatList } from "./format.ts";

/** A line for each gate, under its kind; the head counts the runs. */
export const gateLines = {
  /** By kind: what its gates do to what is said. */
  kinds: {
    reject: "Rejected: in no mean and no comparison",
    limit: "Limits of every claim below",
    finding: "Findings: why the numbers are what they are",
  },
  everyRun: "every run",
  everyCell: (runs: number, all: number) => `every cell (${runs} of ${all} runs)`,
  /** Arms by where they have their cells. */
  cells: (places: readonly [at: string, arms: readonly string[]][], runs: number, all: number) =>
    `${places.map(([at, arms]) => `${formatList(arms)} ${at}`).join("; ")} (${
      runs === all ? formatCount(runs, "run") : `${runs} of ${all} runs`
    })`,
  atMost: "at most ",
  atWorst: "at worst, ",
  seen: (seen: string, cause: string, next: string) =>
    `${capitalise(seen)}. *Likely cause:* ${cause}. *Next step:* ${next}.`,
  counted: (
    { ok, rejected, failed }: Record<"ok" | "rejected" | "failed", number>,
    fired: number,
    gates: number,
  ) => {
    const rest = [
      ...(rejected > 0 ? [`${rejected} rejected`] : []),
      ...(failed > 0 ? [`${failed} failed`] : []),
    ];
    return `${ok} of ${formatCount(ok + rejected + failed, "run")} count${
      rest.length === 0 ? "" : `, ${formatList(rest)}`
    }; ${fired === 0 ? "none" : fired} of ${gates} gates fired.`;
  },
  check: " A functional check concludes nothing, so that it rejects nothing for its numbers.",
} as const;
