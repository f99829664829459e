// test lane: checkout
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PlannedRun } from "../plan.ts";
import { createScenario } from "../scenario.ts";
import { nominalLevels } from "../stats/spending.ts";
import { runFolder } from "../store/layout.ts";
import { syntheticPlan, syntheticStudy } from "../testing/synthetic_study.ts";
import { conclusion } from "./answer.ts";
import { describeStudy, readRatios } from "./readings.ts";
import { exportTables, summaryReport } from "./export.ts";
import { loadStudy } from "./study.ts";
import { carryOverTable, readAlternation, turnsTable } from "./alternation.ts";

const scenarios = (["direct", "pooled"] as const).map((path) =>
  createScenario({ framework: "flask", path, users: 10 })
);
const plan = syntheticPlan({
  rounds: 2,
  windowS: 20,
  warmUpS: 3,
  design: "alternating",
  scenarios,
});
const runs = () => ({ rps: 100, medianMs: 10 });

Deno.test("a study whose arms took turns says so, in starts, blocks and slices", async () => {
  using folder = syntheticStudy(plan, runs);
  const study = await loadStudy(folder.folder);
  deepEqual(study.warnings, []);
  const text = String(describeStudy(study));
  match(text, /2 arms at 10 users; arms that are compared stand side by side and take turns\./);
  match(text, /2 starts, in each a warm-up of at least 6 s per arm, then blocks in which each arm/);
  match(
    text,
    /a slice of 20 s or more, in random order: 20 blocks per arm\. 4 runs, all complete\./,
  );
  const report = summaryReport(study);
  ok(!/windows of|20 s windows/.test(report));
  match(report, /\| warm-up of each arm, and slice \| all arms \| at least 6 s and 20 s \|/);
  match(report, /20 blocks in 2 starts/);
  exportTables(study);
});

Deno.test("what taking turns may hide is told with its n, and not of other studies", async () => {
  using folder = syntheticStudy(plan, runs);
  const study = await loadStudy(folder.folder);
  const report = summaryReport(study);
  match(report, /## What taking turns may hide/);
  match(report, /no arm of which it could be read used more than 2% of its CPU there/);
  match(
    report,
    /\*\*Slices settle\*\*: late halves differ from early ones by at most 5%, of all arms\./,
  );
  const [direct] = turnsTable(study).rows;
  match(String(direct![2]), /^0\.0%, n = \d+ s$/);
  match(String(direct![4]), /× \[.*\], n = 20$/);
  equal(carryOverTable(study).rows.length, 1);
  using other = syntheticStudy(syntheticPlan({ rounds: 2, scenarios }), runs);
  const consecutive = await loadStudy(other.folder);
  ok(!summaryReport(consecutive).includes("taking turns"));
  equal(String(readAlternation(consecutive)), "No arms took turns: each was measured by itself.");
});

Deno.test("a study that was stopped between its looks shows what the last of them showed", async () => {
  using folder = syntheticStudy({ ...plan, rounds: 3 }, ({ scenario, round }) => ({
    ...runs(),
    absent: round === 3 && scenario.path === "pooled",
  }));
  const study = await loadStudy(folder.folder);
  const [ratio] = study.ratios;
  const level = nominalLevels([1, 2, 3], 0.05, 3)[1];
  deepEqual([ratio!.n, ratio!.blocks, ratio!.level, ratio!.open], [2, 20, level, true]);
  deepEqual([study.family.looked, study.missing.length], [2, 1]);
  match(
    String(readRatios(study)),
    /The plan has 3 starts and no further ones; intervals allow for looks after 1, 2 and 3 of them\./,
  );
});

Deno.test("P95 is told of each load: its ratio, too few requests, or not decided yet", async () => {
  const loads = [10, 100].flatMap((users) =>
    scenarios.map(({ path }) => createScenario({ framework: "flask", path, users }))
  );
  const told = async (rounds: number) => {
    const describe = ({ scenario, round }: PlannedRun) => ({
      medianMs: 10,
      rps: scenario.users === 10 ? 300 : 20,
      absent: round > 2,
    });
    using folder = syntheticStudy({ ...plan, rounds, scenarios: loads }, describe);
    return String(conclusion(await loadStudy(folder.folder)));
  };
  match(
    await told(2),
    /P95 service time: pooled over direct \d\.\d\d× \[.+?\] at 10 users, too few requests at 100 users/,
  );
  match(await told(3), /P95 service time: not decided yet at 10 and 100 users/);
});

Deno.test("a study says how many of its starts were made", async () => {
  using folder = syntheticStudy(
    { ...plan, rounds: 3 },
    ({ round }) => ({ ...runs(), absent: round > 1 }),
  );
  const study = await loadStudy(folder.folder);
  match(
    String(describeStudy(study)),
    /take turns\. 1 of 3 starts, in each a warm-up of at least 6 s/,
  );
  match(String(readRatios(study)), /\(standard deviation, over 1 start of all comparisons\)/);
});

Deno.test("where starts differ, more of them are advised, not more minutes of each", async () => {
  const adviceOf = async (minutes?: number) => {
    const wanted = { ...plan, rounds: 3, ...(minutes !== undefined && { minutes }) };
    using folder = syntheticStudy(wanted, ({ scenario, round }) => ({
      ...runs(),
      rps: scenario.path === "direct" ? 100 : [60, 150, 110][round - 1]!,
    }));
    const study = await loadStudy(folder.folder);
    ok(study.ratios[0]!.startsShare > 0.9, `${study.ratios[0]!.startsShare}`);
    return String(conclusion(study));
  };
  const advice =
    /starts differ too much for more minutes of each: (\d+) starts \(`--rounds (\d+)`\) would/;
  const [, starts, rounds] = advice.exec(await adviceOf())!;
  equal(starts, rounds);
  ok(Number(starts) > 10);
  match(await adviceOf(6), new RegExp(`--rounds ${starts} --minutes ${2 * Number(starts)}`));
});

/** A study in whose first start another program takes the machine from the 14th second on. */
async function disturbedUntil(untilS: number) {
  using folder = syntheticStudy(plan, runs);
  const before = await loadStudy(folder.folder);
  // From the load's start: two warm-ups of 3 s, then blocks of twice 2 s; in all files of a start.
  for (const { scenarioId } of before.scenarios) {
    const file = join(runFolder(folder.folder, scenarioId, 1), "resources.csv");
    const lines = readFileSync(file, "utf8").trimEnd().split("\n").map((line) => {
      const fields = line.split(",");
      const second = Number(fields[0]) / 1e6 - 1_700_000_000;
      const others = 2 * Math.max(0, Math.min(second, untilS) - 14);
      if (fields[1] === "host") fields[2] = String(Number(fields[2]) + others);
      return fields.join(",");
    });
    writeFileSync(file, lines.join("\n") + "\n");
  }
  return await loadStudy(folder.folder);
}

Deno.test("blocks in which another program took the machine are left out of every arm", async () => {
  // Blocks 3 and 4.
  const study = await disturbedUntil(22);
  for (const run of study.runs) {
    const blocks = run.slices!.map(({ block }) => block);
    const left = run.round === 1 ? [1, 2, 5, 6, 7, 8, 9, 10] : [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    deepEqual([run.status, blocks], ["ok", left], run.scenarioId);
    ok(Math.abs(run.rps - 100) < 2);
  }
  deepEqual(study.ratios.map(({ blocks }) => blocks), [18]);
  match(
    summaryReport(study),
    /<b>Blocks left out<\/b>: .*\(2 of 4 runs\)<\/summary>\n\nAt worst, 2 of 10 blocks\./,
  );
});

Deno.test("where another program took the machine for most of the time, all blocks count", async () => {
  const study = await disturbedUntil(38);
  deepEqual(study.ratios.map(({ blocks }) => blocks), [20]);
  match(summaryReport(study), /<b>Other programs on the machine<\/b>: .*\(2 of 4 runs\)/);
});
