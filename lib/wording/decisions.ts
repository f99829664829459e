/**
 * Comparisons as they were decided.
 *
 * @module
 */

import type { ComparisonResult } from "../stats/family.ts";
import { formatSlowdown } from "./format.ts";

/**
 * How a comparison may be worded, or null where its ratio speaks for itself: a difference inside
 * the noise is never called one, and says what would have been found.
 *
 * @param result The comparison.
 */
export function describeNoDifference(
  { verdict, open, detectable }: Pick<ComparisonResult, "verdict" | "open" | "detectable">,
): string | null {
  switch (verdict) {
    case "higher":
    case "lower":
      return null;
    case "none":
      return "no round in which both succeeded";
    case "single":
      return "one round decides nothing";
    case "indistinguishable": {
      const found = detectable === null
        ? "no difference would have been found reliably"
        : `a slowdown of ${formatSlowdown(detectable)} would have been found`;
      return `${open ? "not decided yet" : "indistinguishable"}: ${found}`;
    }
  }
}
