/** `deno task run-all`: a study, its notebooks and its report. */

import { exportStudy } from "../export_study.ts";
import { runConfirmation, runOpenLoop, runStudy } from "../run_study.ts";
import { parseStudyOptions, runTask } from "./cli.ts";
import { TerminalView } from "./terminal.ts";

await runTask(async (signal) => {
  const options = parseStudyOptions("run-all", Deno.args);
  if (options === null) return;
  const { json, confirm, ...study } = options;
  using view = new TerminalView({ json });
  const { show: onEvent } = view;
  const results = await runStudy({ ...study, signal, onEvent });
  await runOpenLoop(results, { ...study, signal, onEvent });
  if (confirm && await runConfirmation(results, { ...study, signal, onEvent }) === null) {
    view.line("Nothing to confirm: no setting relieves what limited any scenario");
  }
  await exportStudy(results, { signal, onEvent });
});
