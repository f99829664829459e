/**
 * What came of a study, as the event at its report's end says it.
 *
 * @module
 */

import { pairName } from "../figures/claims.ts";
import type { ThroughputRatio } from "../stats/summary.ts";
import type { DecidedComparison, ReportFinished } from "../store/events.ts";
import { answerWords as say } from "../wording/answer.ts";
import { atLevels } from "../wording/format.ts";
import { conclusion } from "./answer.ts";
import type { Study } from "./study.ts";

function describeComparison(comparison: ThroughputRatio, label: string): DecidedComparison {
  const { n, ratio, verdict } = comparison;
  const { value = null, low = null, high = null } = ratio ?? {};
  return { label, n, ratio: value, low, high, verdict };
}

/** The answer to the question, and every comparison of throughput; a functional check has none. */
export function describeOutcome(study: Study): Pick<ReportFinished, "answer" | "comparisons"> {
  return {
    answer: String(conclusion(study)),
    comparisons: study.context.functionalCheck ? [] : [
      ...study.ratios.map((pair) =>
        describeComparison(pair, say.pooledToDirect(pairName(pair), atLevels([pair])))
      ),
      ...study.armRatios.map((pair) =>
        describeComparison(pair, say.armToArm(pair.otherArm, pair.baseArm, atLevels([pair])))
      ),
    ],
  };
}
