/** Ways to damage the files of a run, and what must be told of it. */

import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { summaryReport } from "../report/export.ts";
import type { Study } from "../report/study.ts";
import { createScenario } from "../scenario.ts";
import { hashRunFiles } from "../store/files.ts";
import { RUN_FILES } from "../store/layout.ts";
import { syntheticPlan } from "./synthetic_study.ts";

const scenarios = (["direct", "pooled"] as const).map((path) =>
  createScenario({ framework: "flask", path, users: 10 })
);
/** Of two arms. */
export const plan = syntheticPlan({ rounds: 2, scenarios });
/** One arm, for what reads its study hundreds of times. */
export const oneArm = syntheticPlan({ rounds: 2, scenarios: scenarios.slice(1) });
/** One that took turns: the manifests of such runs always have hashes. */
export const inTurns = syntheticPlan({ ...oneArm, design: "alternating" });

/** What can be damaged of a run. */
export const NAMES = [...RUN_FILES, "manifest.json"] as const;
export type Bytes = Uint8Array<ArrayBufferLike>;

export const text = (bytes: Bytes) => new TextDecoder().decode(bytes);
export const bytes = (content: string) => new TextEncoder().encode(content);

/** Replaces the last match: in a CSV that is a value of a row, and never the header's. */
function replaceLast(content: string, what: RegExp, by: string): string {
  const last = [...content.matchAll(new RegExp(what, "g"))].at(-1);
  if (last === undefined) return content;
  return content.slice(0, last.index) + by + content.slice(last.index + last[0].length);
}

/** Ways to damage a file; null removes it. */
export const DAMAGES: Record<string, (whole: Bytes) => Bytes | null> = {
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
export async function sign(folder: string): Promise<void> {
  const file = join(folder, "manifest.json");
  const manifest = JSON.parse(readFileSync(file, "utf8"));
  manifest.files = await hashRunFiles(folder);
  writeFileSync(file, JSON.stringify(manifest, null, 2));
}

/** Does something to a copy of one file, reads the study, and puts the file back. */
export async function withFile<T>(
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
export function assertNamed(
  before: Study,
  after: Study,
  name: string,
  label: string,
  signed: boolean,
): void {
  const { scenarioId } = before.runs[0]!;
  const isFirst = (run: Study["runs"][number]) => run.round === 1 && run.scenarioId === scenarioId;
  const own = after.runs.find(isFirst)!;
  const others = (study: Study) => study.runs.filter((run) => !isFirst(run));
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
