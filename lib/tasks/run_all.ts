/** `deno task run-all`: a study, its notebooks and its report. */

import { exportStudy } from "../export_study.ts";
import { runStudy } from "../run_study.ts";
import { parseStudyOptions, runTask } from "./cli.ts";
import { TerminalView } from "./terminal.ts";

await runTask(async (signal) => {
  const options = parseStudyOptions("run-all", Deno.args);
  if (options === null) return;
  const view = new TerminalView();
  const study = await runStudy({ ...options, signal, onEvent: view.show });
  await exportStudy(study, { signal, log: view.line, status: view.status });
});
