/**
 * The positive control, for real: 5% more CPU time of each request in one app is named and covered, and
 * arms that are the same are not told apart. It takes 20 minutes, and an otherwise idle machine.
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { rmSync } from "node:fs";
import { namedPlan, type Plan } from "./plan.ts";
import { runStudy } from "./run_study.ts";
import { pairScenarios } from "./stats/comparisons.ts";
import { studyFolder } from "./store/layout.ts";

const FULL = Deno.env.get("POOLSCOPE_FULL") === "1";
const ADDED = 0.05;

async function run(study: string, plan: Plan) {
  const onEvent = () => {};
  return await runStudy({ study, plan, engine: "local", onEvent, start: true });
}

Deno.test("the control plan compares one slowdown and three arms with themselves", () => {
  const pairs = pairScenarios(namedPlan("control").scenarios);
  deepEqual(
    pairs.map(({ kind, other, differences }) => [kind, other.framework, differences.join()]),
    [
      ["settings", "flask", "appCpuMs"],
      ["replica", "fastapi", ""],
      ["replica", "django", ""],
      ["replica", "flask", ""],
    ],
  );
});

Deno.test({
  name: "5% of CPU time burnt in one app is named as slower, and nothing else is",
  ignore: !FULL,
  fn: async () => {
    const studies = [`control-pilot-${Deno.pid}`, `control-${Deno.pid}`] as const;
    const plan = namedPlan("control");
    const flask = plan.scenarios.filter(({ framework, replica, appCpuMs }) =>
      framework === "flask" && replica === 0 && appCpuMs === 0
    );
    try {
      // What a request takes of the machine, whose cores are used up.
      const pilot = { ...plan, rounds: 1, minutes: 1, scenarios: flask };
      const { scenarios: [measured], runs } = await run(studies[0], pilot);
      const { cores, busy } = runs[0]!.conditions.host!;
      const takesMs = 1000 * cores * busy / measured!.rps!.value;
      const scenarios = plan.scenarios.map((scenario) =>
        scenario.appCpuMs === 0
          ? scenario
          : { ...scenario, appCpuMs: Number((ADDED * takesMs).toFixed(3)) }
      );
      const { armRatios, family } = await run(studies[1], { ...plan, scenarios });
      for (const { kind, otherArm, blocks, ratio, verdict, detectable } of armRatios) {
        console.log(
          `  ${kind} ${otherArm}: ${ratio?.value.toFixed(3)} [${ratio?.low?.toFixed(3)}, ${
            ratio?.high?.toFixed(3)
          }], ${verdict}, ${blocks} blocks, detectable ${detectable?.toFixed(3)}`,
        );
      }
      console.log(
        `  a request took ${takesMs.toFixed(2)} ms of the machine, a start's ratio scattered by ${
          (100 * family.deviation!).toFixed(1)
        }%`,
      );
      const [delayed, ...copies] = armRatios;
      equal(delayed!.verdict, "lower");
      const truth = 1 / (1 + ADDED);
      ok(delayed!.ratio!.low! <= truth && truth <= delayed!.ratio!.high!, "5% is not covered");
      deepEqual(copies.map(({ verdict }) => verdict), Array(3).fill("indistinguishable"));
    } finally {
      for (const study of studies) rmSync(studyFolder(study), { recursive: true, force: true });
    }
  },
});
