// test lane: checkout
import assert from "node:assert/strict";
import { createScenario } from "../scenario.ts";
import { explainExit, groupCommand, locustCommand } from "./locust.ts";

const options = {
  python: "python3",
  locustfile: "/here/locustfile.py",
  host: "http://127.0.0.1:8000",
  scenario: createScenario({
    framework: "flask",
    path: "direct",
    users: 25,
    spawnRate: 12.5,
    thinkTimeMinS: 0.1,
    thinkTimeMaxS: 0.5,
  }),
  seed: 7,
  warmUpS: 1,
  windowS: 3,
  folder: "/runs/one",
};

Deno.test("locustCommand() passes users, spawn rate, host and CSV prefix as arguments", () => {
  const { argv } = locustCommand(options);
  const valueOf = (flag: string) => argv[argv.indexOf(flag) + 1];
  assert.deepEqual(argv.slice(0, 4), ["python3", "-m", "locust", "--headless"]);
  assert.equal(valueOf("--users"), "25");
  assert.equal(valueOf("--spawn-rate"), "12.5");
  assert.equal(valueOf("--host"), "http://127.0.0.1:8000");
  assert.equal(valueOf("--csv"), "/runs/one/locust");
});

Deno.test("locustCommand() passes phases, seed and think time in the environment", () => {
  assert.deepEqual(locustCommand(options).env, {
    POOLSCOPE_START_FILE: `${options.folder}/.start`,
    POOLSCOPE_RUN_FOLDER: "/runs/one",
    POOLSCOPE_WARM_UP_S: "1",
    POOLSCOPE_WINDOW_S: "3",
    POOLSCOPE_SEED: "7",
    POOLSCOPE_THINK_TIME_MIN_S: "0.1",
    POOLSCOPE_THINK_TIME_MAX_S: "0.5",
    POOLSCOPE_CLIENT: "lean",
  });
});

Deno.test("locustCommand() has one user per process for an arrival rate", () => {
  const scenario = createScenario({
    framework: "flask",
    path: "direct",
    arrivalRate: 250,
    arrivals: "poisson",
    client: "fast",
  });
  const { argv, env } = locustCommand({ ...options, scenario, processes: 2, contract: "/c.json" });
  const valueOf = (flag: string) => argv[argv.indexOf(flag) + 1];
  assert.equal(valueOf("--users"), "2");
  assert.equal(valueOf("--processes"), "2");
  assert.equal(env.POOLSCOPE_ARRIVAL_RATE, "250");
  assert.equal(env.POOLSCOPE_ARRIVALS, "poisson");
  assert.equal(env.POOLSCOPE_CLIENT, "fast");
  assert.equal(env.POOLSCOPE_CONTRACT, "/c.json");
});

Deno.test("groupCommand() has the users of all arms, and tells of each in a file", () => {
  const arm = (folder: string, users: number | null, arrivalRate: number | null = null) => ({
    folder,
    host: "http://127.0.0.1:8000",
    routes: [{ name: "GET /posts", path: "/posts", weight: 1 }],
    scenario: {
      users,
      arrivalRate,
      arrivals: "poisson" as const,
      client: "lean" as const,
      spawnRate: 5,
      thinkTimeMinS: 0,
      thinkTimeMaxS: 0.5,
    },
    seed: 9,
  });
  const { argv, env, files, startFile } = groupCommand({
    python: "python3",
    locustfile: "/here/locustfile.py",
    folder: "/group",
    sliceS: 1,
    warmUpS: 6,
    blocksS: 40,
    seed: 7,
    candidates: [1, 2],
    arms: [arm("/group/a", 10), arm("/group/b", 30), arm("/group/c", null, 50)],
    headerEnvironment: { POOLSCOPE_HEADER_TOKEN: "secret" },
  });
  const valueOf = (flag: string) => argv[argv.indexOf(flag) + 1];
  // One sends all arrivals of an open loop.
  assert.deepEqual([valueOf("--users"), valueOf("--spawn-rate")], ["41", "41"]);
  assert.ok(!argv.includes("--host") && !argv.includes("--csv"));
  assert.equal(startFile, "/group/.start");
  assert.deepEqual(env, {
    POOLSCOPE_RUN_FOLDER: "/group",
    POOLSCOPE_START_FILE: startFile,
    POOLSCOPE_ARMS: "/group/.arms.json",
    POOLSCOPE_HEADER_TOKEN: "secret",
  });
  const { arms, ...schedule } = JSON.parse(files["/group/.arms.json"]!);
  assert.deepEqual(schedule, { sliceS: 1, warmUpS: 6, blocksS: 40, seed: 7, candidates: [1, 2] });
  assert.deepEqual(arms[1], {
    folder: "/group/b",
    host: "http://127.0.0.1:8000",
    contract: "/group/.routes-1.json",
    users: 30,
    spawnRate: 5,
    thinkTimeMinS: 0,
    thinkTimeMaxS: 0.5,
    arrivalRate: null,
    arrivals: "poisson",
    client: "lean",
    locustfile: null,
    seed: 9,
  });
  // Nobody pauses.
  const { users, thinkTimeMaxS, arrivalRate } = arms[2];
  assert.deepEqual([users, thinkTimeMaxS, arrivalRate], [1, 0, 50]);
  assert.deepEqual(JSON.parse(files["/group/.routes-0.json"]!), {
    routes: [{ name: "GET /posts", path: "/posts", weight: 1 }],
  });
});

Deno.test("explainExit() has nothing to say when Locust ended well", () => {
  assert.equal(explainExit(0, null, "[2026-01-01 00:00:00,000] host/ERROR/root: a failure"), null);
});

Deno.test("explainExit() gives the last error of the log", () => {
  const log = [
    "[2026-01-01 00:00:00,000] host/INFO/locust.main: Starting Locust 2.47.0",
    "[2026-01-01 00:00:00,001] some-host/ERROR/locust.main: No User class found!",
    "[2026-01-01 00:00:00,002] some-host/INFO/locust.main: Shutting down",
  ].join("\n");
  assert.equal(explainExit(1, null, log), "Locust stopped with exit code 1: No User class found!");
});

Deno.test("explainExit() gives a traceback's last line", () => {
  const log = [
    "Traceback (most recent call last):",
    '  File "locustfile.py", line 3, in <module>',
    "ModuleNotFoundError: No module named 'gevent'",
    "",
  ].join("\n");
  assert.equal(
    explainExit(1, null, log),
    "Locust stopped with exit code 1: ModuleNotFoundError: No module named 'gevent'",
  );
});

Deno.test("explainExit() names the signal, and does without a log", () => {
  assert.equal(explainExit(137, "SIGKILL", ""), "Locust was ended by SIGKILL");
});
