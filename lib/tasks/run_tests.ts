/**
 * `deno task test`: all tests, closing with the line `N passed, N failed`.
 *
 * The lanes of testing/lanes.ts go side by side; what measures follows, alone. The tests run against
 * real services, signals and clocks, on machines that have other things to do. What fails is therefore
 * run once more by itself, and named if it holds then: it is unsteady, not right.
 *
 * This file must not be called test.ts: Deno would take it for a test, which starts all tests.
 */

import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { PoolscopeError } from "../errors.ts";
import { tryCommand } from "../setup/command.ts";
import { setUp } from "../setup/mod.ts";
import { ROOT } from "../store/layout.ts";
import { testLanes } from "../testing/lanes.ts";
import { readJunit, slowest, type TestResult } from "../testing/junit.ts";
import { runTask } from "./cli.ts";

/** With more failed files than this, something is broken, and a second look shows nothing new. */
const MAX_REPEATED = 5;

/** Where and how some tests are run. */
interface RunOptions {
  /** @default the checkout */
  cwd?: string;
  /** Begins each line of the output. @default none */
  label?: string;
  signal: AbortSignal;
}

/** Writes a stream's lines with a label before each, or the stream as it comes without one. */
async function relay(stream: ReadableStream<Uint8Array>, label?: string): Promise<void> {
  const decoder = new TextDecoder();
  let line = "";
  for await (const chunk of stream) {
    if (label === undefined) {
      Deno.stdout.writeSync(chunk);
      continue;
    }
    const lines = (line + decoder.decode(chunk, { stream: true })).split("\n");
    line = lines.pop()!;
    for (const whole of lines) console.log(`${label} | ${whole}`);
  }
  if (line !== "") console.log(`${label} | ${line}`);
}

/** Runs `deno test`. */
async function runTests(args: string[], options: RunOptions): Promise<TestResult[]> {
  const { cwd = ROOT, label, signal } = options;
  signal.throwIfAborted();
  const report = Deno.makeTempFileSync({ suffix: ".xml" });
  try {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["test", "--allow-all", `--junit-path=${report}`, ...args],
      cwd,
      env: { NO_COLOR: "1" },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stop = () => child.kill("SIGTERM");
    signal.addEventListener("abort", stop);
    await Promise.all([relay(child.stdout, label), relay(child.stderr, label)]);
    const { success } = await child.status;
    signal.removeEventListener("abort", stop);
    signal.throwIfAborted();
    const tests = readJunit(readFileSync(report, "utf8"));
    // A test run that broke off before its report is a failure, whatever it had counted.
    const broken = !success && !tests.some(({ outcome }) => outcome === "failed");
    const name = `deno test ${args.join(" ")}`;
    return broken ? [...tests, { file: null, name, seconds: 0, outcome: "failed" }] : tests;
  } finally {
    rmSync(report, { force: true });
  }
}

/** Runs tests in a copy of the checkout, which is removed. */
async function runInCopy(args: string[], options: RunOptions): Promise<TestResult[]> {
  // Not below /tmp, which may be memory.
  const cwd = Deno.makeTempDirSync({ dir: "/var/tmp", prefix: "poolscope-tests-" });
  // As open to the services' user as a checkout is.
  Deno.chmodSync(cwd, 0o755);
  const inCopy = async (action: string, command: [string, ...string[]]) => {
    const { code, stderr } = await tryCommand(command, { cwd });
    if (code !== 0) throw new PoolscopeError(`Cannot ${action} ${cwd}: ${stderr.trim()}`);
  };
  try {
    const leaveOut = "--exclude=./.poolscope --exclude=./data/runs";
    const copying = `tar -C "$0" ${leaveOut} -cf - . | tar -xf -`;
    await inCopy("copy the checkout to", ["sh", "-c", copying, ROOT]);
    return await runTests(args, { ...options, cwd });
  } finally {
    const clean = join("lib", "tasks", "clean.ts");
    await inCopy("clean", [Deno.execPath(), "run", "--allow-all", clean]).catch(console.error);
    rmSync(cwd, { recursive: true, force: true });
  }
}

/** The files to run once more; none where a run broke off before its first test. */
function failedFiles(failures: readonly TestResult[]): string[] {
  if (failures.some(({ file }) => file === null)) return [];
  // An example's file is its source's, with its lines.
  return [...new Set(failures.map(({ file }) => file!.replace(/[#$].*$/, "")))];
}

/** Runs all tests. */
async function runAll(signal: AbortSignal): Promise<TestResult[]> {
  const { copy, alone } = testLanes();
  const others = [...copy, ...alone].join();
  // Only the first checks types, for the examples' sake: `deno task ok` does it for all files.
  const lanes = await Promise.allSettled([
    runTests(["--doc", `--ignore=${others}`, "lib/"], { label: "checkout", signal }),
    runInCopy(["--no-check", ...copy], { label: "copy    ", signal }),
  ]);
  const tests = lanes.flatMap((lane) => {
    if (lane.status === "rejected") throw lane.reason;
    return lane.value;
  });
  return [...tests, ...await runTests(["--no-check", ...alone], { signal })];
}

await runTask("Usage: deno task test [FILE or FOLDER …]", async (signal) => {
  await setUp({ log: console.log, signal });
  const { args } = Deno;
  const tests = args.length > 0
    ? await runTests(["--doc", ...args], { signal })
    : await runAll(signal);
  const count = (outcome: TestResult["outcome"]) =>
    tests.filter((test) => test.outcome === outcome).length;
  let [passed, failed] = [count("passed"), count("failed")];
  const failures = tests.filter(({ outcome }) => outcome === "failed");
  console.log(`\n${slowest(tests, 20)}`);
  for (const { file, name } of failures) console.log(`Failed: ${file ?? "–"}: ${name}`);
  const files = failedFiles(failures);
  if (files.length > 0 && files.length <= MAX_REPEATED) {
    console.log(`\nOnce more, as they failed: ${files.join(", ")}`);
    const again = await runTests(["--doc", ...files], { signal });
    // What is not among the tests of the second try has not held.
    const held = failures.filter(({ name }) =>
      again.some((test) => test.name === name && test.outcome === "passed")
    );
    passed += held.length;
    failed -= held.length;
    for (const { file, name } of failures) console.log(`Failed the first time: ${file}: ${name}`);
  }
  const skipped = count("skipped") === 0 ? "" : `, ${count("skipped")} skipped`;
  console.log(`${passed} passed, ${failed} failed${skipped}`);
  return failed === 0 && passed > 0 ? 0 : 1;
});
