// test lane: docker
/** Further rounds of undecided comparisons, run for real: asked for, interrupted, resumed, ended. */

import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parsePlan } from "./plan.ts";
import { runStudy, type RunStudyOptions } from "./run_study.ts";
import { scenarioId } from "./scenario.ts";
import { emptyProgress, foldEvent, type StudyProgress } from "./store/progress.ts";
import type { StudyEvent } from "./store/events.ts";
import { studyFolder } from "./store/layout.ts";
import { isComplete, openStudyFolder } from "./store/studies.ts";

const STUDY = `stopping-${Deno.pid}`;

// One cell and two copies: that both copies come out different after two rounds is as good as
// excluded, and two rounds are too few to know of any noise what a further one would find.
const PLAN = parsePlan(
  JSON.stringify({
    name: STUDY,
    rounds: 2,
    maxRounds: 4,
    // A comparison without rounds asks for none: no run is rejected for what the machine did meanwhile.
    functionalCheck: true,
    warmUpS: 1,
    windowS: 3,
    scenarios: [0, 1, 2].map((replica) => ({
      framework: "flask",
      path: "direct",
      users: 4,
      workers: 1,
      thinkTimeMinS: 0.03,
      thinkTimeMaxS: 0.06,
      dbCpus: null,
      replica,
    })),
  }),
  "the test",
);

/** Runs the study as a user's command does, and follows it as a view does. */
async function start(
  options: Partial<RunStudyOptions> & { until?: (events: StudyEvent[]) => boolean },
) {
  const { until, ...rest } = options;
  const controller = new AbortController();
  const events: StudyEvent[] = [];
  let progress: StudyProgress = emptyProgress();
  const result = await runStudy({
    plan: PLAN,
    engine: "local",
    signal: controller.signal,
    start: true,
    onEvent: (event) => {
      events.push(event);
      progress = foldEvent(progress, event);
      if (until?.(events)) controller.abort(new Error("the test ends it"));
    },
    ...rest,
  }).catch((error: Error) => error);
  return { result, events, progress };
}

Deno.test("runStudy() runs further rounds of what is undecided, and no more when that is over", async (t) => {
  const folder = studyFolder(STUDY);
  try {
    await t.step("an interruption in a further round keeps what is complete", async () => {
      const { result, events, progress } = await start({
        study: STUDY,
        // Within the second run of the third round.
        until: (events) => events.filter(({ event }) => event === "run_started").length === 8,
      });
      await rejects(Promise.reject(result), /the test ends it/);
      const added = events.find((event) => event.event === "rounds_added");
      ok(added?.event === "rounds_added", "no further rounds were asked for");
      deepEqual([added.rounds, added.comparisons], [2, 2]);
      ok(added.scenarioIds.includes(scenarioId(PLAN.scenarios[0]!)));
      equal(progress.runs, added.runs);
      equal(progress.stopped, true);
      equal(isComplete(folder), false);
      // The same command goes on with it.
      equal(openStudyFolder(PLAN).folder, folder);
    });

    await t.step("the same command goes on with it, to its end", async () => {
      const { result, events, progress } = await start({});
      if (result instanceof Error) throw result;
      equal(result.name, STUDY);
      const { family, rule, missing, runs } = result;
      deepEqual([rule.rounds, rule.maxRounds, missing.length, family.next], [2, 4, 0, null]);
      const [begun] = events.filter((event) => event.event === "study_started");
      ok(begun?.event === "study_started" && begun.complete === 7);
      equal(progress.runs, runs.length);
      equal(progress.completeBefore + progress.finished, runs.length);
      const most = Math.max(...family.comparisons.map((comparison) => comparison.rounds));
      equal(most, family.looks.at(-1));
      ok(most > 2 && most <= 4);
      for (const { id, verdict, rounds } of family.comparisons) {
        const [base, other] = id.split(" ") as [string, string];
        const of = (one: string) => runs.filter((run) => run.scenarioId === one).length;
        equal(of(base), most);
        equal(of(other), rounds);
        // Up to 5% of studies find a difference between copies, and that at the last look too.
        const ends = verdict === "indistinguishable" ? [most] : family.looks;
        ok(ends.includes(rounds), `${id}: ${verdict}`);
      }
      // Each run has its own place in the study, and with it its own seed.
      const orders = result.manifests.map((manifest) => manifest.order);
      equal(new Set(orders).size, orders.length);
      const { looks, maxRounds } = JSON.parse(readFileSync(join(folder, "decided.json"), "utf8"));
      deepEqual([looks, maxRounds], [family.looks, 4]);
      equal(isComplete(folder), true);
    });

    await t.step("what is complete is not extended again, with or without its note", async () => {
      const before = readFileSync(join(folder, "events.jsonl"), "utf8");
      for (const _ of [1, 2]) {
        const { result, events } = await start({ study: STUDY });
        if (result instanceof Error) throw result;
        equal(result.complete, true);
        deepEqual(events, []);
        equal(readFileSync(join(folder, "events.jsonl"), "utf8"), before);
        ok(existsSync(join(folder, "decided.json")));
        rmSync(join(folder, "decided.json"));
      }
      match(before, /"event":"rounds_added"/);
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
