/** `deno task export`: the report of a study or of a load, rebuilt from its folder. */

import { exportStudy } from "../export_study.ts";
import { exportLoad, findLoad, openLoad } from "../report/open_load.ts";
import { loadStudy } from "../report/study.ts";
import { studyFolder } from "../store/layout.ts";
import { findStudy } from "../store/studies.ts";
import { parseOptions, runTask, shownPath } from "./cli.ts";
import { EXIT, reportStatus } from "./exit_status.ts";
import { TerminalView } from "./terminal.ts";

const USAGE = `Usage: deno task export [--study NAME] [--notebook FILE]...

  --study NAME         default: the newest complete study; or a load's name or folder
  --notebook FILE      a notebook of yours to execute after Poolscope's own`;

await runTask(USAGE, async (signal) => {
  const { values } = parseOptions(Deno.args, {
    study: { type: "string", default: "newest" },
    notebook: { type: "string", multiple: true },
  });
  if (findLoad(values.study) !== null) {
    const load = await openLoad(values.study);
    for (const file of exportLoad(load)) console.log(shownPath(file));
    return load.summary.rejection === null ? EXIT.ok : EXIT.nothingAccepted;
  }
  const study = await loadStudy(studyFolder(findStudy(values.study)));
  using view = new TerminalView();
  await exportStudy(study, { signal, onEvent: view.show, furtherNotebooks: values.notebook });
  return reportStatus(study.runs);
});
