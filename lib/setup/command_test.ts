// test lane: checkout
import { deepStrictEqual as equal, ok, rejects } from "node:assert/strict";
import { PoolscopeError } from "../errors.ts";
import { findOnPath, lastLine, runCommand, tryCommand } from "./command.ts";

Deno.test("runCommand() returns what the command wrote and passes lines on", async () => {
  const lines: string[] = [];
  const { stdout, stderr } = await runCommand("try", ["sh", "-c", "echo a; echo b >&2; printf c"], {
    onLine: (line) => lines.push(line),
  });
  equal([stdout, stderr], ["a\nc", "b\n"]);
  equal(lines.sort(), ["a", "b", "c"]);
});

Deno.test("runCommand() names action, last line and exit status when the command fails", async () => {
  await rejects(
    runCommand("try it", ["sh", "-c", "echo fine; echo 'no space left' >&2; exit 3"]),
    new PoolscopeError("Cannot try it: no space left (exit status 3)"),
  );
});

Deno.test("runCommand() names the program that is not there", async () => {
  await rejects(
    runCommand("try it", ["poolscope-no-such-program"]),
    new PoolscopeError(
      "Cannot try it: poolscope-no-such-program is not there (exit status 127)",
    ),
  );
});

Deno.test("tryCommand() adds and removes environment variables and hands over input", async () => {
  Deno.env.set("POOLSCOPE_TEST_A", "a");
  const { stdout } = await tryCommand(
    ["sh", "-c", 'cat; echo "${POOLSCOPE_TEST_A-unset} $POOLSCOPE_TEST_B"'],
    { env: { POOLSCOPE_TEST_A: undefined, POOLSCOPE_TEST_B: "b" }, input: "x " },
  );
  Deno.env.delete("POOLSCOPE_TEST_A");
  equal(stdout, "x unset b\n");
});

Deno.test("tryCommand() stops the command when it is aborted", async () => {
  const controller = new AbortController();
  const started = performance.now();
  const running = tryCommand(["sleep", "30"], { signal: controller.signal });
  controller.abort(new Error("enough"));
  await rejects(running, new Error("enough"));
  ok(performance.now() - started < 3000);
});

Deno.test("lastLine() prefers an error to what follows it", () => {
  equal(
    lastLine({ stdout: "", stderr: "error: no such package\nhint: look again\n" }),
    "error: no such package",
  );
  equal(lastLine({ stdout: "", stderr: "" }), "no output");
});

Deno.test("findOnPath() finds programs only", () => {
  ok(findOnPath("sh")?.endsWith("/sh"));
  equal(findOnPath("poolscope-no-such-program"), null);
});

Deno.test("lastLine() keeps passwords to itself", () => {
  const stderr = "error: cannot fetch https://user:secret@mirror.example/simple/a\n";
  equal(
    lastLine({ stdout: "", stderr }),
    "error: cannot fetch https://***@mirror.example/simple/a",
  );
});
