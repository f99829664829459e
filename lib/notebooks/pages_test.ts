// test lane: checkout
/**
 * Every page of a report with every state that the runs of a study can be in: what each cell of the
 * notebooks shows, the tables' files and the plots.
 */

import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  addRuns,
  syntheticPlan,
  type SyntheticRun,
  syntheticStudy,
} from "../testing/synthetic_study.ts";
import * as poolscope from "../mod.ts";
import { type Plan, type PlannedRun, planRuns } from "../plan.ts";
import { exportTables } from "../report/export.ts";
import { loadStudy, type Study } from "../report/study.ts";
import { createScenario, type Scenario } from "../scenario.ts";
import { confirmationFolder, openLoopFolder, ROOT, RUN_FILES, runFolder } from "../store/layout.ts";
import { readNotebook, STUDY_NOTEBOOKS, toText } from "./notebook.ts";

/** Called with what a cell shows: its last expression's value. */
type Show = (cell: number, value: unknown) => void;
/** The cells of a notebook as one function. */
type Page = (library: unknown, study: string, show: Show) => Promise<void>;

/** A cell whose last statement, where it is an expression, is shown. */
function showLast(source: string, cell: number): string {
  const lines = source.trimEnd().split("\n").filter((line) => !line.startsWith("import "));
  let last = lines.length - 1;
  while (last > 0 && /^[\s?:)}\].]/.test(lines[last]!)) last--;
  const expression = lines.slice(last).join("\n").replace(/;$/, "");
  if (/^(const|let|\/\/)/.test(expression)) return lines.join("\n");
  return [...lines.slice(0, last), `show(${cell}, ${expression});`].join("\n");
}

/** The notebooks as functions, by their names. */
async function readPages(): Promise<Map<string, Page>> {
  const folder = join(ROOT, ".poolscope", `pages-${Deno.pid}`);
  mkdirSync(folder, { recursive: true });
  try {
    const pages = new Map<string, Page>();
    for (const name of STUDY_NOTEBOOKS) {
      const { cells } = await readNotebook(join(ROOT, "notebooks", name));
      const code = cells.flatMap((cell, i) => {
        if (cell.cell_type !== "code") return [];
        const chosen = (cell.metadata.tags ?? []).includes("parameters") ? "study = chosen;" : "";
        return [showLast(toText(cell.source), i + 1), chosen];
      });
      const file = join(folder, `${name}.ts`);
      writeFileSync(
        file,
        `export default async (poolscope, chosen, show) => {\n${code.join("\n")}\n};\n`,
      );
      pages.set(name, (await import(pathToFileURL(file).href)).default);
    }
    return pages;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const PAGES = await readPages();

/** A state of a run, and what a report says of a study of which all runs are in it. */
interface State extends SyntheticRun {
  /** Files that are damaged, or that a failed run never came to. */
  damage?: string[];
  says: RegExp;
}

const ok = { rps: 100, medianMs: 10 };

const STATES: Record<string, State> = {
  accepted: { ...ok, says: /highest throughput was 100/ },
  "failed before its load": {
    ...ok,
    cause: "flask: it did not start",
    noLoad: true,
    says: /No run was accepted: \d runs? failed \(flask: it did not start\)/,
  },
  "failed under load": {
    ...ok,
    failuresPerS: 40,
    cause: "flask: refused",
    says: /No run was accepted: \d runs? failed \(flask: refused\)/,
  },
  "failed with no file but its manifest": {
    ...ok,
    cause: "flask: refused",
    damage: [...RUN_FILES],
    says: /No run was accepted: \d runs? failed \(flask: refused\)/,
  },
  "rejected for its drift": {
    ...ok,
    rps: 200,
    drift: 1,
    says: /No run was accepted: \d runs? rejected \(no steady state\)/,
  },
  "rejected for its generator": {
    ...ok,
    rejected: true,
    says: /No run was accepted: \d runs? rejected \(generator late\)/,
  },
  "not run, or aborted": { ...ok, absent: true, says: /No run is complete yet\./ },
  ...Object.fromEntries(
    // Only the runs of one of the shapes have slices; damage_test damages them.
    [...RUN_FILES, "manifest.json"].filter((name) => name !== "slices.csv").map((
      name,
    ): [string, State] => [
      `with a damaged ${name}`,
      { ...ok, damage: [name], says: new RegExp(name.replace(".", "\\.")) },
    ]),
  ),
};

const scenarios = (["direct", "pooled"] as const).map((path) =>
  createScenario({ framework: "flask", path, users: 10 })
);
const OPEN_LOOP = { shares: [0.5], rounds: 1, warmUpS: 1, windowS: 2 };

/** Shapes of studies. */
const SHAPES: Record<string, Partial<Plan>> = {
  "both paths": { scenarios, openLoop: OPEN_LOOP },
  "direct only": { scenarios: scenarios.slice(0, 1), openLoop: OPEN_LOOP },
  "arms in turn": { scenarios, design: "alternating" },
  "pooled only": { scenarios: scenarios.slice(1) },
  "an open loop only": {
    scenarios: scenarios.map((one) => createScenario({ ...one, users: null, arrivalRate: 50 })),
  },
  "one round": { scenarios, rounds: 1 },
  "a functional check": { scenarios, functionalCheck: true },
};

/** Which runs are in the state; the others are accepted. */
const WHERE: Record<string, (run: PlannedRun) => boolean> = {
  all: () => true,
  "the pooled path's": ({ scenario }) => scenario.path === "pooled",
  "the first round's": ({ round }) => round === 1,
};

/** Writes the runs of a study into its folder. */
function writeRuns(folder: string, plan: Plan, stateOf: (run: PlannedRun) => keyof typeof STATES) {
  const runs = planRuns(plan);
  addRuns(folder, plan, runs, (run) => STATES[stateOf(run)]!);
  for (const run of runs) {
    const { damage = [], cause } = STATES[stateOf(run)]!;
    for (const name of damage) {
      const file = join(runFolder(folder, run.id, run.round), name);
      if (name === "slices.csv" && plan.design !== "alternating") continue;
      if (cause !== undefined) rmSync(file);
      else writeFileSync(file, "<!doctype html>\n");
    }
  }
}

/** What a cell shows, as text. */
function textOf(value: unknown): string {
  if (value === undefined) return "";
  const display = (value as Record<symbol, () => Record<string, string>>)
    ?.[Symbol.for("Jupyter.display")];
  assert.equal(typeof display, "function", `shows ${value}, which has no display`);
  return Object.values(display!.call(value)).join("\n");
}

/** What no reader should find on a page. */
const SLIPS = /\bundefined\b|\bNaN\b|\bInfinity\b|\[object|\bnull\b/;

function check(text: string): void {
  const slip = SLIPS.exec(text);
  if (slip === null) return;
  assert.fail(`…${text.slice(Math.max(0, slip.index - 90), slip.index + 60)}…`);
}

/** Everything that is made of a study, each piece checked: what is wrong with it, a line each. */
async function findFaults(study: Study, says?: RegExp): Promise<string[]> {
  const faults: string[] = [];
  const attempt = async (place: () => string, work: () => unknown) => {
    try {
      await work();
    } catch (error) {
      faults.push(`${place()}: ${(error as Error).message.split("\n")[0]}`);
    }
  };
  const followUps = { openLoop: await study.openLoop(), confirmation: await study.confirmation() };
  const library = {
    ...poolscope,
    runStudy: () => study,
    runOpenLoop: () => followUps.openLoop,
  };
  for (const [name, page] of PAGES) {
    let last = 0;
    await attempt(
      () => `${name}, after cell ${last}`,
      () =>
        page(library, study.name, (cell, value) => {
          check(textOf(value));
          last = cell;
        }),
    );
  }
  await attempt(() => "tables", () => {
    const [report, ...others] = exportTables(study, followUps).filter((file) =>
      !file.endsWith(".png")
    ).map((file) => Deno.readTextFileSync(file));
    [report!, ...others].forEach(check);
    if (says !== undefined) assert.match(report!, says);
  });
  return faults;
}

/** What is wrong with the pages of a study whose runs are in these states. */
async function findFaultsOf(
  plan: Plan,
  stateOf: (run: PlannedRun) => string,
  { says, follow = () => {} }: { says?: RegExp; follow?: (folder: string) => void },
): Promise<string[]> {
  using synthetic = syntheticStudy(plan, () => ({ rps: 0, medianMs: 1, absent: true }));
  writeRuns(synthetic.folder, plan, stateOf);
  follow(synthetic.folder);
  return await findFaults(await loadStudy(synthetic.folder), says);
}

for (const [shape, changes] of Object.entries(SHAPES)) {
  Deno.test(`every page copes with every state of the runs of a study of ${shape}`, async () => {
    const plan = syntheticPlan({ rounds: 2, ...changes });
    const runs = planRuns(plan);
    const faults: string[] = [];
    for (const state of Object.keys(STATES)) {
      for (const [where, isIn] of Object.entries(WHERE)) {
        const affected = runs.filter(isIn).length;
        if (where !== "all" && (affected === 0 || affected === runs.length)) continue;
        // What a damaged file does to the others is damage_test's.
        if (state.includes("damaged") && (where !== "all" || shape !== "both paths")) continue;
        const own = await findFaultsOf(plan, (run) => isIn(run) ? state : "accepted", {
          says: where === "all" && shape === "both paths" ? STATES[state]!.says : undefined,
        });
        faults.push(...own.map((fault) => `${state}, ${where}: ${fault}`));
      }
    }
    assert.deepEqual(faults, []);
  });
}

Deno.test("every page copes with every state of what follows a study", async () => {
  const plan = syntheticPlan({ rounds: 2, scenarios, openLoop: OPEN_LOOP });
  const faults: string[] = [];
  for (const state of Object.keys(STATES).filter((name) => !name.includes("damaged"))) {
    const open = scenarios.map((one) => createScenario({ ...one, users: null, arrivalRate: 50 }));
    const relieved = scenarios.flatMap((one) => [one, createScenario({ ...one, dbCpus: 1 })]);
    const follow = (folder: string) => {
      for (
        const [own, cells] of [[openLoopFolder(folder), open], [
          confirmationFolder(folder),
          relieved,
        ]]
      ) {
        const followed = { ...syntheticPlan({ rounds: 2, scenarios: cells as Scenario[] }) };
        mkdirSync(own as string);
        writeFileSync(join(own as string, "plan.json"), JSON.stringify(followed));
        writeRuns(own as string, followed, () => state);
      }
    };
    const own = await findFaultsOf(plan, () => "accepted", { follow });
    faults.push(...own.map((fault) => `${state}: ${fault}`));
  }
  assert.deepEqual(faults, []);
});
