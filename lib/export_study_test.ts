// test lane: checkout
/** What a notebook that fails costs a report, and with which status the tasks end then. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { syntheticPlan, syntheticStudy } from "./testing/synthetic_study.ts";
import {
  formatNotebook,
  POOL_SIZE_NOTEBOOK,
  STRATEGIES_NOTEBOOK,
  STUDY_NOTEBOOKS,
} from "./notebooks/notebook.ts";
import { createScenario } from "./scenario.ts";
import { ROOT, studyFolder } from "./store/layout.ts";

const scenarios = (["direct", "pooled"] as const).map((path) =>
  createScenario({ framework: "flask", path, users: 10 })
);
/** Of studies that try no pool sizes. */
const pages = STUDY_NOTEBOOKS
  .filter((name) => name !== POOL_SIZE_NOTEBOOK && name !== STRATEGIES_NOTEBOOK)
  .map((name) => name.replace(".ipynb", ".html"));

/** A complete study under `data/runs/`, of which a task is to write the report. */
function placeStudy(name: string) {
  const folder = studyFolder(name);
  using made = syntheticStudy(syntheticPlan({ name, rounds: 2, scenarios }));
  cpSync(made.folder, folder, { recursive: true });
  return {
    report: join(folder, "report"),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function task(name: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-check", join(ROOT, `lib/tasks/${name}.ts`), ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
  return { code, out: out!, err: err! };
}

Deno.test("export of a study of which one of our notebooks fails loses its page alone, and ends with 1", async () => {
  const name = `lost-page-${Deno.pid}`;
  using study = placeStudy(name);
  // A folder stands where the executed notebook belongs, beside the page of an earlier export.
  mkdirSync(join(study.report, "40_diagnosis.ipynb"), { recursive: true });
  writeFileSync(join(study.report, "40_diagnosis.html"), "of an earlier export");
  const { code, err } = await task("export", "--study", name);
  equal(code, 1, err);
  match(err.split("\n").at(-1)!, /^Cannot execute 40_diagnosis\.ipynb: .*directory/);
  deepEqual(
    pages.filter((page) => !existsSync(join(study.report, page))),
    ["40_diagnosis.html"],
  );
  ok(existsSync(join(study.report, "summary_report.md")));
});

Deno.test("a claim that the data does not bear is said to be not shown, and fails a strict export", async () => {
  const name = `claims-${Deno.pid}`;
  using study = placeStudy(name);
  const notebook = join(study.report, "..", "claims.ipynb");
  const cell = (id: string, source: string) => (
    { cell_type: "code", id, metadata: {}, source, outputs: [] }
  );
  const cells = [
    cell("a", `let study = ${JSON.stringify(name)};`),
    cell(
      "b",
      'import * as poolscope from "poolscope";\nconst results = await poolscope.runStudy({ study, start: false });',
    ),
    cell("c", 'poolscope.claim(results.ratios.length === 1, "One pair is compared.")'),
    cell("d", 'poolscope.claim(results.ratios[0].ratio.value > 9, "PgBouncer pays.", "1.00")'),
  ];
  writeFileSync(notebook, formatNotebook({ nbformat: 4, nbformat_minor: 5, metadata: {}, cells }));
  const given = ["--study", name, "--notebook", notebook];
  const lax = await task("export", ...given);
  equal(lax.code, 0, lax.err);
  const strict = await task("export", ...given, "--strict");
  equal(strict.code, 1, strict.err);
  match(
    strict.err.split("\n").at(-1)!,
    /^Cannot vouch for what the notebooks say: claims\.ipynb, cell 4: not shown \(1\.00\): PgBouncer pays\.; /,
  );
  const page = readFileSync(join(study.report, "claims.html"), "utf8");
  match(page, /One pair is compared\./);
  match(page, /<strong>Not shown<\/strong> \(1\.00\): PgBouncer pays\./);
});

Deno.test("run-all with a reader's notebook that fails has all of our pages, and ends with 0", async () => {
  const name = `readers-page-${Deno.pid}`;
  using study = placeStudy(name);
  const notebook = join(study.report, "..", "mine.ipynb");
  const source = 'throw new TypeError("mine is not finished")';
  writeFileSync(
    notebook,
    formatNotebook({
      nbformat: 4,
      nbformat_minor: 5,
      metadata: {},
      cells: [{ cell_type: "code", id: "a", metadata: {}, source, outputs: [] }],
    }),
  );
  const { code, out, err } = await task(
    "run_all",
    "--study",
    name,
    "--json",
    "--notebook",
    notebook,
  );
  equal(code, 0, err);
  const events = out.split("\n").map((line) => JSON.parse(line));
  const told = events.filter(({ event }) => event === "note").map(({ text }) => text);
  match(
    told.join("\n"),
    /Cannot execute mine\.ipynb: cell 1 failed: TypeError: mine is not finished .*; the rest of the report does without it/,
  );
  const { event, files } = events.at(-1);
  equal(event, "report_finished");
  deepEqual(
    pages.filter((page) => !files.some((file: string) => file.endsWith(`/${page}`))),
    [],
  );
  ok(!existsSync(join(study.report, "mine.html")));
});
