// test lane: checkout
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { poolSizeFigure } from "../figures/pool_sizes.ts";
import { createScenario } from "../scenario.ts";
import { syntheticPlan, syntheticStudy } from "../testing/synthetic_study.ts";
import { conclusion } from "./answer.ts";
import { summaryReport } from "./export.ts";
import { poolSizeTable, readPoolSizes } from "./pool_sizes.ts";
import { loadStudy } from "./study.ts";

const shared = { framework: "flask", users: 64 } as const;
const SIZES = [1, 5, 10, 20];

async function studyOf(rps: Record<number, number>, functionalCheck = false) {
  const scenarios = [
    createScenario({ ...shared, path: "direct" }),
    ...SIZES.map((defaultPoolSize) =>
      createScenario({ ...shared, path: "pooled", defaultPoolSize })
    ),
  ];
  const plan = syntheticPlan({ rounds: 3, design: "alternating", scenarios, functionalCheck });
  using folder = syntheticStudy(plan, ({ scenario: { path, defaultPoolSize } }) => ({
    rps: path === "direct" ? 90 : rps[defaultPoolSize]!,
    medianMs: 5,
  }));
  return await loadStudy(folder.folder);
}

Deno.test("a study of pool sizes answers with the smallest that does", async () => {
  const study = await studyOf({ 1: 30, 5: 80, 10: 99, 20: 100 });
  const answer = String(conclusion(study));
  match(answer, /^- \*\*Flask at 64 users: default_pool_size 10\.\*\* It is the smallest tested/);
  // The pair of paths is the largest pool's.
  match(answer, /Flask, defaultPoolSize=20, reuse `app_pool`: /);
  ok(!answer.includes("defaultPoolSize=5"));
  const table = poolSizeTable(study);
  deepEqual(table.rows.map((row) => row[1]), SIZES);
  deepEqual(table.rows.map((row) => row[3]), ["31%", "81%", "99%", "100%"]);
  const report = summaryReport(study);
  match(report, /!\[.*\]\(plots\/pool_sizes\.png\)/);
  const figure = poolSizeFigure(study);
  equal(figure.title, "Flask at 64 users: default_pool_size 10");
  equal(figure.svg.match(/<circle/g)!.length >= SIZES.length, true);
});

Deno.test("sizes that do not differ are said to be flat, and those that scatter to be open", async () => {
  const flat = await studyOf({ 1: 99, 5: 100, 10: 100, 20: 99 });
  match(
    String(readPoolSizes(flat)),
    /any default_pool_size from 1 to 20\.\*\* All are shown to be/,
  );
});

Deno.test("a functional check chooses no pool size, and a study without sizes says how to", async () => {
  const check = await studyOf({ 1: 30, 5: 80, 10: 99, 20: 100 }, true);
  ok(!String(conclusion(check)).includes("default_pool_size"));
  ok(!String(readPoolSizes(check)).includes("default_pool_size 10"));
  equal(poolSizeTable(check).rows.length, 0);
  using folder = syntheticStudy(syntheticPlan({ rounds: 1 }));
  const none = await loadStudy(folder.folder);
  match(String(readPoolSizes(none)), /tries fewer than 3 pool sizes/);
  equal(poolSizeFigure(none).title, "No pool sizes to choose from");
});
