/** `deno task run`: a study without notebooks. */

import { exportTables } from "../report/export.ts";
import { runStudy } from "../run_study.ts";
import { parseStudyOptions, runTask } from "./cli.ts";
import { TerminalView } from "./terminal.ts";

await runTask(async (signal) => {
  const options = parseStudyOptions("run", Deno.args);
  if (options === null) return;
  const view = new TerminalView();
  const study = await runStudy({ ...options, signal, onEvent: view.show });
  const files = await exportTables(study);
  view.line(`Summary: ${files[0]}`);
});
