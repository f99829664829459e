/**
 * Time injected into each stage of a request in turn, by apps that really lose it there, and where
 * the waterfall shows it.
 */

import { equal } from "node:assert/strict";
import { appendFileSync, writeFileSync } from "node:fs";
import type { Plan } from "./plan.ts";
import { createScenario, type Framework, type Scenario } from "./scenario.ts";
import { type Stage, waterfalls } from "./stats/waterfall.ts";
import { AlteredApps } from "./testing/altered_apps.ts";
import { SleeplessCores } from "./testing/sleepless_cores.ts";

/** Milliseconds are told apart on a machine that has nothing else to do, in minutes for each app. */
const FULL = Deno.env.get("POOLSCOPE_FULL") === "1";

const INJECTED_MS = 5;

/** The stage that each injection belongs to. */
const INJECTIONS = {
  app: "app",
  pool: "app_pool",
  queue: "pgbouncer_queue",
  query: "execution",
} as const satisfies Record<string, Stage>;

type Injection = keyof typeof INJECTIONS;

/** What is done to each request, and for how long. */
interface Dose {
  injection: Injection;
  ms: number;
}

/**
 * What an injection of 5 ms more is held against. For the altered app it is one of 3 ms: a further
 * statement or a second transaction takes time of its own, which is not injected time, and what is
 * held for less than a request's way there is not waited for.
 */
const MIN_MS: Record<Injection, number> = { app: 0, pool: 3, queue: 3, query: 3 };

/** Those of the altered app are copies of one scenario; a delay is the scenario's own. */
const COPIES: readonly Dose[] = [
  { injection: "app", ms: MIN_MS.app },
  ...(["pool", "queue", "query"] as const).flatMap((injection) =>
    [0, INJECTED_MS].map((more) => ({ injection, ms: MIN_MS[injection] + more }))
  ),
];

function doseOf({ appDelayMs, replica }: Scenario): Dose {
  return appDelayMs > 0 ? { injection: "app", ms: appDelayMs } : COPIES[replica]!;
}

/** What makes an app lose time at each request's first use of the database. */
interface Alteration {
  file: string;
  /** What is put at the file's end, and what is replaced by what. */
  code: string;
  changes: [from: string, to: string][];
}

/**
 * Another thread takes something that the request needs and keeps it for a while; the request goes on
 * as soon as it is taken, and waits for it where every request would.
 */
const HOLDER = `

import os, threading, time
from concurrent.futures import ThreadPoolExecutor

INJECT, _ms = open(os.environ["PYTHONPATH"] + "/inject").read().split()
HOLD_S = float(_ms) / 1000
_holder = ThreadPoolExecutor(1)
_other = None


def _hold(take, give_back):
    taken = threading.Event()

    def hold():
        held = take()
        taken.set()
        time.sleep(HOLD_S)
        give_back(held)

    _holder.submit(hold)
    taken.wait()


def _take_server(connect):
    global _other
    if _other is None:
        _other = connect()
    _other.execute("BEGIN")
    return _other
`;

const ALTERED: Record<Framework, Alteration> = {
  flask: {
    file: "apps/flask_app/blog/db.py",
    changes: [[
      '        g.session = current_app.extensions["session_factory"]()\n',
      '        g.session = current_app.extensions["session_factory"]()\n        _inject(g.session)\n',
    ]],
    code: `${HOLDER}

def _inject(session):
    engine = session.get_bind()
    if INJECT == "pool":
        _hold(engine.pool.connect, lambda held: held.close())
    elif INJECT == "queue":
        import psycopg

        url = engine.url
        connect = lambda: psycopg.connect(
            host=url.host, port=url.port, dbname=url.database, user=url.username, autocommit=True
        )
        _hold(lambda: _take_server(connect), lambda held: held.execute("COMMIT"))
    elif INJECT == "query":
        from sqlalchemy import text

        session.execute(text(f"SELECT pg_sleep({HOLD_S})"))
`,
  },
  django: {
    file: "apps/django_app/blog/views.py",
    changes: [[
      "        try:\n            return super().dispatch(",
      "        _inject()\n        try:\n            return super().dispatch(",
    ]],
    code: `${HOLDER}

def _inject():
    from django.db import connection

    if INJECT == "pool":
        connection.pool.open()
        _hold(connection.pool.getconn, connection.pool.putconn)
    elif INJECT == "queue":
        import psycopg

        own = connection.settings_dict
        connect = lambda: psycopg.connect(
            host=own["HOST"], port=own["PORT"], dbname=own["NAME"], user=own["USER"], autocommit=True
        )
        _hold(lambda: _take_server(connect), lambda held: held.execute("COMMIT"))
    elif INJECT == "query":
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_sleep({HOLD_S})")
`,
  },
  fastapi: {
    file: "apps/fastapi_app/app/api/deps.py",
    changes: [[
      "        yield session\n",
      "        await _inject(session)\n        yield session\n",
    ]],
    code: `

import asyncio, contextvars, os, time

INJECT, _ms = open(os.environ["PYTHONPATH"] + "/inject").read().split()
HOLD_S = float(_ms) / 1000
_other = None
_tasks = set()
_lock = asyncio.Lock()  # the one before may still be held where a request did not need it


async def _hold(take, give_back):
    taken = asyncio.Event()

    async def hold():
        async with _lock:
            held = await take()
            taken.set()
            # The loop's timer goes by whole milliseconds.
            await asyncio.to_thread(time.sleep, HOLD_S)
            await give_back(held)

    # Outside of the request, whose wait this is not.
    task = asyncio.create_task(hold(), context=contextvars.Context())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    await taken.wait()


async def _take_server(url):
    global _other
    if _other is None:
        import asyncpg

        _other = await asyncpg.connect(
            host=url.host, port=url.port, database=url.database, user=url.username, ssl=False,
            server_settings={"client_encoding": "UTF8"},
        )
    await _other.execute("BEGIN")
    return _other


async def _inject(session):
    from app.core.db import engine
    from sqlalchemy import text

    if INJECT == "pool":
        await _hold(lambda: engine.connect().start(), lambda held: held.close())
    elif INJECT == "queue":
        await _hold(lambda: _take_server(engine.url), lambda held: held.execute("COMMIT"))
    elif INJECT == "query":
        await session.execute(text(f"SELECT pg_sleep({HOLD_S})"))
`,
  },
};

/** Means of each stage, in milliseconds, by the injection and its length. */
async function measure(
  framework: Framework,
  rounds: number,
): Promise<Map<string, Map<Stage, number>>> {
  using apps = new AlteredApps();
  const { file, changes, code } = ALTERED[framework]!;
  for (const [from, to] of changes) apps.alter({ file, from, to });
  appendFileSync(apps.path(file), code);
  const plan: Plan = {
    name: "waterfall",
    purpose: "Injected time.",
    functionalCheck: true,
    seed: 1,
    rounds,
    warmUpS: 1.5,
    windowS: 6,
    // One user, so that nothing but what is injected ever waits; a pool of one is what makes it. The
    // user thinks for as long, so that processes and their caches have rested in any case.
    scenarios: [
      ...COPIES.map((_, replica) => ({ replica })),
      { appDelayMs: INJECTED_MS },
    ].map((changes) =>
      createScenario({
        framework,
        path: "pooled",
        users: 1,
        workers: 1,
        dbCpus: null,
        thinkTimeMinS: INJECTED_MS / 1000,
        thinkTimeMaxS: INJECTED_MS / 1000,
        reuse: "app_pool",
        poolSize: 1,
        defaultPoolSize: 1,
        ...(framework === "fastapi" ? {} : { threads: 2 }),
        ...changes,
      })
    ),
  };
  await using _cores = new SleeplessCores();
  const study = await apps.run(plan, {
    before: ({ scenario }) => {
      const { injection, ms } = doseOf(scenario);
      // A delay is waited for by the app as it is.
      writeFileSync(apps.path("apps/inject"), `${injection} ${ms}`);
    },
  });
  return new Map(
    waterfalls(study).map(({ scenarioId, parts, n }) => {
      equal(n, rounds);
      const { scenario } = study.scenarios.find((one) => one.scenarioId === scenarioId)!;
      const means = new Map(parts.map(({ stage, ms }) => [stage, ms]));
      const { injection, ms } = doseOf(scenario);
      return [`${injection} ${ms}`, means];
    }),
  );
}

for (const framework of ["flask", "django", "fastapi"] as const) {
  const name = `${framework}: 5 ms injected into a stage are shown there, and nowhere else`;
  Deno.test({ name, ignore: !FULL }, async () => {
    const means = await measure(framework, 3);
    const text = (stages: Map<Stage, number>) =>
      [...stages].map(([stage, ms]) => `${stage} ${ms.toFixed(2)}`).join(", ");
    console.log(`  nothing injected: ${text(means.get("app 0")!)}`);
    const wrong: string[] = [];
    for (const [injection, target] of Object.entries(INJECTIONS)) {
      const leastMs = MIN_MS[injection as Injection];
      const before = means.get(`${injection} ${leastMs}`)!;
      const moved = new Map(
        [...means.get(`${injection} ${leastMs + INJECTED_MS}`)!].map(([stage, ms]) =>
          [stage, ms - before.get(stage)!] as const
        ),
      );
      console.log(`  5 ms in ${target} move: ${text(moved)}`);
      for (const [stage, ms] of moved) {
        const right = stage === target
          ? Math.abs(ms - INJECTED_MS) <= 0.2 * INJECTED_MS
          : Math.abs(ms) < 1;
        if (!right) wrong.push(`${injection}: ${stage} moved by ${ms.toFixed(2)} ms`);
      }
    }
    equal(wrong.join("; "), "");
  });
}
