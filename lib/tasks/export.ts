/** `deno task export`: the report of a study, rebuilt from its folder. */

import { exportStudy } from "../export_study.ts";
import { loadStudy } from "../report/study.ts";
import { studyFolder } from "../store/layout.ts";
import { findStudy } from "../store/studies.ts";
import { parseOptions, runTask } from "./cli.ts";
import { reportStatus } from "./exit_status.ts";
import { TerminalView } from "./terminal.ts";

const USAGE = `Usage: deno task export [--study NAME] [--notebook FILE]...

  --study NAME         default: the newest complete study
  --notebook FILE      a notebook of yours to execute after Poolscope's own`;

await runTask(USAGE, async (signal) => {
  const { values } = parseOptions(Deno.args, {
    study: { type: "string", default: "newest" },
    notebook: { type: "string", multiple: true },
  });
  const study = await loadStudy(studyFolder(findStudy(values.study)));
  using view = new TerminalView();
  await exportStudy(study, { signal, onEvent: view.show, furtherNotebooks: values.notebook });
  return reportStatus(study.runs);
});
