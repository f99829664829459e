// test lane: checkout
import assert from "node:assert/strict";
import { rpsComparisonFigure } from "../figures/comparison.ts";
import { ratioFigure } from "../figures/ratio.ts";
import { syntheticPlan, syntheticStudy } from "../testing/synthetic_study.ts";
import { createScenario, type Scenario } from "../scenario.ts";
import { conclusion } from "./answer.ts";
import { summaryReport } from "./export.ts";
import { readEvidence } from "./pooler.ts";
import { readGates, readThroughput } from "./readings.ts";
import { loadStudy } from "./study.ts";
import { ratioTable } from "./tables.ts";

const plain = (text: unknown) => String(text).replaceAll("\u00a0", " ");

Deno.test("a gain is an answer only where PgBouncer left a trace that explains it", async () => {
  // With a server connection for each of the app's, there is nothing to share and no queue.
  const answerWith = async (settings: Partial<Scenario>, pooledRps: number, evidence: RegExp) => {
    const scenarios = (["direct", "pooled"] as const).map((path) =>
      createScenario({ framework: "django", path, users: 10, ...settings })
    );
    using own = syntheticStudy(syntheticPlan({ scenarios }), ({ scenario, round }) => ({
      rps: (scenario.path === "direct" ? 100 : pooledRps) + round,
      medianMs: 9,
    }));
    const read = await loadStudy(own.folder);
    assert.equal(read.ratios[0]!.verdict, pooledRps > 100 ? "higher" : "indistinguishable");
    assert.match(String(readEvidence(read)), evidence);
    return plain(conclusion(read));
  };
  const explained = await answerWith({}, 120, /- \*\*multiplexing\*\*: Django/);
  assert.match(
    explained,
    /\*\*Django, reuse `persistent`: yes, 1\.\d\d× the throughput at 10 users\.\*\*/,
  );
  assert.match(
    explained,
    /PgBouncer's part at 10 users was multiplexing \(10 client connections shared 8 server/,
  );
  // With what to set; what an app gains that keeps its connections is not what others would.
  assert.match(explained, /In `?pgbouncer\.ini`?: `?pool_mode = transaction`?, /);
  assert.doesNotMatch(explained, /What would change it/);
  const unexplained = await answerWith(
    { defaultPoolSize: 64 },
    120,
    /- \*\*measures only the extra hop\*\*: Django/,
  );
  assert.doesNotMatch(unexplained, /yes, /);
  assert.match(
    unexplained,
    /: pooled was higher at 10 users, but PgBouncer left no trace that explains it\.\*\*[^]*higher at 10 users \(1\.19×/,
  );
  // Of no gain, sharing is an answer only where it has another consequence: ten clients, room for nine.
  const hop =
    /- \*\*measures only the extra hop; multiplexing had no measured consequence\*\*: Django/;
  assert.match(
    await answerWith({}, 100, hop),
    /: no difference of more than \d+% in throughput at 10 users\.\*\*/,
  );
  assert.match(
    await answerWith({ maxConnections: 12 }, 100, /- \*\*multiplexing\*\*: Django/),
    /: no difference of more than .*, but it spares PostgreSQL work or connections\.\*\*[^]*was multiplexing/,
  );
});

Deno.test("the answer is no firmer than its data: too noisy to say, with what would help", async () => {
  const scenarios = (["direct", "pooled"] as const).map((path) =>
    createScenario({ framework: "flask", path, users: 10 })
  );
  const answerOf = async (rounds: number, pooled: number[]) => {
    using own = syntheticStudy(syntheticPlan({ scenarios, rounds }), ({ scenario, round }) => ({
      rps: scenario.path === "direct" ? 100 : pooled[round - 1]!,
      medianMs: 9,
    }));
    return plain(conclusion(await loadStudy(own.folder)));
  };
  const noisy = await answerOf(5, [60, 150, 130, 70, 110]);
  assert.match(noisy, /^- \*\*Flask, reuse `app_pool`: too noisy to say at 10 users\.\*\*/);
  assert.match(
    noisy,
    / A slowdown of less than \d\d% could have been missed; about (\d\d) more rounds \(\d+ more minutes?\) would find 20% in this noise/,
  );
  // Two rounds that scatter say nothing either; nor does an interval that reaches further than 20%.
  assert.match(await answerOf(2, [80, 125]), /: too noisy to say at 10 users\.\*\*[^]*more rounds/);
  assert.doesNotMatch(await answerOf(2, [80, 125]), /no reason to|no difference/);
  const close = await answerOf(5, [97, 104, 101, 98, 102]);
  assert.match(close, /: no difference of more than [5-9]% in throughput at 10 users\.\*\*/);
  const slow = await answerOf(5, [80, 82, 81, 79, 80]);
  assert.match(slow, /: no, it costs 20% of the throughput at 10 users\.\*\*/);
  assert.match(slow, /What would change it: an app that opens a connection for each request/);
  assert.doesNotMatch(slow, /pgbouncer\.ini/);
});

Deno.test("an arm of unequal work is compared with nothing, and it is said why", async () => {
  const own = syntheticPlan({ users: [200], rounds: 3 });
  // Django answers three times as fast through PgBouncer, as it leaves half of its statements out.
  using folder = syntheticStudy(own, ({ scenario: { framework, path }, round }) => ({
    rps: (framework === "django" && path === "pooled" ? 600 : 200) + round,
    statements: framework === "django" && path === "pooled" ? 0.5 : 1,
    medianMs: 9,
  }));
  const read = await loadStudy(folder.folder);
  const pair = read.ratios.find(({ framework }) => framework === "django")!;
  const why = /^pooled rejected: other work than the contract's: 0\.50 data statements per request/;
  assert.deepEqual([pair.n, pair.ratio, pair.verdict], [0, null, "none"]);
  assert.match(pair.missing!, why);
  assert.ok(read.family.comparisons.some(({ n }) => n === 0) && read.complete);
  // What it answered is in no claim and no answer, and what it did is no evidence.
  assert.doesNotMatch(String(readThroughput(read)), /60\d/);
  assert.match(ratioFigure(read.ratios, read).title, /pooled rejected for Django \(persistent\)/);
  assert.match(rpsComparisonFigure(read.scenarios, read).title, /pooled rejected for Django/);
  const text = plain(conclusion(read));
  assert.doesNotMatch(text, /3\.\d\d×/);
  assert.match(text, /Django, .*pooled rejected: other work than the contract's: 0\.50 data/);
  assert.match(String(readEvidence(read)), /\*\*pooled rejected: other work.*\*\*: Django \(pers/);
  assert.ok(
    read.warnings.some((line) => /^Django pooled: 0\.50 .*left out of all comparisons$/.test(line)),
  );
  assert.match(String(readGates(read)), /Other work than the contract's/);
});

Deno.test("runs that gates rejected say by which factor a path was ahead, if they were counted", async () => {
  const scenarios = (["direct", "pooled"] as const).map((path) =>
    createScenario({ framework: "django", path, users: 10 })
  );
  const plan = syntheticPlan({ scenarios, rounds: 2, windowS: 6 });
  const reportOf = async (rejection: { drift?: number; rejected?: boolean }) => {
    using own = syntheticStudy(plan, ({ scenario }) => ({
      rps: scenario.path === "direct" ? 50 : 400,
      medianMs: 9,
      ...rejection,
    }));
    const read = await loadStudy(own.folder);
    assert.deepEqual(read.counts(), { accepted: 0, rejected: 4, failed: 0 });
    return [conclusion(read), ratioTable(read).markdown(), summaryReport(read)].map(plain);
  };
  for (const text of await reportOf({ drift: 0.6 })) {
    assert.match(text, /pooled answered at least 3 times as much; rejected for no steady state/);
  }
  // The generator was the slowest part: it was measured instead of the arms.
  for (const text of await reportOf({ rejected: true })) {
    assert.doesNotMatch(text, /times as much/);
  }
});
