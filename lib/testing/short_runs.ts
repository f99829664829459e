/**
 * Short runs in a row, in a runner of their own: `short_runs.ts PLAN_FILE STUDY` prints after each
 * what the runner holds, as one JSON object a line. To be started with `--v8-flags=--expose-gc`, so
 * that memory which waits to be collected does not count.
 */

import { readdirSync } from "node:fs";
import { runStudy } from "../run_study.ts";
import { familyOf, findLeftovers } from "./leftovers.ts";

/** What a runner holds after a run. */
export interface Sample {
  /** The runner and everything below it. */
  processes: number;
  /** Its open file descriptors. */
  descriptors: number;
  /** What of the study is outside its folder. */
  leftovers: number;
  /** Its resident memory, without what V8 holds in reserve, which grows in steps of many MiB. */
  memoryMiB: number;
}

function takeSample(): Sample {
  (globalThis as { gc?: () => void }).gc!();
  const { rss, heapTotal, heapUsed } = Deno.memoryUsage();
  return {
    processes: familyOf(Deno.pid).length,
    descriptors: readdirSync("/proc/self/fd").length,
    leftovers: findLeftovers().length,
    memoryMiB: (rss - heapTotal + heapUsed) / 2 ** 20,
  };
}

if (import.meta.main) {
  const [plan, study] = Deno.args;
  await runStudy({
    plan,
    study,
    engine: "local",
    start: true,
    onEvent: ({ event }) => {
      if (event === "run_finished") console.log(JSON.stringify(takeSample()));
    },
  });
}
