// test lane: checkout
// deno-lint-ignore-file no-explicit-any -- JSON of other programs, read field by field
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listProcesses } from "./hosts/linux/proc.ts";
import { toText } from "./notebooks/notebook.ts";
import { loadStudy, type Study } from "./report/study.ts";
import { setUp, setUpNotebooks } from "./setup/mod.ts";
import type { StudyEvent } from "./store/events.ts";
import { hashFile, hashRunFiles } from "./store/files.ts";
import { ROOT, RUN_FILES, runFolder, studyFolder } from "./store/layout.ts";
import { Chromium, findChromium } from "./testing/chromium.ts";
import { HostileShell } from "./testing/hostile.ts";
import { JupyterServer } from "./testing/jupyter.ts";
import { REPORTED } from "./testing/reported.ts";

/** How often each notebook is executed in JupyterLab's server, all at the same time. */
const EXECUTIONS = Deno.env.get("POOLSCOPE_FULL") === "1" ? 10 : 3;

/** Every task here is started from it; that it counts for nothing is what the steps show. */
const SHELL = new HostileShell();
globalThis.addEventListener("unload", () => SHELL[Symbol.dispose]());

const STUDY = `test-${Deno.pid}`;
const FOLDER = studyFolder(STUDY);
const REPORT = join(FOLDER, "report");
const NOTEBOOKS = ["00_overview", "10_frameworks", "30_open_loop", "40_diagnosis", "90_report"];

async function task(name: string, ...args: string[]) {
  const begun = performance.now();
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", name, ...args],
    cwd: ROOT,
    clearEnv: true,
    env: SHELL.env,
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const tookS = (performance.now() - begun) / 1000;
  return { tookS, code: output.code, stdout: text(output.stdout), stderr: text(output.stderr) };
}

/** The pids of all programs that run from this checkout's own tools. */
function ownProcesses(): number[] {
  return listProcesses().map(({ pid }) => pid).filter((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      return command.includes(`${ROOT}/.poolscope`) || command.includes(`${ROOT}/node_modules`);
    } catch {
      return false; // Ended meanwhile.
    }
  });
}

Deno.test("a smoke study, whole: run-all, its report, the notebooks, and an export", async (t) => {
  const running = ownProcesses();
  let reportS = 0;
  await setUp(); // in this shell, as the other one's proxy gives no packages
  try {
    await t.step("run-all ends with every run complete and nothing left running", async () => {
      const options = ["--engine", "local", "--plan", "smoke", "--study", STUDY];
      const { code, stdout, stderr } = await task("run-all", ...options);
      ok(REPORTED.includes(code), stdout + stderr);
      reportS = readReportS(stdout);
      match(stdout, new RegExp(`^${STUDY}: 6 of 6 runs complete`, "m"));
      match(stdout, new RegExp(`^${STUDY}/open-loop: 6 of 6 runs complete`, "m"));
      deepEqual(ownProcesses().filter((pid) => !running.includes(pid)), []);
    });

    const study = await loadStudy(FOLDER);
    await t.step(
      "every run's files are there, hash to their manifest and agree",
      () => checkFiles(study),
    );

    await t.step(
      "its open loop gives both paths of a framework one rate, and what was due",
      () => checkOpenLoop(study),
    );

    await t.step("summary.csv has the runs' own numbers", () => checkSummary(study));

    await t.step("what was told of each run when it had ended is what the report says", () => {
      const events = readFileSync(join(FOLDER, "events.jsonl"), "utf8").trim().split("\n")
        .map((line) => JSON.parse(line) as StudyEvent);
      const ids = study.runs.map(({ scenarioId }) => scenarioId);
      const told = events.flatMap((event) =>
        event.event === "run_finished" && ids.includes(event.scenarioId)
          ? [`${event.scenarioId} ${event.status}`]
          : []
      );
      const read = study.runs.map(({ scenarioId, status }) => `${scenarioId} ${status}`);
      deepEqual(told.sort(), read.sort());
    });

    await t.step("no password is in anything that was written", () => {
      const files = readdirSync(FOLDER, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile());
      ok(files.length > 60);
      for (const { parentPath, name } of files) {
        const text = readFileSync(join(parentPath, name), "latin1");
        equal(/SCRAM-SHA-256\$|PGPASSWORD|password\s*=\s*'/.test(text), false, name);
      }
    });

    await t.step("each page opens with the network off, all figures drawn", checkPages);

    await t.step(
      "export rebuilds the same report from the folder, whatever a reader's notebook does",
      () => exportAgain(reportS),
    );

    await t.step("none of it wrote into the reader's home", () => {
      deepEqual(SHELL.homeFiles(), []);
    });

    await t.step("Restart & Run All is complete each time, in JupyterLab's server", runNotebooks);
  } finally {
    rmSync(FOLDER, { recursive: true, force: true });
  }
});

async function checkFiles(study: Study): Promise<void> {
  equal(study.manifests.length, 6);
  for (const manifest of study.manifests) {
    equal(manifest.status, "ok", manifest.cause ?? "");
    const folder = runFolder(FOLDER, manifest.scenarioId, manifest.round);
    // Nobody took turns.
    const expected = RUN_FILES.filter((name) => name !== "slices.csv").sort();
    deepEqual(Object.keys(manifest.files).sort(), expected);
    deepEqual(await hashRunFiles(folder), manifest.files);
    ok(statSync(join(folder, "requests.csv")).size > 10_000);
    for (const service of ["postgres", "app", "locust"]) {
      match(readFileSync(join(folder, "resources.csv"), "utf8"), new RegExp(`,${service},`));
    }
    const { asked, readBack } = manifest.limits.postgres!;
    deepEqual(asked, { cpus: 0.5, memoryMiB: 512 });
    if (manifest.limitsWarning === null) deepEqual(readBack, asked);
    equal(manifest.verification?.throughPgbouncer, manifest.scenario.path === "pooled");
    const { files, settings } = manifest.inputs!;
    const locustfile = "locust/locustfile.py";
    equal(files.locust![locustfile], await hashFile(join(ROOT, locustfile)));
    const pooled = manifest.scenario.path === "pooled";
    equal(settings!.pgbouncer?.pool_mode, pooled ? "transaction" : undefined);
  }
}

async function checkOpenLoop(study: Study): Promise<void> {
  const openLoop = (await study.openLoop())!;
  const rates = new Map<string, number | null>();
  for (const { scenario, status, cause, delivery, requests, unfinished } of openLoop.runs) {
    // What else this machine does can have a run rejected.
    ok(status !== "failed", String(cause));
    const { framework, arrivalRate } = scenario;
    equal(rates.get(framework) ?? arrivalRate, arrivalRate);
    rates.set(framework, arrivalRate);
    const due = Math.round(arrivalRate! * openLoop.plan.windowS);
    ok(Math.abs(delivery!.arrivals - due) <= 1, `${delivery!.arrivals} of ${due}`);
    equal(requests + unfinished + delivery!.dropped, delivery!.arrivals);
  }
  equal(rates.size, 3);
}

function checkSummary(study: Study): void {
  const [header, ...rows] = readFileSync(join(REPORT, "summary.csv"), "utf8").trim().split("\n");
  equal(rows.length, 6);
  const rps = header!.split(",").indexOf("rps");
  for (const run of study.runs) {
    const { framework, path } = run.scenario;
    const row = rows.find((line) => line.startsWith(`${framework},${path},`));
    const cell = row!.split(",")[rps]!;
    // One that was rejected has no numbers.
    if (run.status === "rejected") equal(cell, "", String(row));
    else ok(Math.abs(Number(cell) - run.rps) < 0.01, String(row));
  }
}

async function checkPages(step: Deno.TestContext): Promise<void> {
  const program = findChromium();
  if (program === null) {
    equal(Deno.env.get("POOLSCOPE_REQUIRE_CHROMIUM"), undefined, "Chromium is missing");
    console.log(`  not checked in a browser: no Chromium on PATH (${step.name})`);
    return;
  }
  await using browser = await Chromium.start(program);
  // How many figures there are, and how many of them a functional check draws.
  const figures: Record<string, [number, number]> = {
    "00_overview": [1, 1],
    "10_frameworks": [5, 0],
    "30_open_loop": [1, 0],
    "40_diagnosis": [3, 2],
    "90_report": [3, 0],
  };
  for (const name of NOTEBOOKS) {
    const file = join(REPORT, `${name}.html`);
    ok(statSync(file).size < 2 * 2 ** 20, `${name}.html is too large`);
    const { errors, requests, value } = await browser.visit<
      { marks: number[]; broken: number }
    >(
      file,
      `({
            marks: [...document.querySelectorAll("svg[role=img]")].map((svg) =>
              svg.querySelectorAll("circle, rect, path, line, text").length),
            broken: document.querySelectorAll(".jp-RenderedText[data-mime-type*=stderr], .error").length,
          })`,
    );
    deepEqual({ name, errors, requests }, { name, errors: [], requests: [] });
    const drawn = value.marks.filter((marks) => marks > 15).length;
    deepEqual([value.marks.length, drawn], figures[name], `${name}: ${value.marks}`);
    equal(value.broken, 0);
  }
}

/** The seconds that a report took, as the task says at its end. */
function readReportS(stdout: string): number {
  const [, minutes = 0, seconds] = /^Report of .*; took (?:(\d+) min )?(\d+) s$/m.exec(stdout)!;
  return 60 * Number(minutes) + Number(seconds);
}

/** @param reportS What the report took at the end of its study. */
async function exportAgain(reportS: number): Promise<void> {
  const failing = JSON.stringify({
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {},
    cells: [{ cell_type: "code", id: "a", metadata: {}, source: "null.x", outputs: [] }],
  });
  const [stray, asked] = ["stray", "asked"].map((name) =>
    join(ROOT, "notebooks", `${name}-${Deno.pid}.ipynb`)
  ) as [string, string];
  for (const file of [stray, asked]) writeFileSync(file, failing);
  const before = readFileSync(join(REPORT, "summary_report.md"), "utf8");
  const png = readFileSync(join(REPORT, "plots", "rps_comparison.png"));
  rmSync(REPORT, { recursive: true });
  const options = ["--study", STUDY, "--notebook", asked];
  const { code, stdout, stderr, tookS } = await task("export", ...options);
  for (const file of [stray, asked]) rmSync(file);
  ok(REPORTED.includes(code), stdout + stderr);
  console.log(`    the report took ${tookS.toFixed(1)} s, and ${reportS} s before`);
  // With a start of its own, and a reader's notebook.
  ok(tookS < 3 * reportS, `${tookS} s`);
  equal(readFileSync(join(REPORT, "summary_report.md"), "utf8"), before);
  deepEqual(readFileSync(join(REPORT, "plots", "rps_comparison.png")), png);
  ok(existsSync(join(REPORT, "plots", "open_loop_latency.png")));
  match(stdout, /Cannot execute asked-\d+\.ipynb: cell 1 failed: TypeError/);
  const pages = readdirSync(REPORT).filter((name) => name.endsWith(".html")).sort();
  deepEqual(pages, NOTEBOOKS.map((name) => `${name}.html`));
}

async function runNotebooks(): Promise<void> {
  const { python } = await setUpNotebooks({ lab: true });
  await using server = await JupyterServer.start(python);
  await Promise.all(NOTEBOOKS.map(async (name) => {
    const executed = JSON.parse(readFileSync(join(REPORT, `${name}.ipynb`), "utf8"));
    const expected = executed.cells
      .filter((cell: any) =>
        cell.cell_type === "code" && !cell.metadata.tags?.includes("injected-parameters")
      )
      .map((cell: any) =>
        cell.outputs.map((output: any) => ({
          type: output.output_type,
          data: Object.fromEntries(
            Object.entries(output.data ?? {}).map((
              [type, text],
            ) => [type, toText(text as string)]),
          ),
        }))
      );
    const session = await server.open(`notebooks/${name}.ipynb`);
    for (let i = 1; i <= EXECUTIONS; i++) {
      deepEqual(await session.restartAndRunAll(), expected, `${name}, execution ${i}`);
    }
    await session.end();
  }));
}

Deno.test("bad input is one line that says what to do, with status 2, and starts nothing", async () => {
  const before = existsSync(join(ROOT, "data/runs")) ? readdirSync(join(ROOT, "data/runs")) : [];
  const cases: [string[], RegExp][] = [
    [["--plan", "nightly"], /plan "nightly": no such plan; the plans are smoke, frameworks/],
    [["--plan", "quikc"], /plan "quikc": no such plan \(did you mean "quick"\?\); the plans are/],
    [["--stduy", "x"], /unknown option '--stduy' \(did you mean --study\?\)/],
    [["--framework", "rails"], /framework "rails": choose from fastapi, django, flask/],
    [["--path", "diagonal"], /path "diagonal": choose from direct, pooled/],
    [["--users", "0"], /users "0": must be a whole number/],
    [["--users", "-5"], /users/],
    [
      ["--users", "many"],
      /option '--users <list>' argument 'many' is invalid: it must be a number/,
    ],
    [["--arrival-rate", "0"], /arrival rate "0": must be a number above 0/],
    [["--users", "5", "--set", "arrivalRate=9"], /5 users with arrivalRate=9: give the load once/],
    [["--set", "arrivals=poisson"], /arrivals is "poisson" in a closed loop/],
    [["--set", "colour=red"], /--set "colour=red"/],
    [["--set", "pgbouncer.listen_port=1"], /Cannot set pgbouncer\.listen_port: Poolscope chooses/],
    [["--set", "postgres.max_connections=9"], /it is Poolscope's maxConnections; set maxConn/],
    [["--study", "../x"], /study "\.\.\/x"/],
    [["--plan", "deno.json"], /plan "deno\.json": unknown field/],
    [
      ["--engine", "podman"],
      /argument 'podman' is invalid: allowed choices are auto, docker, local/,
    ],
    [["--colour"], /unknown option '--colour'/],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await task("run-all", ...args);
    equal(code, 2, `${args}: ${stdout}${stderr}`);
    match(stderr, message);
    equal(stderr.trim().split("\n").length, 1, stderr);
  }
  deepEqual(
    existsSync(join(ROOT, "data/runs")) ? readdirSync(join(ROOT, "data/runs")) : [],
    before,
  );
});
