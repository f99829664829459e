// test lane: checkout
/**
 * Damages every file of a run in every way and holds what is read of the study against what was
 * read before: either the numbers are the same to the last digit, or the damage is named.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SchemaVersionError } from "../errors.ts";
import { seededRandom, syntheticPlan, syntheticStudy } from "../testing/synthetic_study.ts";
import { createScenario } from "../scenario.ts";
import { hashRunFiles } from "../store/files.ts";
import { RUN_FILES } from "../store/layout.ts";
import { exportTables, summaryReport } from "./export.ts";
import { loadStudy, type Study } from "./study.ts";

const scenarios = (["direct", "pooled"] as const).map((path) =>
  createScenario({ framework: "flask", path, users: 10 })
);
const plan = syntheticPlan({ rounds: 2, scenarios });
/** One arm, for what reads its study hundreds of times. */
const oneArm = syntheticPlan({ rounds: 2, scenarios: scenarios.slice(1) });
/** One that took turns: the manifests of such runs always have hashes. */
const inTurns = syntheticPlan({ ...oneArm, design: "alternating" });

const NAMES = [...RUN_FILES, "manifest.json"] as const;
type Bytes = Uint8Array<ArrayBufferLike>;

const text = (bytes: Bytes) => new TextDecoder().decode(bytes);
const bytes = (content: string) => new TextEncoder().encode(content);

/** Replaces the last match: in a CSV that is a value of a row, and never the header's. */
function replaceLast(content: string, what: RegExp, by: string): string {
  const last = [...content.matchAll(new RegExp(what, "g"))].at(-1);
  if (last === undefined) return content;
  return content.slice(0, last.index) + by + content.slice(last.index + last[0].length);
}

/** Ways to damage a file; null removes it. */
const DAMAGES: Record<string, (whole: Bytes) => Bytes | null> = {
  "missing": () => null,
  "empty": () => bytes(""),
  "cut in half": (whole) => whole.slice(0, whole.length >> 1),
  "cut by one byte": (whole) => whole.slice(0, -1),
  "first line only": (whole) => bytes(text(whole).split("\n")[0] + "\n"),
  "last line gone": (whole) =>
    bytes(text(whole).trimEnd().split("\n").slice(0, -1).join("\n") + "\n"),
  "last line twice": (whole) =>
    bytes(text(whole) + text(whole).trimEnd().split("\n").at(-1) + "\n"),
  "not UTF-8": (whole) => new Uint8Array([...whole.slice(0, -2), 0xe9, 0xff, ...whole.slice(-2)]),
  "UTF-16": (whole) => new Uint8Array([...whole].flatMap((byte) => [byte, 0])),
  "zeros": (whole) => new Uint8Array(whole.length),
  "byte order mark": (whole) => new Uint8Array([0xef, 0xbb, 0xbf, ...whole]),
  "other line ends": (whole) =>
    bytes(text(whole).replaceAll("\r\n", "\n").replaceAll("\n", "\r\n")),
  "columns reordered": (whole) =>
    bytes(text(whole).split("\n").map((line) => line.split(",").reverse().join(",")).join("\n")),
  "a number is NaN": (whole) => bytes(replaceLast(text(whole), /\b\d+\b/, "NaN")),
  "a number is infinite": (whole) => bytes(replaceLast(text(whole), /\b\d+\b/, "inf")),
  "a number is negative": (whole) => bytes(replaceLast(text(whole), /\b\d+\b/, "-7")),
  "a number is huge": (whole) => bytes(replaceLast(text(whole), /\b\d+\b/, "9".repeat(30))),
  "a quote is left open": (whole) => bytes(replaceLast(text(whole), /\b\d+\b/, '"12')),
  "another file": () => bytes("<!doctype html><title>404</title>\n"),
};

/** All that a reader of the study sees in numbers; without what only gates and claims look at. */
function numbers({ scenarios, ratios, runs }: Study, onlyShown = false): string {
  const told = runs.map((run) => onlyShown ? { ...run, telemetry: null, conditions: null } : run);
  return JSON.stringify({ scenarios, ratios, runs: told });
}

/** Files of the first run with their hashes in its manifest, as a real run has them. */
async function sign(folder: string): Promise<void> {
  const file = join(folder, "manifest.json");
  const manifest = JSON.parse(readFileSync(file, "utf8"));
  manifest.files = await hashRunFiles(folder);
  writeFileSync(file, JSON.stringify(manifest, null, 2));
}

/** Does something to a copy of one file, reads the study, and puts the file back. */
async function withFile<T>(
  file: string,
  change: (whole: Bytes) => Bytes | null,
  read: () => Promise<T>,
): Promise<T> {
  const whole = readFileSync(file);
  try {
    const damaged = change(whole);
    if (damaged === null) rmSync(file);
    else writeFileSync(file, damaged);
    return await read();
  } finally {
    writeFileSync(file, whole);
  }
}

/** Asserts that the damage changed no number, or that it is named and nothing is a point or zero. */
function assertNamed(
  before: Study,
  after: Study,
  name: string,
  label: string,
  signed: boolean,
): void {
  const own = after.runs.find((run) => run.round === 1 && run.scenarioId === firstId)!;
  const others = (study: Study) =>
    study.runs.filter((run) => run.round !== 1 || run.scenarioId !== firstId);
  assert.deepEqual(others(after), others(before), `${label}: another run changed`);
  const told = after.warnings.some((line) => line.includes(name)) &&
    String(summaryReport(after)).includes(name);
  if (own.status === "ok") {
    // What gates and claims look at is left out where their files are damaged, and no other number
    // with it. Without a hash, a shorter file of samples is as good as a whole one.
    const unknown = told
      ? /^(app|postgres|pgbouncer|resources|statements)\.csv$|^final\.json$/.test(name)
      : !signed && /^(app|resources)\.csv$/.test(name);
    assert.equal(
      numbers(after, unknown),
      numbers(before, unknown),
      `${label}: numbers changed unnoticed`,
    );
    return;
  }
  assert.ok(told, `${label}: not named in ${after.warnings}`);
  assert.match(
    own.cause!,
    /^Flask (direct|pooled): the run cannot be read \([\w.]+(, line \d+)?: /,
  );
  assert.ok(!own.cause!.includes("\n") && !own.measured, label);
  const cell = after.scenarios.find(({ scenarioId }) => scenarioId === own.scenarioId)!;
  assert.deepEqual([cell.n, cell.failedRuns, cell.failedRps], [1, 1, null], label);
  assert.ok(cell.rps!.value > 50, `${label}: a zero entered the mean`);
}

let firstId = "";

for (const signed of [true, false]) {
  const kind = signed ? "with hashes" : "without hashes";
  Deno.test(`every file damaged in every way changes no number unnamed, ${kind}`, async () => {
    using synthetic = syntheticStudy(signed ? inTurns : oneArm);
    if (signed) await sign(synthetic.firstRun);
    const before = await loadStudy(synthetic.folder);
    assert.deepEqual(before.warnings, []);
    firstId = before.runs[0]!.scenarioId;
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

Deno.test("any byte of a signed run that is changed is noticed, or changes no number", async () => {
  using synthetic = syntheticStudy(inTurns);
  await sign(synthetic.firstRun);
  const before = await loadStudy(synthetic.folder);
  firstId = before.runs[0]!.scenarioId;
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
