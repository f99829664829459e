// test lane: checkout
import { deepEqual, equal, ok } from "node:assert/strict";
import {
  blocksS,
  groupRuns,
  groupScenarios,
  groupsWithRoom,
  planS,
  withNeighbours,
} from "./groups.ts";
import { parsePlan, type Plan, planRuns } from "./plan.ts";

function planOf(more: Partial<Plan> = {}, scenarios: object[] = PAIRS): Plan {
  const plan = { name: "p", warmUpS: 2, windowS: 1, rounds: 3, design: "alternating", minutes: 15 };
  return parsePlan(JSON.stringify({ ...plan, scenarios, ...more }), "p");
}

const PAIRS = ["flask", "django"].flatMap((framework) =>
  [10, 100].flatMap((users) => ["direct", "pooled"].map((path) => ({ framework, path, users })))
);

Deno.test("groupScenarios() puts together what is compared, and what shares a base with it", () => {
  const groups = groupScenarios(planOf().scenarios);
  deepEqual(groups.map((ids) => ids.map((id) => id.replace(/-\w+$/, ""))), [
    ["flask-direct-10u", "flask-pooled-10u"],
    ["flask-direct-100u", "flask-pooled-100u"],
    ["django-direct-10u", "django-pooled-10u"],
    ["django-direct-100u", "django-pooled-100u"],
  ]);
  const copy = { framework: "flask", path: "pooled", users: 10, replica: 1 };
  const three = groupScenarios(planOf({}, [PAIRS[0]!, PAIRS[1]!, copy]).scenarios);
  deepEqual(three.map(({ length }) => length), [3]);
});

Deno.test("groupRuns() keeps each start together, and exchanges places from round to round", () => {
  const plan = planOf();
  const groups = groupRuns(plan, planRuns(plan));
  equal(groups.length, 12);
  for (const group of groups) {
    equal(new Set(group.map(({ round }) => round)).size, 1);
    equal(
      new Set(group.map(({ scenario: { framework, users } }) => `${framework} ${users}`)).size,
      1,
    );
  }
  const first = (round: number) =>
    groups.find((group) => group[0]!.round === round && /^flask.*-10u/.test(group[0]!.id))!
      .map(({ scenario: { path } }) => path);
  deepEqual([first(1), first(2)], [["direct", "pooled"], ["pooled", "direct"]]);
  const alone = groupRuns(planOf({ design: "consecutive", minutes: undefined }), planRuns(plan));
  deepEqual(alone.map(({ length }) => length), alone.map(() => 1));
});

Deno.test("groupsWithRoom() splits what may use too much memory together, and says so once", () => {
  const plan = planOf();
  const split = (availableMiB: number | null) => {
    const notes: string[] = [];
    const groups = groupsWithRoom(plan, planRuns(plan), availableMiB, (text) => notes.push(text));
    return [groups.length, notes];
  };
  // Two databases of 512 MiB, two apps and a PgBouncer without a limit.
  deepEqual(split((2 * 512 + 3 * 256) / 0.8), [12, []]);
  deepEqual(split(null), [12, []]);
  deepEqual(split(2000), [24, [
    "Warning: arms that are compared run one after the other: they may use 1792 MiB together, and 2000 MiB are available",
  ]]);
});

Deno.test("withNeighbours() repeats what stood beside a run that is to be repeated", () => {
  const plan = planOf();
  const runs = planRuns(plan);
  const [one] = runs.filter(({ round, id }) => round === 2 && id.startsWith("django-pooled-100u"));
  const repeated = withNeighbours(plan, runs, [one!]);
  deepEqual(repeated.map(({ id, round }) => `${id.replace(/-\w+$/, "")} ${round}`).sort(), [
    "django-direct-100u 2",
    "django-pooled-100u 2",
  ]);
  ok(repeated.every((run) => runs.includes(run)));
  deepEqual(withNeighbours(planOf({ design: undefined, minutes: undefined }), runs, [one!]), [one]);
});

Deno.test("blocksS() divides a study's minutes among the starts of its groups", () => {
  // A round has 300 s, of which four starts take 6 s and two warm-ups of 6 s each. Of 228 s that are left,
  // the lower load of each app has twice as much as the other.
  const plan = planOf();
  const of = (plan: Plan, users: number) =>
    blocksS(plan, plan.scenarios.filter((one) => one.framework === "flask" && one.users === users));
  equal(of(plan, 10), 76);
  equal(of(plan, 100), 38);
  equal(of(planOf({ minutes: 1 }), 100), 4 * 2 * 1);
  const one = planOf({}, PAIRS.filter(({ users }) => users === 10));
  equal(of(one, 10), 150 - 6 - 12);
  equal(planS(plan, planRuns(plan)), 12 * (12 + 57));
  const consecutive = planOf({ design: "consecutive", minutes: undefined });
  equal(planS(consecutive, planRuns(consecutive)), 24 * 3);
});
