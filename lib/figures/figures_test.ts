// test lane: checkout
import assert from "node:assert/strict";
import { parseHTML } from "linkedom";
import { syntheticPlan, type SyntheticRun, syntheticStudy } from "../testing/synthetic_study.ts";
import { FRAMEWORKS, namedPlan, type Plan, type PlannedRun } from "../plan.ts";
import { createScenario, PATHS } from "../scenario.ts";
import { loadStudy, type Study } from "../report/study.ts";
import { p95ComparisonFigure, rpsComparisonFigure } from "./comparison.ts";
import { distributionFigure } from "./distribution.ts";
import type { Figure } from "./figure.ts";
import { latencyFigure, openLoopFigure, openLoopPercentile, throughputFigure } from "./levels.ts";
import { scenarioMatrixFigure } from "./matrix.ts";
import { ratioFigure } from "./ratio.ts";
import { resourceFigure } from "./over_time.ts";
import { logTicks, textWidth, wrapLabel } from "./style.ts";
import { waterfallFigure } from "./waterfall.ts";
import { compareScenarios } from "../stats/comparisons.ts";
import { waterfalls } from "../stats/waterfall.ts";

async function studyOf(plan: Plan, describe: (run: PlannedRun) => SyntheticRun): Promise<Study> {
  using folder = syntheticStudy(plan, describe);
  return await loadStudy(folder.folder);
}

/** Marks of one kind: circles, symbols, rules or texts inside groups with this description. */
function marks(figure: Figure, description: string): Element[] {
  const { document } = parseHTML(`<html><body>${figure.svg}</body></html>`);
  return [...document.querySelectorAll(`[aria-description="${description}"]`)]
    .flatMap((group) => [...group.querySelectorAll("circle, path, line, rect, text")]);
}

function textOf(figure: Figure): string {
  const { document } = parseHTML(`<html><body>${figure.svg}</body></html>`);
  return [...document.querySelectorAll("text")].map((text) => text.textContent).join(" ");
}

const cause = "PostgreSQL refused connections (too many clients already)";

/** FastAPI direct fails at 1000 users, Flask pooled in round 2; Django pooled is twice as fast. */
function mixed({ scenario, round }: PlannedRun): SyntheticRun {
  const { framework, path, users } = scenario;
  const noise = path === "pooled" ? round % 2 : 0;
  const run = { rps: 100 + 4 * round + noise, medianMs: users! / 10 };
  if (framework === "fastapi" && path === "direct" && users === 1000) {
    return { rps: 10, medianMs: 5, failuresPerS: 90, cause };
  }
  if (framework === "flask" && path === "pooled" && round === 2) {
    return { ...run, cause: "timeouts" };
  }
  if (framework === "flask" && users === 1000) return { ...run, unfinished: 200 };
  return framework === "django" && path === "pooled" ? { ...run, rps: 2 * run.rps } : run;
}

const study = await studyOf(syntheticPlan({ rounds: 4, windowS: 25 }), mixed);

Deno.test("throughputFigure() draws every scenario, interval, run and failure once", () => {
  const figure = throughputFigure(study.scenarios, study);
  assert.equal(marks(figure, "scenario").length, 11);
  assert.equal(marks(figure, "interval").length, 11);
  assert.equal(marks(figure, "failed").length, 1);
  assert.equal(marks(figure, "partly failed").length, 2);
  assert.equal(marks(figure, "run").length, 11 * 4 - 2);
  assert.equal(marks(figure, "facet").length, 3);
  assert.deepEqual(
    marks(figure, "tick").map((text) => text.textContent),
    ["0", "50", "100", "150", "200"],
  );
});

Deno.test("throughputFigure() says why something failed, and what its intervals are", () => {
  const text = textOf(throughputFigure(study.scenarios, study)).replaceAll("\u00a0", " ");
  assert.match(text, /FastAPI direct at 1000 users failed: PostgreSQL refused connections/);
  assert.match(text, /Flask pooled at 100 and 1000 users, 1 of 4 runs failed: timeouts/);
  assert.match(text, /n = 3 to 4 runs per cell; 95% t intervals of each mean/);
  assert.match(text, /0\.5 CPU, 512 MiB/);
  assert.match(text, /reuse: persistent/);
});

Deno.test("a failed scenario stands on the axis, not at its throughput", () => {
  const figure = throughputFigure(study.scenarios, study);
  const y = (element: Element) =>
    Number(/translate\([^,]+,([^)]+)\)/.exec(element.getAttribute("transform") ?? "")?.[1]);
  const lowest = Math.max(...marks(figure, "tick").map(y));
  for (const cross of marks(figure, "failed")) assert.ok(Math.abs(y(cross) - lowest) < 1);
});

Deno.test("latencyFigure() draws lower bounds as open marks", () => {
  const figure = latencyFigure(study.scenarios, { ...study, percentile: 99 });
  assert.equal(marks(figure, "lower bound").length, 2);
  assert.equal(marks(figure, "scenario").length, 9);
  assert.match(textOf(figure), /P99/);
  assert.match(textOf(figure), /≥/);
});

Deno.test("ratioFigure() has a row for every pair, and a cross where there is no ratio", () => {
  const figure = ratioFigure(study.ratios, study);
  assert.equal(marks(figure, "ratio").length, 5);
  assert.equal(marks(figure, "interval").length, 5);
  assert.equal(marks(figure, "failed").length, 1);
  // A band for each: what its noise would have hidden.
  assert.equal(marks(figure, "not detectable").length, 5);
  assert.match(textOf(figure), /simultaneous: in 95% of studies all 6 of them hold/);
  assert.match(figure.title, /^Pooled throughput is 2\.01× direct's for Django \(persistent\)/);
  assert.match(textOf(figure), /2\.01× \[1\.98, 2\.04\]/);
});

Deno.test("figures say of how many blocks ratios are made", () => {
  const slicesOf = (rps: number) =>
    Array.from({ length: 13 }, (_, i) => {
      const own = rps * (1 + 0.05 * (i % 2));
      return {
        block: i + 1,
        place: 1,
        rps: own,
        earlyRps: own,
        lateRps: own,
        serviceMs: 1,
        timesUs: new Float64Array(),
      };
    });
  const runs = study.runs.map((run) => ({ ...run, slices: slicesOf(run.rps) }));
  const { ratios } = compareScenarios(study.plan, study.scenarios, runs);
  const text = textOf(ratioFigure(ratios, study));
  assert.match(text, /n = 39 to 52 blocks in 3 to 4 starts per row; ratio of the answers in all/);
  assert.match(text, /2\.01×/);
  const throughput = textOf(throughputFigure(study.scenarios, { ...study, ratios }));
  assert.match(throughput, /the title goes by ratios paired by block/);
  const first = compareScenarios(study.plan, study.scenarios, runs.filter((one) => one.round < 2));
  assert.match(textOf(ratioFigure(first.ratios, study)), /without the differences from one start/);
});

Deno.test("rpsComparisonFigure() and p95ComparisonFigure() label every value", () => {
  for (const draw of [rpsComparisonFigure, p95ComparisonFigure]) {
    const figure = draw(study.scenarios, study);
    assert.equal(marks(figure, "scenario").length, 11);
    assert.equal(marks(figure, "value").length, 11);
    // A text with an outline and no colour of its own would not be seen.
    for (const text of marks(figure, "value")) {
      assert.match(text.parentElement!.getAttribute("fill")!, /^#[0-9a-f]{6}$/);
    }
    assert.equal(marks(figure, "failed").length, 1);
    assert.equal(marks(figure, "partly failed").length, 2);
    assert.equal(marks(figure, "level").length, 2);
  }
});

Deno.test("scenarioMatrixFigure() has a cell for every scenario", () => {
  const figure = scenarioMatrixFigure(study.plan, study);
  assert.equal(marks(figure, "cell").length, 12);
  assert.equal(marks(figure, "arm").length, 6);
  assert.match(textOf(figure), /3 of 4/);
  assert.match(textOf(figure), /up to 64 connections → PgBouncer: 20/);
  assert.match(
    scenarioMatrixFigure(namedPlan("frameworks")).title,
    /^6 arms × 2 numbers of users × 3 starts/,
  );
});

Deno.test("distributionFigure() draws a line for every scenario with an answer", async () => {
  using folder = syntheticStudy(syntheticPlan({ rounds: 2, windowS: 1 }), mixed);
  const own = await loadStudy(folder.folder);
  const figure = distributionFigure(await own.distribution(1000), own);
  assert.equal(marks(figure, "direct").length, 2);
  assert.equal(marks(figure, "pooled").length, 3);
  assert.match(textOf(figure), /FastAPI direct at 1000 users failed/);
});

Deno.test("resourceFigure() names the service at its quota", async () => {
  using folder = syntheticStudy(syntheticPlan({ rounds: 1, users: [10] }));
  const own = await loadStudy(folder.folder);
  const { scenarioId, scenario } = own.scenarios[1]!;
  const figure = resourceFigure(await own.cpu(scenarioId), { ...own, scenario });
  assert.equal(
    figure.title,
    "postgres (98% of it) sat at its CPU quota, FastAPI pooled at 10 users",
  );
  assert.equal(marks(figure, "service").length, 5);
  assert.equal(marks(figure, "quota").length, 1);
});

Deno.test("waterfallFigure() draws each part of each scenario, and its sum", () => {
  const rows = waterfalls(study);
  const figure = waterfallFigure(rows, study);
  assert.equal(marks(figure, "total").length, rows.length);
  assert.equal(marks(figure, "level").length, 2);
  const drawn = rows.flatMap(({ parts }) => parts.filter(({ ms }) => ms > 0));
  assert.equal(marks(figure, "part").length, drawn.filter(({ measured }) => measured).length);
  assert.equal(marks(figure, "remainder").length, drawn.filter(({ measured }) => !measured).length);
  const text = textOf(figure).replaceAll("\u00a0", " ");
  assert.match(text, /app code 2\.8 way to the database 4\.\d+/);
  assert.match(text, /HTTP, waiting for a worker 10\d/);
  assert.match(text, /n = \d to 4 runs per bar/);
  assert.match(
    figure.title,
    /^The largest part of a mean request is .* in 6 of 11 scenarios and .* in 5$/,
  );
  const one = rows.slice(0, 1);
  assert.match(waterfallFigure(one, study).title, /^[A-Z]\w+ (direct|pooled) at \d+ users: \d+%/);
  assert.match(waterfallFigure([], study).title, /^No run recorded where its time went$/);
});

/** Six arms at 60 and 90/s; what is wrong with some of them is what a figure must not hide. */
async function openLoopStudy(rounds: number): Promise<Study> {
  const scenarios = FRAMEWORKS.flatMap((framework) =>
    PATHS.flatMap((path) =>
      [60, 90].map((rate) =>
        createScenario({
          framework,
          path,
          users: null,
          arrivalRate: framework === "django" ? rate + 5 : rate,
        })
      )
    )
  );
  const plan = syntheticPlan({ name: "open", rounds, windowS: 10, scenarios });
  return await studyOf(plan, ({ scenario: { framework, path, arrivalRate } }) => {
    const run = { rps: 0, medianMs: path === "pooled" ? 20 : 10 };
    if (arrivalRate! < 90) return run;
    if (framework === "fastapi" && path === "direct") return { ...run, cause };
    if (framework === "django" && path === "pooled") return { ...run, unfinished: 80 };
    return framework === "flask" && path === "pooled" ? { ...run, latePercent: 3 } : run;
  });
}

Deno.test("openLoopFigure() draws every arm at its pair's rates, and what went wrong", async () => {
  const open = await openLoopStudy(4);
  const figure = openLoopFigure(open);
  assert.equal(marks(figure, "scenario").length, 9);
  assert.equal(marks(figure, "lower bound").length, 1);
  assert.equal(marks(figure, "failed").length, 1);
  assert.equal(marks(figure, "rejected").length, 1);
  // Each small plot has its own rates.
  assert.deepEqual(
    marks(figure, "level").map((text) => text.textContent),
    ["60/s", "90/s", "65/s", "95/s", "60/s", "90/s"],
  );
  const text = textOf(figure).replaceAll("\u00a0", " ");
  assert.match(text, /P95 response time in ms, from when a request was due/);
  assert.match(
    text,
    /Rejected: Flask pooled at 90\/s: generator late: 3\.0% sent more than 10 ms/,
  );
  assert.match(text, /open loop, constant arrivals/);
  assert.match(
    figure.title,
    /^In every run, pooled P95 response time at equal arrival rates is above direct's: 2\.0\d×/,
  );
});

Deno.test("openLoopFigure() of one round settles nothing, and of none says so", async () => {
  const open = await openLoopStudy(1);
  const figure = openLoopFigure(open);
  assert.match(figure.title, /^One run per cell cannot settle P95 response time/);
  assert.match(textOf(figure), /a single run has no range/);
  assert.match(openLoopFigure(null).title, /^No open loop/);
});

Deno.test("openLoopFigure() takes a lower percentile where requests are too few", async () => {
  const open = await openLoopStudy(1);
  assert.equal(openLoopPercentile(open.scenarios), 95);
  const few = open.scenarios.map((one, i) =>
    i > 0 ? one : { ...one, responseMs: { ...one.responseMs!, p95: null } }
  );
  assert.equal(openLoopPercentile(few), 90);
  assert.match(textOf(openLoopFigure({ ...open, scenarios: few })), /P90 response time/);
});

Deno.test("a figure is one self-contained svg that clashes with no other", () => {
  const figures = [
    throughputFigure(study.scenarios, study),
    latencyFigure(study.scenarios, study),
    ratioFigure(study.ratios, study),
    rpsComparisonFigure(study.scenarios, study),
    scenarioMatrixFigure(study.plan, study),
    waterfallFigure(waterfalls(study), study),
  ];
  for (const { svg, alt } of figures) {
    assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="0 0 820 \d+"/);
    assert.match(svg, /role="img" aria-label="[^"]+"/);
    assert.ok(!/<style|<script| id="| class="|href=|url\(|currentColor|NaN|undefined/.test(svg));
    assert.equal(svg.match(/<svg/g)!.length, 1);
    assert.ok(alt.length > 20);
  }
});

Deno.test("a figure shows itself to Jupyter and draws its text in the PNG", () => {
  const figure = rpsComparisonFigure(study.scenarios, study);
  const display = (figure as unknown as Record<symbol, () => Record<string, string>>)[
    Symbol.for("Jupyter.display")
  ]!;
  assert.deepEqual(display.call(figure), {
    "image/svg+xml": figure.svg,
    "text/plain": figure.title,
  });
  const png = figure.png(1);
  assert.deepEqual([...png.slice(1, 4)], [..."PNG"].map((c) => c.charCodeAt(0)));
  // Without the font, text is silently missing: then a longer title would change nothing.
  const other = rpsComparisonFigure(study.scenarios, { ...study, title: "Another title" }).png(1);
  const none = rpsComparisonFigure(study.scenarios, { ...study, title: "" }).png(1);
  assert.ok(png.length > 10_000);
  assert.notDeepEqual(other, none);
});

Deno.test("figures hold for one arm, one run, no run and no pair", async () => {
  const scenario = createScenario({ framework: "flask", path: "pooled", users: 50 });
  const plan = syntheticPlan({ rounds: 1, scenarios: [scenario] });
  for (
    const describe of [() => ({ rps: 50, medianMs: 5 }), () => ({ rps: 0, medianMs: 5, cause })]
  ) {
    const own = await studyOf(plan, describe);
    for (
      const figure of [
        throughputFigure(own.scenarios, own),
        throughputFigure([]),
        rpsComparisonFigure([]),
        latencyFigure(own.scenarios, own),
        rpsComparisonFigure(own.scenarios, own),
        p95ComparisonFigure(own.scenarios, own),
        scenarioMatrixFigure(own.plan, own),
        ratioFigure(own.ratios, own),
        distributionFigure([], own),
        resourceFigure([], own),
      ]
    ) {
      assert.doesNotMatch(figure.svg, /NaN|Infinity|undefined/, figure.title);
      assert.ok(figure.png(0.5).length > 500);
    }
  }
});

Deno.test("wrapText() breaks between words and keeps no-break spaces", () => {
  const lines = wrapLabel("one two three 60\u00a0s windows", 60, 12);
  assert.ok(lines.length > 2 && lines.every((line) => textWidth(line, 12) <= 80));
  assert.ok(lines.some((line) => line.includes("60\u00a0s")));
});

Deno.test("logTicks() are round and few", () => {
  assert.deepEqual(logTicks([9, 220]), [10, 20, 50, 100, 200]);
  assert.deepEqual(logTicks([1, 100_000], 6), [1, 10, 100, 1000, 10_000, 100_000]);
  assert.deepEqual(logTicks([0.15, 3]), [0.2, 0.5, 1, 2]);
});
