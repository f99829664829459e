/** Sentences that hold only while data says so, in a reader's notebook as in Poolscope's own. */

import { UsageError } from "../errors.ts";
import { CLAIM_TYPE } from "../store/layout.ts";
import { claimedWords as say } from "../wording/claimed.ts";

/** A sentence and whether it holds. */
class BoundSentence {
  /** Made by {@linkcode claim}. */
  constructor(
    readonly holds: boolean,
    readonly sentence: string,
    readonly value: string | null,
  ) {}

  /** How Jupyter shows it: the sentence, or that it is not shown, with what is there instead. */
  [Symbol.for("Jupyter.display")](): Record<string, unknown> {
    const { holds, sentence, value } = this;
    return {
      "text/markdown": this.toString(),
      "text/plain": this.toString(),
      [CLAIM_TYPE]: { holds, sentence, value },
    };
  }

  /** The sentence, or that it is not shown. */
  toString(): string {
    return this.holds ? this.sentence : say.notShown(this.sentence, this.value);
  }
}

/**
 * A sentence of conclusion that is bound to the data: where that no longer bears it, the page says "not
 * shown" with the value, and `deno task export --strict` fails and names the cell.
 *
 * @param holds Whether it is so, computed from the study.
 * @param sentence The sentence, in Markdown.
 * @param value What the data says, shown where it does not hold. @default nothing
 * @throws {UsageError} If it is not said whether it holds.
 *
 * @example
 * ```ts
 * import { claim } from "poolscope";
 *
 * const ratio = 0.98;
 * const said = claim(ratio > 1.05, "PgBouncer pays here.", ratio);
 * console.assert(String(said) === "**Not shown** (0.98): PgBouncer pays here.");
 * ```
 */
export function claim(
  holds: boolean,
  sentence: string,
  value: string | number | null = null,
): BoundSentence {
  if (typeof holds !== "boolean") {
    throw new UsageError(`Cannot claim "${sentence}": give true or false first, not ${holds}`);
  }
  return new BoundSentence(holds, sentence, value === null ? null : String(value));
}
