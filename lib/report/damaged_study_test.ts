// test lane: checkout
/**
 * Studies of which something is damaged: single bytes, counts that disagree, the plan. In a file of its
 * own, as Deno gives back at once what a file's tests have read with Polars, in a time that grows with
 * its square: over a minute for what damage_test.ts reads and this together.
 */

import assert from "node:assert/strict";
import { cpSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SchemaVersionError } from "../errors.ts";
import {
  assertNamed,
  bytes,
  DAMAGES,
  inTurns,
  NAMES,
  plan,
  sign,
  text,
  withFile,
} from "../testing/damage.ts";
import { seededRandom, syntheticStudy } from "../testing/synthetic_study.ts";
import { exportTables } from "./export.ts";
import { loadStudy } from "./study.ts";

Deno.test("any byte of a signed run that is changed is noticed, or changes no number", async () => {
  using synthetic = syntheticStudy(inTurns);
  await sign(synthetic.firstRun);
  const before = await loadStudy(synthetic.folder);
  const random = seededRandom(7);
  for (let i = 0; i < 80; i++) {
    const name = NAMES[Math.floor(random() * NAMES.length)]!;
    const file = join(synthetic.firstRun, name);
    const at = Math.floor(random() * statSync(file).size);
    const flip = 1 << Math.floor(random() * 8);
    const after = await withFile(
      file,
      (whole) => whole.map((byte, j) => j === at ? byte ^ flip : byte),
      () => loadStudy(synthetic.folder).catch((error) => error as Error),
    );
    if (after instanceof Error) {
      assert.ok(after instanceof SchemaVersionError && name === "manifest.json", String(after));
    } else assertNamed(before, after, name, `${name}, byte ${at}, bit ${flip}`, true);
  }
});

Deno.test("counts that disagree make a run unreadable, whichever file is short", async () => {
  using synthetic = syntheticStudy(plan);
  const cases: [string, RegExp, string, RegExp][] = [
    [
      "final.json",
      /"requests": 200/,
      '"requests": 199',
      /requests\.csv has 200 requests, final\.json 199/,
    ],
    ["final.json", /"failures": 0/, '"failures": 3', /0 failures, final\.json 3/],
    ["final.json", /"unfinished": 0/, '"unfinished": 3', /0 unfinished, final\.json 3/],
    [
      "locust_stats.csv",
      /,Aggregated,200,/,
      ",Aggregated,205,",
      /locust_stats\.csv has 205 requests/,
    ],
    ["locust_exceptions.csv", /$/, '3,boom,"Traceback",local\r\n', /raised 3 exceptions/],
    [
      "final.json",
      /"windowEndUs": \d/,
      '"windowEndUs": 2',
      /its window is not that of final\.json/,
    ],
  ];
  for (const [name, what, by, cause] of cases) {
    const study = await withFile(
      join(synthetic.firstRun, name),
      (whole) => bytes(text(whole).replace(what, by)),
      () => loadStudy(synthetic.folder),
    );
    const failed = study.runs.filter((run) => run.status === "failed");
    assert.equal(failed.length, 1, `${name} ${by}`);
    assert.match(failed[0]!.cause!, cause);
    assert.equal(study.manifests.filter((m) => m.status === "failed").length, 1);
  }
});

Deno.test("a manifest of another run, or of another version, is not taken for this one", async () => {
  using synthetic = syntheticStudy(plan);
  const file = join(synthetic.firstRun, "manifest.json");
  const moved = await withFile(
    file,
    (whole) => bytes(text(whole).replace('"round": 1', '"round": 2')),
    () => loadStudy(synthetic.folder),
  );
  assert.match(moved.runs[0]!.cause!, /it is of .* round 2, not of this folder's run/);
  const other = await withFile(
    file,
    (whole) => bytes(text(whole).replace('"users": 10', '"users": 11')),
    () => loadStudy(synthetic.folder),
  );
  assert.equal(other.runs[0]!.status, "failed");
  await withFile(
    file,
    (whole) => bytes(text(whole).replace('"schemaVersion": 1', '"schemaVersion": 2')),
    () => assert.rejects(loadStudy(synthetic.folder), SchemaVersionError),
  );
  const final = join(synthetic.firstRun, "final.json");
  const newer = await withFile(
    final,
    (whole) => bytes(text(whole).replace('"schemaVersion": 1', '"schemaVersion": 2')),
    () => loadStudy(synthetic.folder),
  );
  assert.match(newer.warnings.join(), /final\.json: schema version is 2, this Poolscope reads 1/);
});

Deno.test("plan.json damaged is one line that names it; changed, it is told", async () => {
  using synthetic = syntheticStudy(plan);
  const file = join(synthetic.folder, "plan.json");
  for (const damage of ["cut in half", "empty", "another file", "zeros", "UTF-16"]) {
    await withFile(
      file,
      DAMAGES[damage]!,
      () =>
        assert.rejects(loadStudy(synthetic.folder), (error: Error) => {
          assert.match(error.message, /^Cannot read plan "[^\n]*plan\.json": [^\n]+$/, damage);
          return true;
        }),
    );
  }
  const changed = await withFile(
    file,
    (whole) => bytes(text(whole).replace('"windowS":2', '"windowS":60')),
    () => loadStudy(synthetic.folder),
  );
  assert.match(changed.warnings.join(), /plan\.json is not the plan of 4 of 4 runs/);
});

Deno.test("a study with one damaged run still exports, with the damage in its report", async () => {
  using synthetic = syntheticStudy(plan);
  writeFileSync(join(synthetic.firstRun, "requests.csv"), "");
  cpSync(synthetic.firstRun, `${synthetic.firstRun}.bak`, { recursive: true });
  const study = await loadStudy(synthetic.folder);
  const files = exportTables(study);
  const report = readFileSync(files[0]!, "utf8");
  assert.match(report, /1 of 2 failed: the run cannot be read \(requests\.csv: the file is empty/);
  assert.ok(!report.includes(synthetic.folder), "a report must not show where the checkout lies");
  const runs = readFileSync(files[2]!, "utf8").split("\n");
  assert.match(
    runs.find((line) => line.includes(",failed,"))!,
    /,10,,failed,,,,,,,,,,,,,,,,,,false,/,
  );
});
