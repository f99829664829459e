// test lane: checkout
/**
 * Damages every file of a run in every way and holds what is read of the study against what was
 * read before: either the numbers are the same to the last digit, or the damage is named.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  assertNamed,
  type Bytes,
  DAMAGES,
  inTurns,
  NAMES,
  oneArm,
  sign,
  withFile,
} from "../testing/damage.ts";
import { syntheticStudy } from "../testing/synthetic_study.ts";
import { loadStudy } from "./study.ts";

for (const signed of [true, false]) {
  const kind = signed ? "with hashes" : "without hashes";
  Deno.test(`every file damaged in every way changes no number unnamed, ${kind}`, async () => {
    using synthetic = syntheticStudy(signed ? inTurns : oneArm);
    if (signed) await sign(synthetic.firstRun);
    const before = await loadStudy(synthetic.folder);
    assert.deepEqual(before.warnings, []);
    let unchanged = 0, named = 0;
    for (const name of NAMES) {
      if (name === "slices.csv" && !signed) continue;
      for (const [damage, change] of Object.entries(DAMAGES)) {
        // A run without a manifest is not damaged: it was never complete.
        if (name === "manifest.json" && damage === "missing") continue;
        const label = `${name}, ${damage}`;
        const file = join(synthetic.firstRun, name);
        const after = await withFile(file, change, () => loadStudy(synthetic.folder));
        assertNamed(before, after, name, label, signed);
        if (after.warnings.length > 0) named++;
        else unchanged++;
        // With hashes nothing passes unnoticed but a manifest, which has none.
        const same = equal(change(readFileSync(file)), readFileSync(file));
        if (signed && name !== "manifest.json" && !same) {
          assert.ok(after.warnings.some((line) => line.includes(name)), `${label}: unnoticed`);
        }
      }
    }
    assert.ok(named > 100 && (signed || unchanged > 0), `${named} named, ${unchanged} unchanged`);
  });
}

function equal(a: Bytes | null, b: Bytes): boolean {
  const hash = (content: Bytes) => createHash("sha256").update(content).digest("hex");
  return a !== null && hash(a) === hash(b);
}
