/**
 * The words of the published result beside a study.
 *
 * @module
 */

import { formatRatio } from "./format.ts";

/** The table of the published result. */
export const publishedWords = {
  caption: (users: number, study: string) =>
    `The published result (one run per cell, ${users} users, RPS direct → pooled) against ${study}`,
  cell: (direct: string, pooled: string, ratio: number | null) =>
    `${direct} → ${pooled}${ratio === null ? "" : `: ${formatRatio(ratio)}`}`,
  publishedCell: (direct: number, pooled: number, note: string | null) =>
    `${direct} → ${pooled}: ${formatRatio(pooled / direct)}${
      note === null ? "" : `; direct failed, ${direct} is ${note}`
    }`,
  notRun: "not run yet",
  failed: "failed",
  rejected: "rejected",
  equalWithin: "indistinguishable here; published ratio inside the interval",
  equalBeyond: "not met: indistinguishable here",
  opposite: "not met: the opposite direction",
  sameWithin: "met: same direction, published ratio inside the interval",
  sameBeyond: "met in direction, not in size",
} as const;
