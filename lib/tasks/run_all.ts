/** `deno task run-all`: a study, its notebooks and its report. */

import { runStudyTask } from "./study.ts";

await runStudyTask("run-all");
