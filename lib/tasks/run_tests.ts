/**
 * `deno task test`: all tests, closing with the line `N passed, N failed`.
 *
 * The lanes of testing/lanes.ts go side by side; what measures follows, alone. No test gets a second try:
 * one that is unsteady asserts more than it can know. This file must not be called test.ts: Deno would
 * take it for a test, which starts all tests.
 */

import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { PoolscopeError } from "../errors.ts";
import { tryCommand } from "../setup/command.ts";
import { setUp } from "../setup/mod.ts";
import { ROOT } from "../store/layout.ts";
import { OFFLINE_IMAGES, testLanes } from "../testing/lanes.ts";
import { readJunit, slowest, type TestResult } from "../testing/junit.ts";
import { runTaskCommand, taskCommand } from "./options.ts";

const PRELOAD = "--preload=./lib/testing/preload.ts";

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

/** Runs Deno, its output passed on, and gives whether it went well. */
async function runDeno(args: string[], options: RunOptions): Promise<boolean> {
  const { cwd = ROOT, label, signal } = options;
  signal.throwIfAborted();
  const child = new Deno.Command(Deno.execPath(), {
    args,
    cwd,
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
    signal,
  }).spawn();
  await Promise.all([relay(child.stdout, label), relay(child.stderr, label)]);
  const { success } = await child.status;
  signal.throwIfAborted();
  return success;
}

/** What stands for a command that failed outside of any test. */
function failedCommand(...words: string[]): TestResult {
  const name = `deno ${words.join(" ")}`;
  return { file: null, name, seconds: 0, outcome: "failed", fault: null };
}

async function runTests(args: string[], options: RunOptions): Promise<TestResult[]> {
  const report = Deno.makeTempFileSync({ suffix: ".xml" });
  try {
    const success = await runDeno(
      ["test", "--allow-all", PRELOAD, `--junit-path=${report}`, ...args],
      options,
    );
    const tests = readJunit(readFileSync(report, "utf8"));
    // A test run that broke off before its report is a failure, whatever it had counted.
    const broken = !success && !tests.some(({ outcome }) => outcome === "failed");
    return broken ? [...tests, failedCommand("test", ...args)] : tests;
  } finally {
    rmSync(report, { force: true });
  }
}

/** Runs tests in a copy of the checkout, which is removed; Docker's images are built there as well. */
async function runInCopy(
  files: string[],
  options: RunOptions,
  buildsImages = false,
): Promise<TestResult[]> {
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
    const own = { ...options, cwd };
    const images = ["run", "--allow-all", join("lib", "tasks", "images.ts"), "--offline"];
    if (buildsImages && !await runDeno(images, own)) return [failedCommand(...images)];
    return await runTests(["--no-check", ...files], own);
  } finally {
    const clean = join("lib", "tasks", "clean.ts");
    await inCopy("clean", [Deno.execPath(), "run", "--allow-all", clean]).catch(console.error);
    rmSync(cwd, { recursive: true, force: true });
  }
}

async function runAll(signal: AbortSignal): Promise<TestResult[]> {
  const { copy, docker, alone } = testLanes();
  const others = [...copy, ...docker, ...alone].join();
  // Only the first checks types, for the examples' sake: `deno task ok` does it for all files.
  const lanes = await Promise.allSettled([
    runTests(["--doc", `--ignore=${others}`, "lib/"], { label: "checkout", signal }),
    runInCopy(copy, { label: "copy    ", signal }),
    runInCopy(docker, { label: "docker  ", signal }, OFFLINE_IMAGES),
  ]);
  const tests = lanes.flatMap((lane) => {
    if (lane.status === "rejected") throw lane.reason;
    return lane.value;
  });
  return [...tests, ...await runTests(["--no-check", ...alone], { signal })];
}

const command = taskCommand("test", "Runs all tests, or some, against real services.")
  .argument("[paths...]", "files or folders, and deno test's own options")
  .allowUnknownOption();

await runTaskCommand(command, async ({ signal }) => {
  await setUp({ log: console.log, signal });
  const { args } = Deno;
  const tests = args.length > 0
    ? await runTests(["--doc", ...args], { signal })
    : await runAll(signal);
  const count = (outcome: TestResult["outcome"]) =>
    tests.filter((test) => test.outcome === outcome).length;
  const [passed, failed] = [count("passed"), count("failed")];
  const failures = tests.filter(({ outcome }) => outcome === "failed");
  console.log(`\n${slowest(tests, 20)}`);
  for (const { file, name, fault } of failures) {
    console.log(`Failed: ${file ?? "–"}: ${name}${fault === null ? "" : `: ${fault}`}`);
  }
  const skipped = count("skipped") === 0 ? "" : `, ${count("skipped")} skipped`;
  console.log(`${passed} passed, ${failed} failed${skipped}`);
  return failed === 0 && passed > 0 ? 0 : 1;
});
