// test lane: docker
/** Several of each service side by side on a Docker daemon, each with a network of its own. */

import { deepEqual, equal } from "node:assert/strict";
import { rmSync } from "node:fs";
import { DockerEngine } from "./engine/docker.ts";
import { sweepDocker } from "./hosts/docker/sweep.ts";
import { dockerTests, looseEnds } from "./testing/docker.ts";
import { standSideBySide } from "./testing/side_by_side.ts";

const dockerTest = await dockerTests("arms side by side in containers");

/** All 20 cycles instead of one. */
const CYCLES = Deno.env.get("POOLSCOPE_FULL") === "1" ? 20 : 1;

Deno.test(dockerTest(
  "two arms stand side by side in containers and a third starts beside them; nothing is left",
  async (found) => {
    // What a start that was killed earlier has left is gone before.
    await sweepDocker(found.daemon);
    const before = await looseEnds(found);
    for (let i = 0; i < CYCLES; i++) {
      const folder = Deno.makeTempDirSync({ prefix: "poolscope-arms-" });
      try {
        await using engine = await DockerEngine.open({ daemon: found.daemon, study: "arms-test" });
        const { firstS, secondS } = await standSideBySide(engine, folder);
        console.log(`  ${firstS.toFixed(2)} s, the second after ${secondS.toFixed(2)} s more`);
        equal((await looseEnds(found)).length > before.length, true);
      } finally {
        rmSync(folder, { recursive: true });
      }
    }
    deepEqual(await looseEnds(found), before);
  },
));
