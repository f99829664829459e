// test lane: checkout
import assert from "node:assert/strict";
import { UsageError } from "../errors.ts";
import { syntheticPlan, syntheticStudy } from "../testing/synthetic_study.ts";
import * as poolscope from "../mod.ts";
import * as shown from "./shown.ts";
import { loadStudy } from "./study.ts";

const results = await (async () => {
  using synthetic = syntheticStudy(syntheticPlan({ users: [10], rounds: 1 }));
  return await loadStudy(synthetic.folder);
})();

type Call = (...values: unknown[]) => unknown;
const calls = Object.keys(shown).map((name) =>
  [name, poolscope[name as keyof typeof poolscope] as Call] as const
);

Deno.test("a wrong argument of any figure, table or reading is one line that says what is accepted", () => {
  const ofStudy = ["openLoopFigure", "poolSizeFigure"];
  const isList = (name: string) => /Figure$/.test(name) && !ofStudy.includes(name);
  const values = ["x", 97, [1], undefined, Promise.resolve(results), results.runs, results.plan];
  for (const [name, call] of calls) {
    const wrong = isList(name) ? [...values, results] : [...values, results.scenarios];
    for (
      const value of wrong.filter((one) => name !== "scenarioMatrixFigure" || one !== results.plan)
    ) {
      assert.throws(() => call(value, results), (error: Error) => {
        assert.ok(error instanceof UsageError, `${name}: ${error.message}`);
        assert.match(
          error.message,
          new RegExp(`^Cannot call ${name}\\(\\): \\w+ must be .*, and is `),
        );
        assert.ok(!error.message.includes("\n"));
        return true;
      }, name);
    }
  }
});

Deno.test("what is accepted of a percentile, of scenarios and of options is said", () => {
  const cases: [() => unknown, RegExp][] = [
    [
      () => poolscope.latencyFigure(results.scenarios, { percentile: 97 as 95 }),
      /latencyFigure\(\): percentile must be one of 50, 90, 95, 99, and is 97$/,
    ],
    [() => poolscope.readLatency(results, 97 as 95), /percentile must be one of 50, 90, 95, 99/],
    [
      () => poolscope.latencyFigure(results as unknown as typeof results.scenarios, results),
      /scenarios must be a study's scenarios, as results\.scenarios, and is a study$/,
    ],
    [
      () => poolscope.distributionFigure(Promise.resolve([]) as unknown as []),
      /points must be what await results\.distribution\(\) returns, and is a promise: await it$/,
    ],
    [() => poolscope.throughputFigure(results.scenarios, 5 as never), /options must be an object/],
  ];
  for (const [call, message] of cases) assert.throws(call, message);
  for (const percentile of [50, 90, 95, 99, undefined] as const) {
    poolscope.latencyFigure(results.scenarios, { ...results, percentile });
  }
});

Deno.test("what is to be run on or exported must be a study", async () => {
  for (const call of [poolscope.runOpenLoop, poolscope.runConfirmation, poolscope.exportStudy]) {
    await assert.rejects(call("newest" as unknown as typeof results), {
      name: "UsageError",
      message:
        `Cannot call ${call.name}(): study must be a study, as runStudy() returns it, and is "newest"`,
    });
  }
});

Deno.test("a study as a cell's value, or in a console, is a few lines", () => {
  const { [Symbol.for("Jupyter.display")]: display } = results as unknown as Record<
    symbol,
    () => Record<string, string>
  >;
  for (const text of [display!.call(results)["text/plain"]!, Deno.inspect(results)]) {
    assert.match(text, /^Study synthetic of plan synthetic: FastAPI direct, /);
    assert.match(text, /\n6 runs accepted, 0 rejected, 0 failed, 0 to come\n/);
    assert.ok(text.length < 600 && text.split("\n").length === 3, text);
  }
});
