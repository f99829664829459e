// test lane: checkout
import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Plan } from "../plan.ts";
import { createScenario, type Scenario } from "../scenario.ts";
import { NO_CONDITIONS, type RunConditions } from "../stats/conditions.ts";
import { unmeasuredRun } from "../stats/summarise.ts";
import type { RunSummary } from "../stats/summary.ts";
import { GATES, type GateStudy } from "./gate_table.ts";
import { firedGates, foresee, gatesOfRun, isCounted, rejectRun } from "./gates.ts";

const scenario = createScenario({ framework: "flask", path: "direct", users: 100 });

/** A run with which nothing is wrong, but for the changes. */
function run(conditions: Partial<RunConditions>, changes: Partial<RunSummary> = {}): RunSummary {
  const head = { scenarioId: "a", scenario, arm: "Flask direct", round: 1, cause: null };
  return {
    ...unmeasuredRun({ ...head, status: "ok" }),
    measured: true,
    requests: 5000,
    timed: 5000,
    p50Ms: 20,
    ...changes,
    conditions: { ...NO_CONDITIONS, verified: true, ...conditions },
  };
}

const trend = (change: number, p: number | null) => ({ change, robustChange: change, p });
const none = trend(0, 1);
const steady = (throughput: typeof none, serviceTime = none) => ({
  steady: { state: "steady" as const, throughput, serviceTime },
});
const generator = {
  busiest: 0.3,
  cores: 0.3,
  lagMeanMs: 1,
  lagMaxMs: 20,
  users: 100,
  connections: 0,
};
const host = { cores: 2, busy: 0.5, stolen: 0, others: 0.02 };

Deno.test("every gate has an id, a threshold, a cause and a next step of its own", () => {
  equal(new Set(GATES.map(({ id }) => id)).size, GATES.length);
  for (const { id, title, fires, cause, next, run: ofRun, plan, study } of GATES) {
    for (const text of [title, fires, cause, next]) ok(text.length > 5 && !/\.$/.test(text), id);
    equal([ofRun, plan, study].filter((look) => look !== undefined).length, 1, id);
  }
});

Deno.test("no gate fires for a run that is nowhere near a threshold, or of which nothing is known", () => {
  deepEqual(gatesOfRun(run({})), []);
  const services = [{ service: "postgres", cores: 0.3, quota: 0.5, throttled: 0.01 }];
  const tcp = { listenOverflows: 0, portsInUse: 300, ports: 28_000 };
  deepEqual(gatesOfRun(run({ ...steady(none), generator, host, services, tcp })), []);
});

Deno.test("thresholds hold on both sides", () => {
  const cases: [string, Partial<RunConditions>, Partial<RunConditions>][] = [
    [
      "generator_throttled",
      { generator: { ...generator, busiest: 0.89 } },
      { generator: { ...generator, busiest: 0.91 } },
    ],
    [
      "generator_late",
      { generator: { ...generator, lagMeanMs: 9 } },
      { generator: { ...generator, lagMeanMs: 11 } },
    ],
    ["no_steady_state", steady(trend(0.2, 0.002)), steady(trend(0.2, 0.0005))],
    ["no_steady_state", steady(trend(0.09, 0)), steady(trend(-0.11, 0))],
    ["steady_state_unknown", steady(trend(0.49, 0.1)), steady(none, trend(-0.51, 0.1))],
    ["steady_state_unknown", steady(trend(0.09, null)), steady(trend(0.11, null))],
    [
      "littles_law",
      { littlesLaw: { users: 91, ratio: 0.91, holds: true } },
      { littlesLaw: { users: 89, ratio: 0.89, holds: false } },
    ],
    [
      "ramp_in_window",
      { generator: { ...generator, users: 100 } },
      { generator: { ...generator, users: 99 } },
    ],
    ["steal", { host: { ...host, stolen: 0.019 } }, { host: { ...host, stolen: 0.021 } }],
    ["host_load", { host: { ...host, others: 0.09 } }, { host: { ...host, others: 0.11 } }],
    ["machine_full", { host: { ...host, busy: 0.94 } }, { host: { ...host, busy: 0.96 } }],
    [
      "ports_scarce",
      { tcp: { listenOverflows: 0, portsInUse: 79, ports: 100 } },
      { tcp: { listenOverflows: 0, portsInUse: 81, ports: 100 } },
    ],
    [
      "connections_lost",
      { generator: { ...generator, connections: 240 } },
      { generator: { ...generator, connections: 260 } },
    ],
    ["connections_lost", { lostConnections: 0 }, { lostConnections: 1 }],
    [
      "at_quota",
      { services: [{ service: "app", cores: 0.94, quota: 1, throttled: 0.04 }] },
      { services: [{ service: "app", cores: 0.96, quota: 1, throttled: 0 }] },
    ],
  ];
  for (const [id, before, after] of cases) {
    ok(!gatesOfRun(run(before)).includes(id), `${id} fires early: ${JSON.stringify(before)}`);
    ok(gatesOfRun(run(after)).includes(id), `${id} does not fire: ${JSON.stringify(after)}`);
    const kind = GATES.find((gate) => gate.id === id)!.kind;
    equal(rejectRun(run(after)) !== null, kind === "reject", id);
  }
});

Deno.test("nothing_to_multiplex names small apps and session mode", () => {
  const { study } = GATES.find(({ id }) => id === "nothing_to_multiplex")!;
  const seen = (changes: Partial<Scenario>) => {
    const scenarios = [createScenario({ ...scenario, path: "pooled", ...changes })];
    return study!({ plan: { scenarios } } as unknown as GateStudy);
  };
  deepEqual(seen({}), []);
  deepEqual(seen({ workers: 1, threads: 20, poolSize: 20 }), [
    "Flask 20 connections for a pool of 20",
  ]);
  deepEqual(seen({ poolMode: "session" }), [
    "Flask 64 connections for a pool of 20 in session mode",
  ]);
});

Deno.test("a mean lag matters only beside the latency that it is in", () => {
  const late = { generator: { ...generator, lagMeanMs: 15 } };
  ok(gatesOfRun(run(late, { p50Ms: 100 })).includes("generator_late"));
  deepEqual(gatesOfRun(run(late, { p50Ms: 300 })), []);
});

Deno.test("a failed run is rejected by nothing but what failed", () => {
  const failed = { status: "failed" as const, cause: "the app exited" };
  deepEqual(gatesOfRun(run({ ...steady(trend(1, 0)) }, failed)), []);
  deepEqual(gatesOfRun(run({ verified: false }, failed)), ["not_verified"]);
});

Deno.test("a pool larger than what PostgreSQL leaves is foreseen, and told afterwards", () => {
  const plan = (values: Partial<Scenario>) => {
    const django = { framework: "django", path: "pooled", users: 10, threads: 64 } as const;
    const scenario = createScenario({ ...django, maxConnections: 50, ...values });
    return { scenarios: [scenario] } as Plan;
  };
  const text =
    "PgBouncer may open 150, PostgreSQL leaves 47 (default_pool_size 150, max_connections 50)";
  const next = "a smaller pool (defaultPoolSize when pooled), or more maxConnections";
  deepEqual(foresee(plan({ defaultPoolSize: 150 })), [
    `Warning: more connections than PostgreSQL takes: ${text}; ${next}`,
  ]);
  const study = { plan: plan({ defaultPoolSize: 150 }), runs: [], manifests: [], scenarios: [] };
  const context = { cores: null, cpuSets: [] };
  const fired = firedGates({ ...study, ratios: [], context } as unknown as GateStudy);
  equal(fired.find(({ gate }) => gate.id === "budget_above_server")?.seen, text);
  deepEqual(foresee(plan({ defaultPoolSize: 47 })), []);
  match(foresee(plan({ defaultPoolSize: 48 })).join(), /may open 48, PostgreSQL leaves 47/);
  // An app of fewer connections never asks PgBouncer for more.
  deepEqual(foresee(plan({ defaultPoolSize: 150, threads: 20 })), []);
  match(foresee(plan({ path: "direct" })).join(), /Django 128 for max_connections 50/);
});

Deno.test("versions_differ names what is not the same in all runs, unless arms ask for it", () => {
  const gate = GATES.find(({ id }) => id === "versions_differ")!;
  const look = (...runs: [versions: Record<string, string>, values?: Partial<Scenario>][]) => {
    const manifests = runs.map(([versions, values]) => ({
      scenario: createScenario({ framework: "flask", path: "pooled", users: 1, ...values }),
      versions: { locust: "2.47", postgres: "16.14", flask: "3.1", ...versions },
      images: {},
      gitCommit: "0123456789",
      engine: "local",
      host: { cpus: 2, cpuModel: "A", memoryMiB: 1, kernel: "6.1" },
    }));
    return gate.study!({ manifests } as unknown as GateStudy);
  };
  deepEqual(look([{}], [{}]), []);
  deepEqual(look([{}], [{ locust: "2.48" }]), ["locust: 2.47, 2.48"]);
  deepEqual(look([{}], [{ postgres: "17.1" }]), ["postgres: 16.14, 17.1"]);
  deepEqual(look([{}], [{ postgres: "17.1" }, { postgresVersion: "17" }]), []);
  deepEqual(look([{}], [{ flask: "2.3" }]), ["flask: 3.1, 2.3"]);
  deepEqual(look([{}], [{ flask: "2.3" }, { framework: "django" }]), []);
});

Deno.test("a run that is rejected for its latencies alone has its throughput counted", () => {
  const late = { generator: { ...generator, lagMeanMs: 11 } };
  const unsteady = steady(trend(0.2, 0.0005));
  const unserved = { littlesLaw: { users: 89, ratio: 0.89, holds: false } };
  const counted = (conditions: Partial<RunConditions>) =>
    isCounted(run(conditions, { counted: true }));
  deepEqual([{}, unsteady, unserved, late].map(counted), [true, true, true, false]);
});

Deno.test("few_samples goes by what percentiles are taken of", () => {
  deepEqual(gatesOfRun(run({}, { requests: 900, timed: 399 })), ["few_samples"]);
  deepEqual(gatesOfRun(run({}, { requests: 900, timed: 400 })), []);
});

Deno.test("gates advise nothing that the program does by itself where arms take turns", () => {
  const unserved = run({ littlesLaw: { users: 89, ratio: 0.89, holds: false } });
  const told = (design?: Plan["design"], rounds = 2) => {
    const plan = { scenarios: [scenario], rounds, design };
    const context = { cores: null, cpuSets: [] };
    const study = { plan, runs: [unserved], manifests: [], scenarios: [], ratios: [], context };
    return firedGates(study as unknown as GateStudy).map(({ gate }) => gate);
  };
  match(told()[0]!.next, /--warm-up/);
  const [law, start] = told("alternating", 1);
  deepEqual([law!.id, start!.id], ["littles_law", "single_round"]);
  ok(law!.next.includes("--window") && !law!.next.includes("--warm-up"));
  deepEqual([start!.title, start!.next], ["One start", "two starts or more (`--rounds`)"]);
  for (const { id, inTurns, next } of GATES) {
    ok(!next.includes("--warm-up") || inTurns?.next?.includes("--warm-up") === false, id);
    for (const text of Object.values(inTurns ?? {})) ok(!/\.$/.test(text), id);
  }
});

Deno.test("fixed_order looks at no run that took turns: each block has an order of its own", () => {
  const { study } = GATES.find(({ id }) => id === "fixed_order")!;
  const seen = (slices?: number) =>
    study!({
      manifests: ["a", "b"].flatMap((scenarioId, order) =>
        [1, 2].map((round) => ({ scenarioId, round, order, slices }))
      ),
    } as unknown as GateStudy);
  deepEqual(seen(), ["2 cells in the same order in all 2 rounds"]);
  deepEqual(seen(20), []);
});

const slices = (n: number) =>
  Array.from({ length: n }, (_, i) => {
    return {
      block: i + 1,
      place: 1,
      rps: 100,
      earlyRps: 100,
      lateRps: 100,
      serviceMs: 1,
      timesUs: new Float64Array(),
    };
  });

Deno.test("blocks that others disturbed are left out; a start of one block is rejected", () => {
  const busy = { host: { ...host, others: 0.3 } };
  const sliced = (n: number, leftOut: number) => run({ ...busy, leftOut }, { slices: slices(n) });
  // Where too many would be, none is: then the machine was as it was.
  deepEqual(gatesOfRun(sliced(20, 0)), ["host_load"]);
  deepEqual(gatesOfRun(sliced(4, 16)), ["blocks_left_out"]);
  equal(rejectRun(sliced(4, 16)), null);
  deepEqual(gatesOfRun(run(busy)), ["host_load"]);
  // The load ended early, whoever was to blame.
  equal(rejectRun(run({}, { slices: slices(1) })), "too few blocks: it had 1 whole block");
  equal(rejectRun(run({}, { slices: slices(2) })), null);
});

Deno.test("a drift that both arms of each block meet is told, and rejects nothing", () => {
  const drifting = (p: number | null) => {
    const trend = { change: -0.4, robustChange: -0.4, p };
    const state = p === null ? "too_short" : "drifting";
    return { steady: { state, throughput: trend, serviceTime: trend } } as const;
  };
  const inTurns = (p: number | null) => run(drifting(p), { slices: slices(20) });
  deepEqual(gatesOfRun(inTurns(0.0001)), ["drift_in_turns"]);
  equal(rejectRun(inTurns(0.0001)), null);
  deepEqual(gatesOfRun(inTurns(null)), []);
  deepEqual(gatesOfRun(run(drifting(0.0001))), ["no_steady_state"]);
});
