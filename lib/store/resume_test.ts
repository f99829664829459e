// test lane: checkout
import { deepEqual, rejects } from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SchemaVersionError } from "../errors.ts";
import { namedPlan, planRuns } from "../plan.ts";
import { hashFile } from "./files.ts";
import { runFolder, SCHEMA_VERSION } from "./layout.ts";
import { findPending } from "./studies.ts";

const runs = planRuns(namedPlan("smoke")).slice(0, 2);
const [first, second] = runs as [(typeof runs)[number], (typeof runs)[number]];

/** A study whose first run is complete. */
async function study(status: "ok" | "failed" = "ok") {
  const folder = Deno.makeTempDirSync();
  const place = runFolder(folder, first.id, first.round);
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, "requests.csv"), "start_us\n1\n");
  const manifest = {
    schemaVersion: SCHEMA_VERSION,
    study: "x",
    plan: {},
    scenarioId: first.id,
    scenario: {},
    round: 1,
    order: 1,
    status,
    cause: status === "ok" ? null : "it broke",
    engine: "local",
    versions: {},
    gitCommit: null,
    host: {},
    limits: {},
    limitsWarning: null,
    appOptions: {},
    exitCodes: {},
    window: { startUs: 1, endUs: 2 },
    files: { "requests.csv": await hashFile(join(place, "requests.csv")) },
  };
  const write = (changes = {}) =>
    writeFileSync(join(place, "manifest.json"), JSON.stringify({ ...manifest, ...changes }));
  write();
  return { folder, place, write };
}

Deno.test("findPending() finds what has no manifest, and failed runs on request", async () => {
  deepEqual((await findPending((await study()).folder, runs)).runs, [second]);
  const { folder } = await study("failed");
  deepEqual((await findPending(folder, runs)).runs, [second]);
  deepEqual((await findPending(folder, runs, { retryFailed: true })).runs, [first, second]);
});

Deno.test("findPending() names the file that is not as its manifest says", async () => {
  const cases: [string, string, (place: string) => void][] = [
    [
      "requests.csv",
      "does not match its hash",
      (place) => writeFileSync(join(place, "requests.csv"), "start_us\n2\n"),
    ],
    ["requests.csv", "is missing", (place) => rmSync(join(place, "requests.csv"))],
    ["manifest.json", "is damaged", (place) => writeFileSync(join(place, "manifest.json"), "{")],
    ["manifest.json", "is damaged", (place) => writeFileSync(join(place, "manifest.json"), "")],
  ];
  for (const [file, problem, damage] of cases) {
    const { folder, place } = await study();
    damage(place);
    deepEqual(await findPending(folder, runs), {
      runs: [first, second],
      damaged: [{ run: first, file, problem }],
    });
  }
});

Deno.test("findPending() leaves what another version wrote alone", async () => {
  const { folder, write } = await study();
  write({ schemaVersion: 99 });
  await rejects(() => findPending(folder, runs), SchemaVersionError);
});
