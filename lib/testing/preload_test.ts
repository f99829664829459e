// test lane: checkout

import { match } from "node:assert/strict";
import { join } from "node:path";
import { tryCommand } from "../setup/command.ts";
import { ROOT } from "../store/layout.ts";

Deno.test("a test that never ends fails, names its step, and lets the others run", async () => {
  const folder = Deno.makeTempDirSync();
  const file = join(folder, "stuck_test.ts");
  try {
    Deno.writeTextFileSync(
      file,
      `Deno.test("stuck", async (t) => {
         await t.step("quick", () => {});
         await t.step("waits", async () => {
           await new Promise((resolve) => Deno.stdin.isTerminal() || setTimeout(resolve, 1e6));
         });
       });
       Deno.test({ name: "the next", fn() {} });`,
    );
    const preload = `--preload=${join(ROOT, "lib/testing/preload.ts")}`;
    const { code, stdout } = await tryCommand(
      [Deno.execPath(), "test", "--allow-all", "--no-check", preload, file],
      { env: { POOLSCOPE_TEST_LIMIT_S: "2", NO_COLOR: "1" } },
    );
    match(stdout, /did not end within 2 s; its step "waits" was running/);
    match(stdout, /the next \.\.\. .*ok/);
    match(`${code}`, /^1$/);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
