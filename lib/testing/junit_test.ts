// test lane: checkout
import { deepEqual, equal } from "node:assert/strict";
import { join } from "node:path";
import { readJunit, slowest } from "./junit.ts";

const TESTS = `
Deno.test("a > b & \\"c\\" <d>", async (t) => {
  await t.step("first", () => {});
  await t.step("second", () => { throw new Error("<testcase name=\\"no\\">\\n& more"); });
});
Deno.test("slow", () => new Promise((resolve) => setTimeout(resolve, 120)));
Deno.test({ name: "left out", ignore: true, fn: () => {} });
`;

Deno.test("readJunit() reads tests without their steps, as deno test writes them", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(folder, "x_test.ts"), TESTS);
    await new Deno.Command(Deno.execPath(), {
      args: ["test", "--no-check", "--junit-path=x.xml", "x_test.ts"],
      cwd: folder,
    }).output();
    const tests = readJunit(await Deno.readTextFile(join(folder, "x.xml")));
    deepEqual(tests.map(({ seconds: _, ...rest }) => rest), [
      {
        file: "./x_test.ts",
        name: 'a > b & "c" <d>',
        outcome: "failed",
        fault: 'Error: <testcase name="no"> & more',
      },
      { file: "./x_test.ts", name: "slow", outcome: "passed", fault: null },
      { file: "./x_test.ts", name: "left out", outcome: "skipped", fault: null },
    ]);
    equal(tests[1]!.seconds >= 0.12 && tests[1]!.seconds < 30, true);
    equal(slowest(tests, 1).split("\n")[0], "The slowest 1 of 3 tests:");
    equal(slowest(tests, 1).endsWith(" s  ./x_test.ts: slow"), true);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
