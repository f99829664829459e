// test lane: checkout
import assert from "node:assert/strict";
import { cpSync, readFileSync } from "node:fs";
import { confirmationPlan } from "../diagnose/relief.ts";
import { connectionsFigure } from "../figures/over_time.ts";
import { syntheticPlan, syntheticStudy } from "../testing/synthetic_study.ts";
import { createScenario } from "../scenario.ts";
import { confirmationFolder } from "../store/layout.ts";
import { followUpStudy } from "../store/studies.ts";
import { exportTables } from "./export.ts";
import { loadStudy } from "./study.ts";
import {
  confirmationTable,
  readConfirmation,
  readVerdict,
  readVerdicts,
  verdictTable,
} from "./verdicts.ts";

/** Synthetic services use 98% of the database's quota, wherever there is one. */
const scenarios = (["direct", "pooled"] as const).map((path) =>
  createScenario({ framework: "flask", path, users: 10 })
);
const plan = syntheticPlan({ rounds: 3, windowS: 4, scenarios });
const plain = (text: unknown) => String(text).replaceAll("\u00a0", " ");

Deno.test("a study's reports say what limited each arm, with the figures", async () => {
  using folder = syntheticStudy(plan);
  const study = await loadStudy(folder.folder);
  assert.equal(
    plain(readVerdicts(study)),
    "What limited throughput, by rules over what the samplers saw:\n\n" +
      "- **The database's CPU quota**: Flask direct at 10 users and Flask pooled at 10 users",
  );
  const [first] = verdictTable(study).rows;
  assert.deepEqual(first!.slice(0, 3), ["Flask direct", "10 users", "The database's CPU quota"]);
  assert.match(String(first![3]), /^PostgreSQL used 0\.49 of its quota of 0\.5 cores/);
  assert.match(String(first![4]), /\(3 of 3 rounds\)$/);
  assert.match(
    plain(readVerdict(study, study.scenarios[1]!.scenarioId)),
    /^Flask pooled at 10 users: \*\*The database's CPU quota\*\*, with \w+ confidence\. PostgreSQL/,
  );
  const files = exportTables(study);
  assert.match(readFileSync(files[0]!, "utf8"), /## What limited each arm\n\nWhat limited/);
  const [header, row] = readFileSync(files[1]!, "utf8").split("\n");
  const field = (name: string) => row!.split(",")[header!.split(",").indexOf(name)];
  assert.equal(field("bottleneck"), "database_quota");
  assert.match(field("bottleneck_confidence")!, /^(high|medium)$/);
});

Deno.test("what came of putting verdicts to the test is told with its ratios", async () => {
  using folder = syntheticStudy(plan);
  const study = await loadStudy(folder.folder);
  assert.match(plain(readConfirmation(study, null)), /^The verdicts were not put to the test/);
  const { plan: test, folder: target } = followUpStudy(
    confirmationFolder(study.folder),
    () => confirmationPlan(study.plan, study.verdicts),
  )!;
  assert.equal(test.scenarios.length, 4);
  // Relief helps the direct arm alone.
  using made = syntheticStudy(test, ({ round, scenario: { path, dbCpus } }) => ({
    rps: (path === "direct" && dbCpus === null ? 200 : 100) + round,
    medianMs: 10,
  }));
  cpSync(made.folder, target, { recursive: true });
  const confirmation = (await study.confirmation())!;
  assert.equal(confirmation.name, "synthetic/confirmation");
  assert.equal(
    plain(readConfirmation(study, confirmation)),
    "Of 2 verdicts put to the test, 1 confirmed and 1 refuted. Refuted: " +
      "Flask pooled at 10 users.",
  );
  const rows = confirmationTable(study, confirmation).rows;
  assert.deepEqual(rows.map((row) => row.at(-1)), [
    "confirmed: throughput rose",
    "refuted: throughput did not rise",
  ]);
  assert.deepEqual(rows[0]!.slice(3, 5), ["dbCpus 0.5 → none", "1.98×"]);
  const [report] = exportTables(study, { confirmation });
  assert.match(readFileSync(report!, "utf8"), /1 confirmed and 1 refuted/);
});

Deno.test("connectionsFigure() draws what connections did, and PgBouncer's pool", async () => {
  using folder = syntheticStudy(plan);
  const study = await loadStudy(folder.folder);
  const { scenarioId, scenario } = study.scenarios[1]!;
  const points = await study.connections(scenarioId);
  const figure = connectionsFigure(points, { ...study, scenario });
  assert.match(plain(figure.title), /of 20 server connections in use, .* Flask pooled at 10/);
  assert.match(figure.svg, /default_pool_size/);
  assert.doesNotMatch(figure.svg, /NaN|undefined/);
  const direct = await study.connections(study.scenarios[0]!.scenarioId);
  assert.ok(direct.every(({ kind }) => !/_/.test(kind)));
  assert.match(connectionsFigure([], study).title, /^No connection/);
});
