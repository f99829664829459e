/** `deno task run`: a study without notebooks. */

import { exportStudy } from "../export_study.ts";
import { runStudy } from "../run_study.ts";
import { parseStudyOptions, runTask } from "./cli.ts";
import { TerminalView } from "./terminal.ts";

await runTask(async (signal) => {
  const options = parseStudyOptions("run", Deno.args);
  if (options === null) return;
  const { json, ...study } = options;
  using view = new TerminalView({ json });
  const { show: onEvent } = view;
  await exportStudy(await runStudy({ ...study, signal, onEvent }), {
    ...{ signal, onEvent, notebooks: false },
  });
});
