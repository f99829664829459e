// test lane: checkout
import { deepEqual, equal, throws } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../store/layout.ts";
import { laneOf, LANES, testLanes } from "./lanes.ts";

function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

Deno.test("a test file without a lane runs alone, and an unknown lane is an error", () => {
  equal(laneOf("import x\n// test lane: copy\n"), "alone");
  equal(laneOf("// test lane: copy\nimport x\n"), "copy");
  throws(
    () => laneOf("// test lane: cpoy\n"),
    /No test lane "cpoy"; lanes are checkout, copy, docker/,
  );
});

Deno.test("each lane has files, and a lane is named in a first line alone", () => {
  const lanes = testLanes();
  for (const lane of LANES) equal(lanes[lane].length > 0, true, lane);
  for (const file of Object.values(lanes).flat()) {
    const misplaced = read(file).split("\n").slice(1).filter((line) =>
      /^\/\/ ?test lane/.test(line)
    );
    deepEqual(misplaced, [], file);
  }
});

Deno.test("what uses Docker is in one lane, and what measures is in none", () => {
  const lanes = testLanes();
  const uses = (pattern: RegExp) => (file: string) => pattern.test(read(file));
  const beside = [...lanes.checkout, ...lanes.copy];
  deepEqual(beside.filter(uses(/^import .*testing\/(docker|compose_cli)/m)), []);
  // Gates and measured distances judge how a run went, which other programs change. What they make
  // a gate fire for is no fault where gates are made to fire.
  const measures = /^import .*(diagnose\/gates|bench\/verdicts|verify\/network|load\/run)\.ts"/m;
  deepEqual([...beside, ...lanes.docker].filter(uses(measures)), ["lib/gates_fired_test.ts"]);
});
