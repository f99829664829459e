/**
 * The positive control, for real: a delay of 10% in one app is named and covered, and arms that are
 * the same are not told apart. It takes ten minutes, and an otherwise idle machine.
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { rmSync } from "node:fs";
import { namedPlan, type Plan } from "./plan.ts";
import { runStudy } from "./run_study.ts";
import { pairScenarios } from "./stats/comparisons.ts";
import { studyFolder } from "./store/layout.ts";

const FULL = Deno.env.get("POOLSCOPE_FULL") === "1";
const ADDED = 0.1;

async function run(study: string, plan: Plan) {
  const onEvent = () => {};
  return await runStudy({ study, plan, engine: "local", onEvent, start: true });
}

Deno.test("the control plan compares one delay and three arms with themselves", () => {
  const pairs = pairScenarios(namedPlan("control").scenarios);
  deepEqual(
    pairs.map(({ kind, other, differences }) => [kind, other.framework, differences.join()]),
    [
      ["settings", "flask", "appDelayMs"],
      ["replica", "fastapi", ""],
      ["replica", "django", ""],
      ["replica", "flask", ""],
    ],
  );
});

Deno.test({
  name: "10% of added delay in one app is named as slower, and nothing else is",
  ignore: !FULL,
  fn: async () => {
    const studies = [`control-pilot-${Deno.pid}`, `control-${Deno.pid}`] as const;
    const plan = namedPlan("control");
    const flask = plan.scenarios.filter(({ framework, replica, appDelayMs }) =>
      framework === "flask" && replica === 0 && appDelayMs === 0
    );
    try {
      // How long a request takes: by Little's law, the users over what they get answered.
      const pilot = { ...plan, rounds: 3, maxRounds: 3, scenarios: flask };
      const [measured] = (await run(studies[0], pilot)).scenarios;
      const takesMs = 1000 * measured!.users! / measured!.rps!.value;
      const scenarios = plan.scenarios.map((scenario) =>
        scenario.appDelayMs === 0
          ? scenario
          : { ...scenario, appDelayMs: Number((ADDED * takesMs).toFixed(2)) }
      );
      const { armRatios, family } = await run(studies[1], { ...plan, scenarios });
      for (const { kind, otherArm, n, ratio, verdict, detectable } of armRatios) {
        console.log(
          `  ${kind} ${otherArm}: ${ratio?.value.toFixed(3)} [${ratio?.low?.toFixed(3)}, ${
            ratio?.high?.toFixed(3)
          }], ${verdict}, ${n} rounds, detectable ${detectable?.toFixed(3)}`,
        );
      }
      console.log(
        `  a request took ${takesMs.toFixed(1)} ms, looks at ${family.looks.join(", ")} rounds, ` +
          `noise ${(100 * family.noise!).toFixed(1)}%`,
      );
      const [delayed, ...copies] = armRatios;
      equal(delayed!.verdict, "lower");
      const truth = 1 / (1 + ADDED);
      ok(delayed!.ratio!.low! <= truth && truth <= delayed!.ratio!.high!, "10% is not covered");
      deepEqual(copies.map(({ verdict }) => verdict), Array(3).fill("indistinguishable"));
    } finally {
      for (const study of studies) rmSync(studyFolder(study), { recursive: true, force: true });
    }
  },
});
