/**
 * `deno task test`: all tests, closing with the line `N passed, N failed`.
 *
 * They run against real services, signals and clocks, on machines that have other things to do. What
 * fails is therefore run once more by itself, and named if it holds then: it is unsteady, not right.
 *
 * This file must not be called test.ts: Deno would take it for a test, which starts all tests.
 */

import { readFileSync, rmSync } from "node:fs";
import { setUp } from "../setup/mod.ts";
import { ROOT } from "../store/layout.ts";
import { runTask } from "./cli.ts";

/** With more failed files than this, something is broken, and a second look shows nothing new. */
const MOST_REPEATED = 5;

/** The closing line of `deno test`, and its counts. */
const SUMMARY =
  /\|\s*(\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(?: \| (\d+) ignored)?/;

/** What came of some tests. */
interface Outcome {
  passed: number;
  failed: number;
  ignored: number;
  /** Files in which a test failed. */
  failedFiles: string[];
}

/** Runs the tests of files and folders. */
async function runTests(paths: string[], signal: AbortSignal): Promise<Outcome> {
  const report = Deno.makeTempFileSync({ suffix: ".xml" });
  try {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["test", "--allow-all", "--doc", `--junit-path=${report}`, ...paths],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
      stdout: "piped",
    }).spawn();
    const stop = () => child.kill("SIGTERM");
    signal.addEventListener("abort", stop);
    let output = "";
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      Deno.stdout.writeSync(chunk);
      output += decoder.decode(chunk, { stream: true });
    }
    const { success } = await child.status;
    signal.removeEventListener("abort", stop);
    signal.throwIfAborted();
    const [, passed = "0", failed = "0", ignored = "0"] = SUMMARY.exec(output) ?? [];
    return {
      passed: Number(passed),
      // A test run that broke off before its summary is a failure, whatever it had counted.
      failed: success ? Number(failed) : Math.max(1, Number(failed)),
      ignored: Number(ignored),
      failedFiles: [
        ...readFileSync(report, "utf8").matchAll(
          /<testsuite name="([^"]+)"[^>]* failures="(\d+)"/g,
        ),
      ].flatMap(([, file, failures]) => Number(failures) > 0 ? [file!] : []),
    };
  } finally {
    rmSync(report, { force: true });
  }
}

await runTask("Usage: deno task test [FILE or FOLDER …]", async (signal) => {
  await setUp({ log: console.log, signal });
  const first = await runTests(Deno.args.length > 0 ? Deno.args : ["lib/"], signal);
  let { passed, failed } = first;
  const { failedFiles } = first;
  if (failed > 0 && failedFiles.length > 0 && failedFiles.length <= MOST_REPEATED) {
    console.log(`\nOnce more, as they failed: ${failedFiles.join(", ")}`);
    const again = await runTests(failedFiles, signal);
    passed += failed - again.failed;
    failed = again.failed;
    if (failed === 0) {
      console.log(`Unsteady, failed once and held the second time: ${failedFiles.join(", ")}`);
    }
  }
  const skipped = first.ignored === 0 ? "" : `, ${first.ignored} skipped`;
  console.log(`${passed} passed, ${failed} failed${skipped}`);
  return failed === 0 && passed > 0 ? 0 : 1;
});
