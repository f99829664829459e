/** How a report tells of the gates that fired. */

import { capitalise, formatCount, formatList, formatPart } from "./format.ts";

/** A line for each gate, under its kind; the head counts the runs. */
export const gateLines = {
  /** By kind: what its gates do to what is said. */
  kinds: {
    reject: "Rejected: in no mean and no comparison",
    limit: "Limits of every claim below",
    finding: "Findings: why the numbers are what they are",
  },
  everyRun: "every run",
  everyCell: (runs: number, all: number) => `every cell (${formatPart(runs, all, "run")})`,
  /** Arms by where they have their cells. */
  cells: (places: readonly [at: string, arms: readonly string[]][], runs: number, all: number) => {
    const arms = places.map(([at, arms]) => `${formatList(arms)} ${at}`).join("; ");
    return `${arms} (${runs === all ? formatCount(runs, "run") : formatPart(runs, all, "run")})`;
  },
  atMost: "at most: ",
  atWorst: "at worst, ",
  seen: (seen: string, cause: string, next: string) =>
    `${capitalise(seen)}. *Likely cause:* ${cause}. *Next step:* ${next}.`,
  counted: (
    { ok, rejected, failed }: Record<"ok" | "rejected" | "failed", number>,
    fired: number,
    gates: number,
  ) => {
    const others = Object.entries({ rejected, failed })
      .flatMap(([status, runs]) => runs > 0 ? [`${runs} ${status}`] : []);
    const rest = others.length === 0 ? "" : `, ${formatList(others)}`;
    const verb = ok === 1 ? "counts" : "count";
    const counts = `${formatPart(ok, ok + rejected + failed, "run")} ${verb}`;
    return `${counts}${rest}; ${fired || "none"} of ${gates} gates fired.`;
  },
  check: " A functional check concludes nothing, and so rejects nothing for its numbers.",
} as const;
