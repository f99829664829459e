/** `deno task export`: the report of a study, rebuilt from its folder. */

import { exportStudy } from "../export_study.ts";
import { loadStudy } from "../report/study.ts";
import { studyFolder } from "../store/layout.ts";
import { findStudy } from "../store/studies.ts";
import { parseOptions, runTask } from "./cli.ts";
import { TerminalView } from "./terminal.ts";

await runTask(async (signal) => {
  const { values } = parseOptions(Deno.args, {
    help: { type: "boolean", short: "h" },
    study: { type: "string", default: "newest" },
    notebook: { type: "string", multiple: true },
  });
  if (values.help) {
    console.log(
      "Usage: deno task export [--study NAME] [--notebook FILE]...\n\n" +
        "  --study NAME         default: the newest complete study\n" +
        "  --notebook FILE      a notebook of yours to execute after Poolscope's own",
    );
    return;
  }
  const study = await loadStudy(studyFolder(findStudy(values.study)));
  using view = new TerminalView();
  await exportStudy(study, { signal, onEvent: view.show, furtherNotebooks: values.notebook });
});
