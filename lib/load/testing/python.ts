/** The Python that runs the real Locust in tests. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { TOOLS } from "../../store/layout.ts";

export function testPython(): string {
  const python = Deno.env.get("POOLSCOPE_TEST_PYTHON") ?? join(TOOLS, "venv", "bin", "python");
  assert.ok(
    existsSync(python),
    `Cannot test the load: there is no ${python}; run "deno task test", or set POOLSCOPE_TEST_PYTHON to a Python that has Locust`,
  );
  return python;
}
