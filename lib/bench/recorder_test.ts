// test lane: copy
import { equal, ok } from "node:assert/strict";
import { recordBlocks } from "./recorder.ts";
import { benchPython } from "./load.ts";

Deno.test("bench recorder has pairs of blocks from the project's own locustfile", async () => {
  const { signal } = new AbortController();
  const blocks = await recordBlocks(10, 1, await benchPython(signal), signal);
  equal(blocks.length, 10);
  for (const which of [0, 1] as const) {
    ok(blocks.every((pair) => pair[which][0] > 0), "no CPU time");
    ok(blocks.reduce((sum, pair) => sum + pair[which][1], 0) > 0, "no requests");
  }
});
