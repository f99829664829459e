/** Claims in executed notebooks that the data does not bear. */

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { z } from "zod";
import { PoolscopeError } from "../errors.ts";
import { CLAIM_TYPE } from "../store/layout.ts";
import { claimedWords as say } from "../wording/claimed.ts";
import { parseNotebook } from "./notebook.ts";

const CLAIMED = z.object({
  data: z.object({
    [CLAIM_TYPE]: z.object({
      holds: z.boolean(),
      sentence: z.string(),
      value: z.string().nullable(),
    }),
  }),
});

/**
 * The claims of an executed notebook that do not hold, with the place of each.
 *
 * @param path The notebook's file.
 * @throws {PoolscopeError} If it cannot be read.
 */
export function falseClaims(path: string): string[] {
  const name = basename(path);
  const { cells } = parseNotebook(readFileSync(path, "utf8"), name);
  return cells.flatMap(({ outputs = [] }, i) =>
    outputs.flatMap((output) => {
      const claimed = CLAIMED.safeParse(output).data?.data[CLAIM_TYPE];
      if (claimed === undefined || claimed.holds) return [];
      return [say.place(name, i + 1, claimed.sentence, claimed.value)];
    })
  );
}

/** The error of a strict export, of such claims. */
export function claimsError(places: readonly string[]): PoolscopeError {
  return new PoolscopeError(say.strict(places));
}
