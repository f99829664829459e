/** `deno task export`: the report of a study or of a load, rebuilt from its folder. */

import { exportStudy } from "../export_study.ts";
import { exportLoad, findLoad, openLoad } from "../report/load.ts";
import { loadStudy } from "../report/study.ts";
import { studyFolder } from "../store/layout.ts";
import { findStudy } from "../store/studies.ts";
import { shownPath } from "./cli.ts";
import { EXIT, reportStatus } from "./exit_status.ts";
import { repeated, runTaskCommand, taskCommand } from "./options.ts";
import { TerminalView } from "./terminal.ts";

const command = taskCommand("export", "Rebuilds the report of a study, or of a load.")
  .option("--study <name>", "a study's name; or a load's, or its folder", "newest")
  .option("--notebook <file>", "a notebook of yours to execute as well; repeatable", repeated)
  .option("--strict", "fail where a claim of a notebook does not hold, and name its cell");

await runTaskCommand(command, async ({ options, signal }) => {
  if (findLoad(options.study) !== null) {
    const load = await openLoad(options.study);
    for (const file of exportLoad(load)) console.log(shownPath(file));
    return load.summary.rejection === null ? EXIT.ok : EXIT.nothingAccepted;
  }
  const study = await loadStudy(studyFolder(findStudy(options.study)));
  using view = new TerminalView();
  const { notebook: furtherNotebooks, strict } = options;
  await exportStudy(study, { signal, onEvent: view.show, furtherNotebooks, strict });
  return reportStatus(study.runs);
});
