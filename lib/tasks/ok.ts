/** `deno task ok`: the gate before a commit; format, lint and types, of the notebooks' cells too. */

import { join } from "node:path";
import { checkCells, type NamedNotebook } from "../notebooks/cells.ts";
import { NOTEBOOKS, parseNotebook } from "../notebooks/notebook.ts";
import { stripText } from "../notebooks/strip.ts";
import { tryCommand } from "../setup/command.ts";
import { ROOT } from "../store/layout.ts";
import { runTaskCommand, taskCommand } from "./options.ts";

/** What one step found; nothing when all is well. */
type Findings = string[];

const COMMAND = taskCommand("ok", "Checks format, lint and types, of the notebooks' cells too.")
  .option("--fix", "format files and strip notebooks");

const FOLDER = join(ROOT, "notebooks");

async function deno(signal: AbortSignal, ...args: string[]): Promise<Findings> {
  const result = await tryCommand([Deno.execPath(), ...args], {
    cwd: ROOT,
    env: Deno.stdout.isTerminal() ? {} : { NO_COLOR: "1" },
    signal,
  });
  return result.code === 0 ? [] : [(result.stdout + result.stderr).trim()];
}

async function readNotebooks(): Promise<(NamedNotebook & { text: string })[]> {
  return await Promise.all(
    NOTEBOOKS.map(async (name) => {
      const text = await Deno.readTextFile(join(FOLDER, name));
      return { name, text, notebook: parseNotebook(text, name) };
    }),
  );
}

async function checkStripped(fix: boolean): Promise<Findings> {
  const findings: Findings = [];
  for (const { name, text } of await readNotebooks()) {
    const stripped = stripText(text, name);
    if (stripped === text) continue;
    if (fix) await Deno.writeTextFile(join(FOLDER, name), stripped);
    else {findings.push(
        `notebooks/${name} holds outputs or an editor's metadata; deno task ok --fix strips it`,
      );}
  }
  return findings;
}

async function checkNotebookCells(signal: AbortSignal): Promise<Findings> {
  const problems = await checkCells(await readNotebooks(), { signal });
  return problems.map(({ where, message }) => `notebooks/${where}: ${message}`);
}

await runTaskCommand(COMMAND, async ({ options: { fix = false }, signal }) => {
  const steps: [string, () => Promise<Findings>][] = [
    ["format", () => deno(signal, "fmt", "-q", ...(fix ? [] : ["--check"]))],
    ["lint", () => deno(signal, "lint", "-q")],
    ["types", () => deno(signal, "check", "-q", "--doc", "lib/")],
    ["notebooks stripped", () => checkStripped(fix)],
    ["notebook cells", () => checkNotebookCells(signal)],
  ];
  let failed = 0;
  for (const [name, step] of steps) {
    const started = performance.now();
    const findings = await step();
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${findings.length === 0 ? "ok    " : "FAILED"}  ${name} (${seconds} s)`);
    for (const finding of findings) console.log(finding.replace(/^/gm, "        "));
    if (findings.length > 0) failed++;
  }
  return failed === 0 ? 0 : 1;
});
