// test lane: checkout
import { deepEqual, equal, match, notEqual, throws } from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "./errors.ts";
import { connectionBudget } from "./connections.ts";
import { FRAMEWORKS } from "./plan.ts";
import {
  armLabels,
  createScenario,
  legsOf,
  levelLabel,
  loadLevels,
  parseSetting,
  PATHS,
  SCENARIO_KEYS,
  scenarioId,
} from "./scenario.ts";
import { ROOT } from "./store/layout.ts";

const base = { framework: "django", path: "direct", users: 100 } as const;

Deno.test("createScenario() gives both paths equal settings and all frameworks 64 connections", () => {
  for (const framework of FRAMEWORKS) {
    const [direct, pooled] = PATHS.map((path) => createScenario({ ...base, framework, path }));
    deepEqual({ ...direct, path: null }, { ...pooled, path: null });
    equal(connectionBudget(direct!), 64);
  }
});

Deno.test("createScenario() has PgBouncer's settings and the database's limits of the design", () => {
  const scenario = createScenario({ ...base, path: "pooled" });
  deepEqual(
    [
      scenario.poolMode,
      scenario.maxClientConn,
      scenario.defaultPoolSize,
      scenario.queryWaitTimeoutS,
      scenario.listenBacklog,
      scenario.dbCpus,
      scenario.dbMemoryMiB,
      scenario.maxConnections,
    ],
    ["transaction", 10_000, 20, 15, 4096, 0.5, 512, 100],
  );
});

Deno.test("createScenario() switches PgBouncer's prepared statements off with the driver's", () => {
  const off = { ...base, preparedStatements: false };
  deepEqual([base, off].map((values) => createScenario(values).maxPreparedStatements), [200, 0]);
  equal(createScenario({ ...off, maxPreparedStatements: 7 }).maxPreparedStatements, 7);
});

Deno.test("createScenario() puts PgBouncer beside the database and encrypts all legs or none", () => {
  const far = { ...base, rttAppDbMs: 2, tlsAppDb: true };
  const legs = PATHS.map((path) => legsOf(createScenario({ ...far, path })));
  deepEqual(legs, [
    [{ name: "appDb", rttMs: 2, tls: true }],
    [
      { name: "appPgbouncer", rttMs: 2, tls: true },
      { name: "pgbouncerDb", rttMs: 0, tls: true },
    ],
  ]);
  const beside = { rttAppPgbouncerMs: 0, rttPgbouncerDbMs: 2, tlsAppPgbouncer: false };
  deepEqual(legsOf(createScenario({ ...far, path: "pooled", ...beside })), [
    { name: "appPgbouncer", rttMs: 0, tls: false },
    { name: "pgbouncerDb", rttMs: 2, tls: true },
  ]);
});

Deno.test("createScenario() refuses distances of which one path alone is short", () => {
  const distances = (rttAppDbMs: number, rttAppPgbouncerMs: number, rttPgbouncerDbMs: number) =>
    createScenario({ ...base, rttAppDbMs, rttAppPgbouncerMs, rttPgbouncerDbMs });
  throws(() => distances(0, 0, 2), /rttAppDbMs is 0, but with 0 ms .* between 2 and 2; set all/);
  throws(() => distances(2, 0.5, 0.5), /rttAppDbMs is 2, .* between 0 and 1; set all three/);
  for (const [a, b, c] of [[0.5, 0.5, 0.5], [0.7, 0.5, 0.2], [2, 0, 2], [2.5, 0.5, 2]] as const) {
    equal(distances(a, b, c).rttAppDbMs, a);
  }
});

Deno.test("createScenario() rejects bad values in one line that names field and value", () => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ users: 0 }, /users is 0, must be a whole number of at least 1/],
    [{ users: 1.5 }, /users is 1\.5/],
    [{ framework: "rails" }, /framework is "rails", must be one of django, fastapi, flask/],
    [{ path: "sideways" }, /path is "sideways"/],
    [{ dbCpus: 0 }, /dbCpus is 0, must be a number above 0 or null/],
    [{ poolsize: 3 }, /unknown setting "poolsize"/],
    [{ reuse: "app_pool", framework: "fastapi", threads: 8 }, /threads is 8 for FastAPI/],
    [{ reuse: "persistent", framework: "flask" }, /reuse is "persistent" for Flask/],
    [{ thinkTimeMinS: 2, thinkTimeMaxS: 1 }, /below thinkTimeMinS/],
    [{ rttAppDbMs: -1 }, /rttAppDbMs is -1, must be a number of at least 0 and at most 1000/],
    [{ rttAppDbMs: 1001 }, /rttAppDbMs is 1001/],
    [{ users: undefined }, /users is undefined/],
    [{ users: null }, /users is missing; give users for a closed loop or arrivalRate for an open/],
    [{ arrivalRate: 50 }, /users is 100 and arrivalRate is 50; give users for a closed loop or/],
    [{ users: null, arrivalRate: 0 }, /arrivalRate is 0, must be a number above 0 or null/],
    [{ arrivals: "poisson" }, /arrivals is "poisson" in a closed loop, which has none/],
    [{ arrivals: "bursts" }, /arrivals is "bursts", must be one of constant, poisson/],
    [{ client: "curl" }, /client is "curl", must be one of lean, fast/],
  ];
  for (const [values, message] of cases) {
    throws(() => createScenario({ ...base, ...values } as typeof base), (error: Error) => {
      equal(error instanceof UsageError, true);
      match(error.message, message);
      equal(error.message.includes("\n"), false);
      return true;
    });
  }
});

Deno.test("scenarioId() changes with every setting that acts, and only then", () => {
  const direct = createScenario(base);
  const pooled = createScenario({ ...base, path: "pooled" });
  for (const key of SCENARIO_KEYS) {
    const value = direct[key];
    if (key === "arrivalRate") continue;
    const other = typeof value === "number" ? value + 1 : value === null ? 1 : `not ${value}`;
    const ofPooled =
      /^(pgbouncer|poolMode|defaultPoolSize|maxClientConn|queryWait|maxPrepared)|Pgbouncer/.test(
        key,
      );
    const ofDirect = key === "rttAppDbMs" || key === "tlsAppDb";
    const ofOpenLoop = key === "arrivals";
    equal(
      scenarioId({ ...direct, [key]: other }) !== scenarioId(direct),
      !ofPooled && !ofOpenLoop,
      key,
    );
    equal(
      scenarioId({ ...pooled, [key]: other }) !== scenarioId(pooled),
      !ofDirect && !ofOpenLoop,
      key,
    );
  }
});

Deno.test("scenarioId() of an open loop goes by its arrivals, not by users and think time", () => {
  const open = createScenario({ ...base, users: null, arrivalRate: 200 });
  match(scenarioId(open), /^django-direct-200rps-[0-9a-f]{8}$/);
  notEqual(scenarioId({ ...open, arrivals: "poisson" }), scenarioId(open));
  notEqual(scenarioId({ ...open, arrivalRate: 200.5 }), scenarioId(open));
  equal(scenarioId({ ...open, spawnRate: 1, thinkTimeMaxS: 1 }), scenarioId(open));
});

Deno.test("scenarioId() of a closed loop is that of the time before there was an open one", () => {
  const published = JSON.parse(readFileSync(join(ROOT, "data/published/noise/plan.json"), "utf8"));
  const folders = readdirSync(join(ROOT, "data/published/noise"));
  for (const scenario of published.scenarios) {
    equal(folders.includes(scenarioId(createScenario(scenario))), true);
  }
});

Deno.test("armLabels() names only settings that differ within a framework and path", () => {
  const same = [10, 100].map((users) => createScenario({ ...base, users }));
  deepEqual([...new Set(armLabels(same).values())], ["Django direct"]);
  const open = createScenario({ ...base, users: null, arrivalRate: 50 });
  deepEqual([...new Set(armLabels([...same, open]).values())], ["Django direct"]);
  const random = createScenario({ ...base, users: null, arrivalRate: 50, arrivals: "poisson" });
  deepEqual([...armLabels([open, random]).values()], [
    "Django direct, arrivals=constant",
    "Django direct, arrivals=poisson",
  ]);
  const mixed = [createScenario(base), createScenario({ ...base, workers: 4, reuse: "app_pool" })];
  deepEqual([...armLabels(mixed).values()], [
    "Django direct, workers=2, reuse=persistent",
    "Django direct, workers=4, reuse=app_pool",
  ]);
});

Deno.test("parseSetting() reads numbers, booleans, words and none", () => {
  deepEqual(parseSetting("dbCpus=1.5"), { dbCpus: 1.5 });
  deepEqual(parseSetting("dbMemoryMiB=none"), { dbMemoryMiB: null });
  deepEqual(parseSetting("preparedStatements=false"), { preparedStatements: false });
  deepEqual(parseSetting("reuse=per_request"), { reuse: "per_request" });
  deepEqual(parseSetting("arrivalRate=0.5"), { arrivalRate: 0.5 });
  for (
    const bad of [
      "users",
      "users=",
      "arrivals=none",
      "arrivalRate=0",
      "colour=red",
      "=3",
      "preparedStatements=1",
    ]
  ) {
    throws(() => parseSetting(bad), UsageError, bad);
  }
});

Deno.test("loadLevels() has each level once, users before arrival rates", () => {
  const level = (users: number | null, arrivalRate: number | null) => ({ users, arrivalRate });
  const levels = loadLevels([
    level(null, 90),
    level(100, null),
    level(null, 12.5),
    level(1, null),
    level(100, null),
  ]);
  deepEqual(levels.map(levelLabel), ["1 user", "100 users", "12.5/s", "90/s"]);
});

Deno.test("a copy has an id and a label of its own, and no setting", () => {
  const original = createScenario({ framework: "flask", path: "direct", users: 10 });
  const copy = createScenario({ framework: "flask", path: "direct", users: 10, replica: 1 });
  const other = createScenario({ framework: "flask", path: "direct", users: 10, workers: 4 });
  notEqual(scenarioId(copy), scenarioId(original));
  match(scenarioId(copy), /^flask-direct-10u-/);
  const labels = armLabels([original, copy]);
  deepEqual([...labels.values()], ["Flask direct", "Flask direct, A/A"]);
  equal(
    armLabels([original, copy, other, { ...copy, replica: 2 }]).get(
      scenarioId({ ...copy, replica: 2 }),
    ),
    "Flask direct, workers=2, A/A 2",
  );
});
