/**
 * `deno task test`: all tests, closing with the line `N passed, N failed`.
 *
 * This file must not be called test.ts: Deno would take it for a test, which starts all tests.
 */

import { setUp } from "../setup/mod.ts";
import { ROOT } from "../store/layout.ts";
import { runTask } from "./cli.ts";

/** The closing line of `deno test`, and its counts. */
const SUMMARY =
  /\|\s*(\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(?: \| (\d+) ignored)?/;

await runTask(async (signal) => {
  await setUp({ log: console.log, signal });
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", "--doc", ...(Deno.args.length > 0 ? Deno.args : ["lib/"])],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdout: "piped",
  }).spawn();
  signal.addEventListener("abort", () => child.kill("SIGTERM"));

  let output = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    Deno.stdout.writeSync(chunk);
    output += decoder.decode(chunk, { stream: true });
  }
  const { success } = await child.status;
  signal.throwIfAborted();
  const [, passed = "0", failed = "0", ignored = "0"] = SUMMARY.exec(output) ?? [];
  // A test run that broke off before its summary is a failure, whatever it had counted.
  const counted = success ? Number(failed) : Math.max(1, Number(failed));
  const skipped = ignored === "0" ? "" : `, ${ignored} skipped`;
  console.log(`${passed} passed, ${counted} failed${skipped}`);
  return success && Number(passed) > 0 ? 0 : 1;
});
