/**
 * What `deno task run` and `deno task run-all` do.
 *
 * @module
 */

import { exportStudy } from "../export_study.ts";
import { chooseNotebooks } from "../notebooks/notebook.ts";
import { runConfirmation, runOpenLoop, runStudy } from "../run_study.ts";
import { reportStatus } from "./exit_status.ts";
import { runTaskCommand } from "./options.ts";
import { settingsHelp, studyCommand, toStudyOptions } from "./study_options.ts";
import { TerminalView } from "./terminal.ts";

/**
 * A study, what follows it, and its report.
 *
 * @param task The task's name, for its help.
 * @param notebooks Whether the notebooks are executed as well.
 */
export function runStudyTask(task: "run" | "run-all", notebooks: boolean): Promise<never> {
  return runTaskCommand(studyCommand(task), async ({ options, signal }) => {
    const { json, confirm, notebook: furtherNotebooks } = options;
    const study = toStudyOptions(task, options);
    // What cannot be executed is found out before anything is measured.
    await chooseNotebooks(furtherNotebooks);
    using view = new TerminalView({ json });
    const shared = { signal, onEvent: view.show };
    // Here, a name that no study has yet is that of a new one.
    const results = await runStudy({ ...study, ...shared, start: true });
    await runOpenLoop(results, { ...study, ...shared });
    if (confirm && await runConfirmation(results, { ...study, ...shared }) === null) {
      view.line("Nothing to confirm: no setting relieves what limited any scenario");
    }
    await exportStudy(results, { ...shared, notebooks, furtherNotebooks });
    return reportStatus(results.runs);
  }, { helpBelow: settingsHelp() });
}
