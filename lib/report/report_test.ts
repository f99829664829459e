// test lane: checkout
import assert from "node:assert/strict";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PoolscopeError, UsageError } from "../errors.ts";
import {
  addRuns,
  syntheticPlan,
  type SyntheticRun,
  syntheticStudy,
} from "../testing/synthetic_study.ts";
import { namedPlan, type PlannedRun } from "../plan.ts";
import { Markdown, Table } from "./display.ts";
import { exportTables, summaryReport } from "./export.ts";
import { conclusion } from "./answer.ts";
import {
  describeStudy,
  readArmRatios,
  readFailures,
  readGates,
  readLatency,
  readOpenLoop,
  readRatios,
  readThroughput,
} from "./readings.ts";
import { flawsTable, publishedTable } from "./published.ts";
import { openLoopPlan } from "../stats/capacity.ts";
import { openLoopFolder } from "../store/layout.ts";
import { followUpStudy } from "../store/studies.ts";
import { latencyFigure, openLoopFigure, throughputFigure } from "../figures/levels.ts";
import { p95ComparisonFigure, rpsComparisonFigure } from "../figures/comparison.ts";
import { scenarioMatrixFigure } from "../figures/matrix.ts";
import { armRatioFigure, ratioFigure } from "../figures/ratio.ts";
import { shortCause } from "../stats/summarise.ts";
import { createScenario } from "../scenario.ts";
import { loadStudy } from "./study.ts";
import { readTelemetry, telemetryTable } from "./pooler.ts";
import {
  failuresTable,
  openLoopTable,
  ratioTable,
  referenceTable,
  settingsTable,
} from "./tables.ts";

const cause = "FastAPI direct: PostgreSQL refused connections (too many clients already)";

/** Django pooled is six times as fast, flask is equal, FastAPI direct fails. */
function describe({ scenario: { framework, path }, round }: PlannedRun): SyntheticRun {
  const rps = 60 + round;
  if (framework === "fastapi" && path === "direct") {
    return { rps: 5, medianMs: 9, failuresPerS: 45, cause };
  }
  if (framework === "django" && path === "pooled") return { rps: 6 * rps, medianMs: 20 };
  return { rps: framework === "flask" && round % 2 === 0 ? rps + 9 : rps, medianMs: 100 };
}

const plan = syntheticPlan({ users: [1000], rounds: 5, windowS: 10 });
const folder = syntheticStudy(plan, describe);
globalThis.addEventListener("unload", () => folder[Symbol.dispose]());
const study = await loadStudy(folder.folder);
const smoke = await (async () => {
  using folder = syntheticStudy({ ...namedPlan("smoke") });
  return await loadStudy(folder.folder);
})();
const plain = (text: unknown) => String(text).replaceAll("\u00a0", " ");

Deno.test("loadStudy() summarises every run, in the plan's order", () => {
  assert.equal(study.runs.length, 30);
  assert.ok(study.complete);
  assert.deepEqual(
    study.scenarios.map(({ arm }) => arm),
    ["FastAPI", "Django", "Flask"].flatMap((title) => [`${title} direct`, `${title} pooled`]),
  );
  const [, , , django] = study.scenarios;
  assert.equal(django!.rps!.value, 6 * 63);
  assert.equal(study.context.cores, 2);
});

Deno.test("apps go by their titles wherever a study is shown, and by their names in files", () => {
  const figures = [
    rpsComparisonFigure(study.scenarios, study),
    throughputFigure(study.scenarios, study),
    scenarioMatrixFigure(study.plan, study),
    ratioFigure(study.ratios, study),
  ];
  for (const text of [summaryReport(study), ...figures.map(({ svg }) => svg)]) {
    assert.match(text, /FastAPI/);
    // Ids and settings keep the names.
    assert.deepEqual(
      text.match(/.{9}(?<![\w-])(fastapi|django|flask)(?![-_\w]|;? version).{9}/g),
      null,
    );
  }
  assert.match(
    settingsTable(study).markdown(),
    /\| app \| Flask direct; Flask pooled \| Flask, SQLAlchemy/,
  );
  const scenario = createScenario({ framework: "flask", path: "direct", users: 10 });
  for (const name of ["Flask direct", "flask direct"]) {
    assert.equal(shortCause({ scenario, cause: `${name}: too many clients` }), "too many clients");
  }
});

Deno.test("loadStudy() lists runs without a manifest as missing", async () => {
  using partial = syntheticStudy(plan, (run) => ({
    rps: 10,
    medianMs: 5,
    absent: run.round > 3,
  }));
  const own = await loadStudy(partial.folder);
  assert.equal(own.missing.length, 12);
  assert.ok(!own.complete);
  assert.match(plain(describeStudy(own)), /18 complete so far, 12 runs to come/);
  assert.ok(own.scenarios.every(({ n }) => n === 3));
  assert.match(plain(conclusion(own)), /incomplete: 12 runs to come/);
  // A third round of five is no look at the data.
  assert.match(
    plain(readRatios(own)),
    /No look at the data is complete yet: the intervals are prov/,
  );
  assert.match(
    ratioTable(own).caption,
    /t intervals, provisional, as no look at the data is compl/,
  );
  assert.doesNotMatch(summaryReport(own), /in 95% of studies|simultaneous/);
});

Deno.test("loadStudy() throws for a folder without a study", async () => {
  await assert.rejects(loadStudy(join(folder.folder, "nothing")), UsageError);
});

Deno.test("loadStudy() throws when a manifest has another schema version", async () => {
  using own = syntheticStudy(syntheticPlan({ users: [10], rounds: 1 }));
  const file = join(own.firstRun, "manifest.json");
  writeFileSync(
    file,
    readFileSync(file, "utf8").replace('"schemaVersion": 1', '"schemaVersion": 9'),
  );
  await assert.rejects(loadStudy(own.folder), /schema version is 9, this Poolscope reads 1/);
});

Deno.test("loadStudy() tells of a failed run's damaged file, and keeps the run's own cause", async () => {
  const one = syntheticPlan({ users: [10], rounds: 1 });
  using own = syntheticStudy(one, () => ({ rps: 1, medianMs: 5, cause: "the app exited" }));
  rmSync(join(own.firstRun, "requests.csv"));
  const damaged = await loadStudy(own.folder);
  assert.equal(damaged.warnings.length, 1);
  assert.match(plain(describeStudy(damaged)), /requests\.csv: no such file/);
  assert.ok(damaged.runs.every((run) => run.cause === "the app exited"));
});

Deno.test("Study.requests() gives a scenario's rows with their round", async () => {
  const { scenarioId } = study.scenarios[3]!;
  const all = await study.requests(scenarioId);
  const second = await study.requests(scenarioId, 2);
  assert.deepEqual([...new Set(all.getColumn("round").toArray())].sort(), [1, 2, 3, 4, 5]);
  assert.ok(second.height > 0 && second.height < all.height);
  await assert.rejects(study.requests("no-such"), UsageError);
});

Deno.test("referenceTable() shows a failed scenario as failed, with its throughput in brackets", () => {
  const table = referenceTable(study);
  assert.equal(table.rows.length, 6);
  assert.deepEqual([...table.marked], [0]);
  const row = table.rows[0]!.map(String);
  assert.ok(row.includes("(5)"));
  assert.equal(row.at(-1), "failed: PostgreSQL refused connections (too many clients already)");
  assert.equal(row.at(-3), "90%");
});

Deno.test("telemetryTable() and its reading tell connections and statements of each scenario", () => {
  const [first] = telemetryTable(smoke).rows;
  assert.deepEqual(first!.slice(0, 3), ["FastAPI direct", "10 users", "0"]);
  assert.equal(first![6], "1.00");
  assert.match(
    plain(readTelemetry(smoke)),
    /^For 1,000 requests PostgreSQL opened \*\*0\*\* .* PostgreSQL executed 1\.00 statements that read/,
  );
});

Deno.test("tables say what failed, what was set and what was compared", () => {
  assert.match(failuresTable(study).markdown(), /FastAPI direct \| 1000 users \| 1, 2, 3, 4 and 5/);
  assert.match(failuresTable(smoke).caption, /No run failed: 6 of 6 runs complete/);
  const settings = plain(settingsTable(study).markdown());
  assert.match(
    settings,
    /postgres max_connections, in force \| all arms \| 100 \+ 6 for Poolscope/,
  );
  assert.match(settings, /pgbouncer reserve_pool_size, in force \| .*Django pooled.* \| 5 \|/);
  assert.match(settings, /postgres limits.*0\.5 CPU, 512 MiB → 0\.5 CPU, 512 MiB/);
  assert.match(settings, /defaultPoolSize \| FastAPI pooled; Django pooled; Flask pooled \| 20/);
  assert.match(settings, /APP_WORKERS \| all arms \| 2/);
  assert.match(
    ratioTable(study).markdown(),
    /Django \| persistent \| 1000 users \| 6\.00×.*pooled higher/,
  );
});

/** Flask pooled a little slower than direct, with noise that a few rounds do not see through. */
const NOISE = [0.1, -0.12, 0.06, 0.02, -0.1, 0.11, -0.03, 0.08, -0.09, 0.05, -0.07, 0.04];

/** A plan that may be extended: two pairs, and a copy. */
function extensiblePlan() {
  const cell = (framework: "django" | "flask", path: "direct" | "pooled", replica = 0) =>
    createScenario({ framework, path, users: 10, replica });
  return syntheticPlan({
    rounds: 4,
    maxRounds: 12,
    windowS: 10,
    scenarios: [
      cell("django", "direct"),
      cell("django", "pooled"),
      cell("flask", "direct"),
      cell("flask", "pooled"),
      cell("flask", "direct", 1),
    ],
  });
}

/** Django pooled is four times as fast; the others differ by noise alone. */
function noisy({ scenario: { framework, path, replica }, round }: PlannedRun): SyntheticRun {
  const noise = (shift: number) => NOISE[(round + shift) % NOISE.length]!;
  const rps = 200 * (1 + noise(path === "pooled" ? 3 : replica === 0 ? 0 : 6));
  return { rps: framework === "django" && path === "pooled" ? 4 * rps : rps, medianMs: 10 };
}

Deno.test("loadStudy() asks for further rounds of undecided comparisons, and of no others", async () => {
  const extensible = extensiblePlan();
  using own = syntheticStudy(extensible, noisy);
  const first = await loadStudy(own.folder);
  assert.deepEqual(
    [...first.ratios, ...first.armRatios].map(({ verdict, open }) => [verdict, open]),
    [["higher", false], ["indistinguishable", true], ["indistinguishable", true]],
  );
  const [, second] = first.family.looks as [number, number, number];
  assert.equal(first.complete, false);
  assert.deepEqual(
    [...new Set(first.missing.map((run) => run.scenario.framework))],
    ["flask"],
  );
  assert.equal(first.missing.length, 3 * (second - 4));
  assert.ok(first.missing.every((run) => run.round > 4 && run.round <= second));
  assert.match(plain(readRatios(first)), /Flask \(app_pool\) at 10 users: .*, not decided yet: /);
  assert.match(plain(ratioTable(first).markdown()), /Flask .*\| not decided yet \|/);

  // Some further runs are there, as after an interruption: the others are wanted, in order.
  const some = first.missing.slice(0, 4);
  addRuns(own.folder, extensible, some, noisy);
  const interrupted = await loadStudy(own.folder);
  assert.deepEqual(interrupted.missing, first.missing.slice(4));
  assert.deepEqual(interrupted.family.looks, first.family.looks);

  let extended = interrupted;
  while (!extended.complete) {
    addRuns(own.folder, extensible, extended.missing, noisy);
    extended = await loadStudy(own.folder);
  }
  const last = extended.family.looks.at(-1)!;
  assert.equal(extended.family.next, null);
  assert.deepEqual(extended.ratios.map(({ n }) => n), [4, last]);
  assert.deepEqual(extended.armRatios.map(({ n, verdict }) => [n, verdict]), [
    [last, "indistinguishable"],
  ]);
  // What ended at the first look stays what it was.
  assert.deepEqual(extended.ratios[0], first.ratios[0]);
  assert.equal(extended.runs.length, 5 * 4 + 3 * (last - 4));
  const text = plain(readRatios(extended));
  assert.match(
    text,
    new RegExp(`Of 3 comparisons, 1 ended after 4 rounds and 2 ended after ${last} rounds`),
  );
  assert.match(text, /of at most 12\. A run's noise was \d/);
  assert.match(text, /in 95% of studies all of them contain their ratio/);
  assert.match(plain(readArmRatios(extended)), /Flask direct twice \(A\/A\), 10 users: .*indist/);
  assert.match(
    plain(describeStudy(extended)),
    /of them in further rounds of undecided comparisons/,
  );
  const roundsOf = (arm: string) => extended.scenarios.find((one) => one.arm === arm)!.n;
  assert.deepEqual(["Django direct", "Flask direct, A/A"].map(roundsOf), [4, last]);
  assert.match(summaryReport(extended), /## Arms that ran twice or with other settings/);
  assert.doesNotMatch(settingsTable(extended).markdown(), /replica/);
  // The same files, read again, decide the same.
  assert.deepEqual((await loadStudy(own.folder)).family, extended.family);
});

Deno.test("a copy that came out different is told as what it is", async () => {
  using own = syntheticStudy(extensiblePlan(), (run) => ({
    ...noisy(run),
    ...(run.scenario.replica > 0 ? { rps: 600 + run.round } : {}),
  }));
  const study = await loadStudy(own.folder);
  assert.equal(study.armRatios[0]!.verdict, "higher");
  assert.match(String(readArmRatios(study)), /do not trust this study's verdicts/);
  assert.match(
    armRatioFigure(study.armRatios, study).title,
    /^The same arm twice came out different: Flask direct, A\/A is faster, 3\.\d\d×$/,
  );
});

Deno.test("publishedTable() compares direction and ratio, and names what differs", () => {
  const [fastapi, django, flask] = publishedTable(study)!.rows;
  assert.match(String(fastapi![3]), /^direct failed/);
  assert.match(String(django![1]), /61 → 377: 6\.18×/);
  assert.equal(django![3], "met: same direction, published ratio outside the interval");
  assert.match(String(django![4]), /workers.*reuse.*preparedStatements/);
  assert.match(String(flask![3]), /indistinguishable here/);
});

Deno.test("a study without cells of the published result says nothing of it", () => {
  for (const table of [publishedTable, flawsTable]) {
    assert.equal(table(smoke), undefined);
    assert.ok(table(study) instanceof Table);
  }
  assert.doesNotMatch(summaryReport(smoke), /published/);
  assert.match(summaryReport(study), /\n## The published result\n/);
});

Deno.test("conclusion() answers for each framework, names its reuse, n and interval", () => {
  const text = plain(conclusion(study));
  assert.match(
    text,
    /\*\*FastAPI, reuse `app_pool`: only the pooled path held at 1000 users\.\*\*/,
  );
  assert.match(
    text,
    /\*\*Django, reuse `persistent`: yes, 6\.00× the throughput at 1000 users\.\*\*/,
  );
  assert.match(
    text,
    /P95 service time of every pooled run below that of every direct run at 1000 users/,
  );
  assert.match(
    text,
    /\*\*Flask, reuse `app_pool`: no difference of more than 1% in throughput at 1000 users\.\*\*/,
  );
  assert.match(text, /n = 5/);
  assert.match(text, /database: 0\.5 CPU, 512 MiB/);
  assert.match(text, /shared 2 cores/);
});

Deno.test("a report begins with the answer; each gate is a line that unfolds", () => {
  const report = summaryReport(study);
  const places = ["- **FastAPI", "plots/rps_comparison.png", "<summary><b>", "## What was measured"]
    .map((text) => report.indexOf(text));
  assert.ok(places.every((place, i) => place > (places[i - 1] ?? 0)), String(places));
  assert.ok(places[0]! < 120);
  const gates = String(readGates(study));
  assert.match(
    gates,
    /^<details><summary><b>[\w ,'’-]+<\/b>(: .*)?<\/summary>\n\n.*\*Next step:\*/m,
  );
  assert.doesNotMatch(gates, /^\|/m);
});

Deno.test("a functional check says that all ran, was verified and was counted, and compares nothing", () => {
  assert.match(
    plain(conclusion(smoke)),
    /^\*\*Functional check only: 6 of 6 runs ran, were verified and were counted\.\*\*/,
  );
  assert.deepEqual(referenceTable(smoke).rows[1], [
    "FastAPI pooled",
    "10 users",
    "yes",
    "through PgBouncer",
    "yes",
    "ok",
  ]);
  const readings = [
    ...[describeStudy, readThroughput, readLatency, readRatios].map((read) => read(smoke)),
    readOpenLoop(smoke, smoke),
  ];
  for (const reading of readings) assert.match(String(reading), /^\*\*Functional check only/);
  const figures = [
    ...[rpsComparisonFigure, p95ComparisonFigure, throughputFigure, latencyFigure]
      .map((figure) => figure(smoke.scenarios, smoke)),
    ratioFigure(smoke.ratios, smoke),
    openLoopFigure(smoke),
  ];
  for (const { title, svg } of figures) {
    assert.match(title, /^Functional check only: [\w ]+ is not compared$/);
    assert.doesNotMatch(svg, /<circle|<rect[^>]*aria/);
  }
  const texts = [
    ...[...readings, conclusion(smoke)].map(String),
    ...[referenceTable, ratioTable, openLoopTable, telemetryTable]
      .map((table) => table(smoke).rows.flat().join(" ")),
    summaryReport(smoke),
  ];
  for (const text of texts) assert.doesNotMatch(text, /\d ms|RPS|P9\d [a-z]+ t|P9\d ms|\d×|\d\/s/);
});

Deno.test("readings take their numbers from the study", () => {
  assert.match(String(readThroughput(study)), /378 correct answers per second.*Django pooled/);
  assert.match(String(readFailures(study)), /^5 of 30 runs failed and enter no mean/);
  assert.match(String(readFailures(smoke)), /^No failure in 6 runs/);
  assert.match(
    String(readRatios(study)),
    /Django \(persistent\) at 1000 users: pooled higher, 6\.00×/,
  );
});

Deno.test("limits that are not in force are said beside the answer", async () => {
  using own = syntheticStudy(plan, describe);
  const file = join(own.firstRun, "manifest.json");
  const manifest = JSON.parse(readFileSync(file, "utf8"));
  manifest.limitsWarning = "No limit: cgroups are not writable here.";
  manifest.limits.postgres.readBack = { cpus: null, memoryMiB: null };
  writeFileSync(file, JSON.stringify(manifest));
  const text = plain(conclusion(await loadStudy(own.folder)));
  assert.match(text, /\*\*No limit: cgroups are not writable here\.\*\*/);
  assert.match(text, /no limit.*not in force/);
});

Deno.test("exportTables() writes report, CSV and plots, and leaves no temporary file", () => {
  const files = exportTables(study);
  assert.equal(files.length, 6);
  assert.ok(files.every((file) => existsSync(file)));
  assert.deepEqual(
    readdirSync(join(folder.folder, "report"), { recursive: true }).map(String).sort(),
    [
      "comparisons.csv",
      "plots",
      "plots/p95_latency_comparison.png",
      "plots/rps_comparison.png",
      "runs.csv",
      "summary.csv",
      "summary_report.md",
    ],
  );
  const report = readFileSync(files[0]!, "utf8");
  for (const text of ["# Should you put PgBouncer", "plots/rps_comparison.png", "## Settings"]) {
    assert.ok(report.includes(text));
  }
  assert.ok(!/undefined|NaN|\[object/.test(report));
  const [header, first, , , django] = readFileSync(files[1]!, "utf8").split("\n");
  assert.match(
    header!,
    /^framework,path,arm,reuse,users,arrival_rate,status,rps,rps_low,.*p50_ms.*,error_rate,n,/,
  );
  assert.match(first!, /^fastapi,direct,fastapi direct,app_pool,1000,,failed,,/);
  assert.match(django!, /^django,pooled,django pooled,persistent,1000,,ok,378,/);
  assert.match(django!, /,6,6,6,higher,1,5,0$/);
  const [columns, one, two] = readFileSync(files[3]!, "utf8").split("\n");
  assert.match(columns!, /^kind,framework,.*ratio,ratio_low,ratio_high,verdict,detectable_ratio/);
  assert.match(one!, /^path,fastapi,1000,,app_pool,.*,none,,0,0,,direct failed/);
  assert.match(two!, /^path,django,.*,6,6,6,higher,1,5,/);
});

Deno.test("a Table escapes HTML and Markdown", () => {
  const table = new Table("a < b", [{ header: "x" }], [["<script> | \n y"], [null]], new Set([1]));
  assert.ok(table.html().includes("&lt;script&gt;") && !table.html().includes("<script>"));
  assert.ok(table.markdown().endsWith("| <script> \\| y |\n| – |"));
  const display = (table as unknown as Record<symbol, () => Record<string, string>>)[
    Symbol.for("Jupyter.display")
  ]!;
  assert.deepEqual(Object.keys(display.call(table)), ["text/html", "text/markdown", "text/plain"]);
  assert.equal(String(new Markdown("**a**")), "**a**");
});

Deno.test("loadStudy() refuses to compare versions of PgBouncer, PostgreSQL or Python, naming them", async () => {
  for (
    const [name, other, title] of [
      ["pgbouncer", "1.25.0", "PgBouncer"],
      ["postgres", "16.99", "PostgreSQL"],
      ["python", "3.99.1", "Python"],
    ] as const
  ) {
    using mixed = syntheticStudy(plan, () => ({ rps: 10, medianMs: 5 }));
    const [first] = readdirSync(mixed.folder).filter((entry) => /-\d+u-/.test(entry));
    const file = join(mixed.folder, first!, "round-1", "manifest.json");
    const manifest = JSON.parse(readFileSync(file, "utf8"));
    const before = manifest.versions[name];
    assert.ok(before !== undefined && before !== other);
    manifest.versions[name] = other;
    writeFileSync(file, JSON.stringify(manifest));
    await assert.rejects(loadStudy(mixed.folder), (error: Error) => {
      assert.equal(error instanceof PoolscopeError, true);
      const versions = [before, other].sort().join(", ");
      assert.ok(
        error.message.includes(`its runs differ in ${title} (${versions}), `),
        error.message,
      );
      return true;
    });
    // A version of anything else is no reason: the settings table tells it.
    writeFileSync(
      file,
      JSON.stringify({
        ...manifest,
        versions: { ...manifest.versions, [name]: before, deno: "9" },
      }),
    );
    assert.equal((await loadStudy(mixed.folder)).complete, true);
  }
});

Deno.test("the report says whether the services had dedicated cores", async () => {
  const cpuSets = { locust: "0", pgbouncer: "1", postgres: "2", app: "3" };
  assert.match(String(describeStudy(study)), /Load generator, app and database shared 2 cores/);
  using own = syntheticStudy(plan, () => ({ rps: 10, medianMs: 5 }));
  for (const name of readdirSync(own.folder, { recursive: true }).map(String)) {
    if (!name.endsWith("manifest.json")) continue;
    const file = join(own.folder, name);
    const manifest = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, JSON.stringify({ ...manifest, engine: "docker", cpuSets }));
  }
  const loaded = await loadStudy(own.folder);
  const sentence = /each had dedicated cores \(generator 0, app 3, PgBouncer 1, database 2\)/;
  assert.match(String(describeStudy(loaded)), sentence);
  assert.match(String(conclusion(loaded)), sentence);
  assert.match(JSON.stringify(settingsTable(loaded)), /generator 0, app 3/);
});

Deno.test("the report says why there is no open loop where no run was accepted", async () => {
  const openLoop = { shares: [0.5], rounds: 1, warmUpS: 1, windowS: 10 };
  const tell = async (describe: (run: PlannedRun) => Partial<SyntheticRun>) => {
    using own = syntheticStudy(
      syntheticPlan({ users: [100], rounds: 1, openLoop }),
      (run) => ({ rps: 100, medianMs: 10, ...describe(run) }),
    );
    const study = await loadStudy(own.folder);
    return { plan: study.openLoopPlan(), report: plain(summaryReport(study)), study };
  };
  const rejected = await tell(() => ({ rejected: true }));
  assert.equal(rejected.plan, null);
  assert.match(
    rejected.report,
    /## Latency at equal load\n\nNo open loop was run, as .* none was accepted: 6 runs rejected \(generator late\)\.\n/,
  );
  const failed = await tell(() => ({ cause: "it broke" }));
  assert.equal(failed.plan, null);
  assert.match(failed.report, /none was accepted: 6 runs failed \(it broke\)\.\n/);
  // One accepted pair is enough for the open loop of that pair.
  const part = await tell(({ scenario: { framework } }) => ({ rejected: framework !== "flask" }));
  const arms = part.plan?.scenarios.map(({ framework, path }) => `${framework} ${path}`);
  assert.deepEqual(arms, ["flask direct", "flask pooled"]);
  assert.match(part.report, /No open loop was run yet: all runs of it are to come/);
  assert.match(
    plain(readOpenLoop(part.study, part.study)),
    /Left out: FastAPI direct, FastAPI pooled, Django .*, as no accepted closed-loop run gives/,
  );
});

Deno.test("the report of a study holds its open loop", async () => {
  const openLoop = { shares: [0.5, 0.95], rounds: 4, warmUpS: 1, windowS: 10 };
  using own = syntheticStudy({ ...plan, openLoop }, (run) => ({
    rps: 100,
    medianMs: run.scenario.path === "pooled" ? 30 : 10,
  }));
  const closed = await loadStudy(own.folder);
  const { folder: target, plan: followUp } = followUpStudy(
    openLoopFolder(own.folder),
    () => openLoopPlan(closed.plan, closed.scenarios, closed.ratios),
  )!;
  using made = syntheticStudy(followUp, (run) => ({
    rps: 0,
    medianMs: run.scenario.path === "pooled" ? 30 : 10,
    dropped: run.scenario.framework === "flask" ? 8 : 0,
  }));
  cpSync(made.folder, target, { recursive: true });
  const open = (await closed.openLoop())!;
  assert.equal(open.complete, true);
  assert.equal(open.name, "synthetic/open-loop");
  const text = plain(readOpenLoop(open, closed));
  assert.match(
    text,
    /^In every run, pooled P95 response time at equal arrival rates is above direct's: 3\.00× to 3/,
  );
  assert.match(
    text,
    /P95 response time at the highest rate, .*: direct \d+.* for FastAPI at 95\/s/,
  );
  assert.match(
    text,
    /\*\*Rejected, in no comparison:\*\* Load not delivered: Flask direct at 50 and 95\/s and Flask/,
  );
  const row = openLoopTable(open).rows.find((row) => row[0] === "Flask")!.slice(-5);
  const rejected = "rejected: load not delivered: 1.6% of the requests were never sent";
  assert.deepEqual(row, ["0%", "1.6%", "0%", 0, rejected]);
  assert.match(
    plain(readOpenLoop(null, closed)),
    /^No open loop was run yet: all runs of it are to/,
  );

  const files = exportTables(closed, { openLoop: open });
  assert.ok(files.some((file) => file.endsWith("plots/open_loop_latency.png")));
  const report = readFileSync(files[0]!, "utf8");
  assert.match(report, /## Latency at equal load\n\nIn every run, pooled P95 response time/);
  const [header, first] = readFileSync(
    files.find((file) => file.endsWith("open_loop.csv"))!,
    "utf8",
  ).split("\n");
  const value = (name: string) => first!.split(",")[header!.split(",").indexOf(name)];
  assert.deepEqual([value("users"), value("arrival_rate"), value("arrivals")], ["", "50", "2000"]);
  assert.equal(value("p95_ms"), value("response_p95_ms"));
  assert.equal(value("response_p99_ms"), "");
});
