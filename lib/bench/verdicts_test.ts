// test lane: checkout
import { deepEqual, equal, ok } from "node:assert/strict";
import { BOTTLENECKS } from "../bottlenecks.ts";
import { scenarioId } from "../scenario.ts";
import { seededDraws } from "./random.ts";
import { drawCases } from "./verdict_cases.ts";

Deno.test("drawCases() draws from its seed alone, eight of different bottlenecks or some of each", () => {
  const draw = (seed: number) => drawCases(seededDraws(seed), { all: 8 });
  deepEqual(draw(7), draw(7));
  ok(JSON.stringify(draw(7)) !== JSON.stringify(draw(8)));
  equal(new Set(draw(7).map(({ truth }) => truth)).size, 8);
  const full = drawCases(seededDraws(3), { perBottleneck: 4 });
  equal(full.length, 4 * BOTTLENECKS.length);
  ok(full.length >= 40);
  for (const { limited, reliefs, truth } of full) {
    ok(reliefs.length > 0);
    for (const relief of reliefs) {
      // Relieved of nothing, a case could not be valid.
      const same = scenarioId(relief.scenario) === scenarioId(limited.scenario);
      ok(!same || JSON.stringify(relief.injection) !== JSON.stringify(limited.injection), truth);
    }
  }
});
