/** `deno task ok`: the gate before a commit; format, lint and types, of the notebooks' cells too. */

import { join } from "node:path";
import { checkCells } from "../notebooks/cells.ts";
import { NOTEBOOKS, parseNotebook, stripText } from "../notebooks/notebook.ts";
import { tryCommand } from "../setup/command.ts";
import { ROOT } from "../store/layout.ts";
import { runTaskCommand, taskCommand } from "./options.ts";

const command = taskCommand("ok", "Checks format, lint and types, of the notebooks' cells too.")
  .option("--fix", "format files and strip notebooks");

/** What one step found; nothing when all is well. */
type Findings = Promise<string[]>;

async function deno(signal: AbortSignal, ...args: string[]): Findings {
  const { code, stdout, stderr } = await tryCommand([Deno.execPath(), ...args], {
    cwd: ROOT,
    env: Deno.stdout.isTerminal() ? {} : { NO_COLOR: "1" },
    signal,
  });
  return code === 0 ? [] : [(stdout + stderr).trim()];
}

async function checkStripped(fix: boolean): Findings {
  const findings: string[] = [];
  for (const name of NOTEBOOKS) {
    const path = join(ROOT, "notebooks", name);
    const text = await Deno.readTextFile(path);
    const stripped = stripText(text, name);
    if (stripped === text) continue;
    if (fix) await Deno.writeTextFile(path, stripped);
    else {
      findings.push(
        `notebooks/${name} holds outputs or an editor's metadata; deno task ok --fix strips it`,
      );
    }
  }
  return findings;
}

async function checkNotebookCells(signal: AbortSignal): Findings {
  const notebooks = await Promise.all(NOTEBOOKS.map(async (name) => {
    const text = await Deno.readTextFile(join(ROOT, "notebooks", name));
    return { name, notebook: parseNotebook(text, name) };
  }));
  const problems = await checkCells(notebooks, { signal });
  return problems.map(({ where, message }) => `notebooks/${where}: ${message}`);
}

await runTaskCommand(command, async ({ options: { fix = false }, signal }) => {
  const steps: [string, () => Findings][] = [
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
