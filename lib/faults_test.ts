// test lane: copy
/**
 * Every cause of the table in diagnose/causes.ts, produced for real: by settings, by a broken copy of
 * an app, by signals to real processes, and by memory that is really full. Disks are in full_disks_test.ts.
 */

import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { OWN_CONNECTIONS } from "./connections.ts";
import type { RunServices } from "./engine/run_services.ts";
import type { Access } from "./services/database.ts";
import { LocalEngine } from "./engine/local.ts";
import { listProcesses } from "./hosts/linux/proc.ts";
import type { LocalInstance } from "./hosts/local/instance.ts";
import { parsePlan } from "./plan.ts";
import { runStudy } from "./run_study.ts";
import { type Scenario, scenarioId } from "./scenario.ts";
import { setUp } from "./setup/mod.ts";
import type { StudyEvent } from "./store/events.ts";
import { ROOT, runsFolder } from "./store/layout.ts";
import { openConsole } from "./telemetry/pgbouncer.ts";
import { AlteredApps } from "./testing/altered_apps.ts";
import { type Fault, FaultyStudy, keepsNumbers } from "./testing/faulty_study.ts";

const tools = await setUp();

function kill(services: RunServices, name: string, signal: Deno.Signal = "SIGKILL"): void {
  Deno.kill((services.services.get(name) as LocalInstance).pid, signal);
}

/** A stranger who takes a port once it was found to be free, and answers on it: the n-th that is found. */
function strangerOnPort(n: number): AsyncDisposable {
  const listen = Deno.listen;
  let server: Deno.HttpServer | undefined;
  let found = 0;
  Deno.listen = ((options: Deno.TcpListenOptions) => {
    const listener = listen(options);
    if (++found !== n) return listener;
    const { port } = listener.addr as Deno.NetAddr;
    return {
      addr: listener.addr,
      close() {
        listener.close();
        const answer = () => new Response("<p>It works!</p>");
        server = Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, answer);
      },
    };
  }) as typeof Deno.listen;
  return {
    async [Symbol.asyncDispose]() {
      Deno.listen = listen;
      await server?.shutdown();
    },
  };
}

async function query<T extends object>(access: Access, text: string): Promise<T[]> {
  const sql = postgres({ ...access, max: 1, onnotice: () => {} });
  try {
    return [...await sql.unsafe(text)] as unknown as T[];
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Opens connections until the server refuses one, and keeps them. */
async function fill(access: Access): Promise<postgres.Sql[]> {
  const opened: postgres.Sql[] = [];
  for (;;) {
    const sql = postgres({ ...access, max: 1, fetch_types: false, prepare: false });
    try {
      await sql.unsafe("select 1").simple();
      opened.push(sql);
    } catch {
      await sql.end({ timeout: 0 });
      return opened;
    }
  }
}

Deno.test("runStudy() keeps failed runs with their cause and goes on", async () => {
  const name = `faults-${Deno.pid}`;
  const folder = join(runsFolder(), name);
  const plan = parsePlan(
    JSON.stringify({
      name: "faults",
      rounds: 1,
      warmUpS: 0.5,
      // A busy machine takes a second until the first users are answered.
      windowS: 4,
      scenarios: [
        { framework: "fastapi", path: "direct", users: 60, maxConnections: 20 },
        { framework: "django", path: "direct", users: 60, maxConnections: 20 },
        { framework: "flask", path: "direct", users: 60, maxConnections: 20 },
        { framework: "flask", path: "pooled", users: 10, poolSize: 200_000 },
        // Each client has a server connection of its own, and its statements to itself.
        {
          framework: "fastapi",
          path: "pooled",
          users: 64,
          poolMode: "session",
          defaultPoolSize: 64,
          maxPreparedStatements: 0,
        },
      ],
    }),
    "faults",
  );
  try {
    const notes: string[] = [];
    const onEvent = (event: StudyEvent) => {
      if (event.event === "note") notes.push(event.text);
    };
    const study = await runStudy({ plan, study: name, start: true, engine: "local", onEvent });
    const foreseen =
      /^Warning: more connections than PostgreSQL takes: FastAPI 64, .* for max_conn/;
    ok(notes.some((note) => foreseen.test(note)), notes.join("\n"));
    const causes = study.manifests.map((manifest) => manifest.cause).filter(Boolean).sort();
    console.log(causes.map((cause) => `  ${cause}`).join("\n"));
    const refused = "direct: PostgreSQL refused connections (too many clients already): " +
      "2 workers × 32 > max_connections 20";
    deepEqual(causes, [
      `Django ${refused}`,
      `FastAPI ${refused}`,
      `Flask ${refused}`,
      "Flask pooled: the app exited with code 1 before the load (Cannot start: DB_POOL_SIZE is '200000': must be an integer from 1 to 100000)",
    ]);
    const good = study.manifests.find((manifest) => manifest.status === "ok");
    deepEqual([good?.scenarioId], [scenarioId(plan.scenarios[4]!)]);
    for (const run of study.runs.filter((run) => run.cause?.includes("refused"))) {
      ok(run.requests > 0 && run.failures > 0.01 * run.requests, JSON.stringify(run));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** A window that a fault cuts short, however late that comes, and one that is measured to its end. */
const cut = { windowS: 15, whole: false };
const whole = { windowS: 2, whole: true };

async function connectionFaults(
  t: Deno.TestContext,
  engine: LocalEngine,
  study: FaultyStudy,
): Promise<void> {
  await t.step("an app gets what was asked for while ours are open, and ours get in", async () => {
    using copy = new AlteredApps([
      { file: "pgbouncer/userlist.txt", from: /$/, to: '"filler" "x"\n' },
    ]);
    engine.useRoot(copy.root);
    const clients: postgres.Sql[] = [];
    const taken: number[] = [];
    const scenario = { path: "pooled", workers: 1, poolSize: 1, maxClientConn: 64 } as const;
    const { manifest } = await study.run({
      scenario: { ...scenario, dbCpus: null, users: 1 },
      beforeLoad: async ({ postgres: server, pgbouncer }) => {
        await query(server, "create role filler login password 'x'");
        const { port } = pgbouncer!;
        const filler = { ...server, username: "filler", password: "x" };
        const own = [server, server, pgbouncer!, pgbouncer!].map(openConsole);
        await Promise.all(
          own.map((sql) => sql.unsafe("show server_version").simple().catch(() => {})),
        );
        clients.push(...await fill({ ...filler, port }));
        taken.push(clients.length);
        clients.push(...await fill(filler));
        const users = "usename in ('app', 'filler')";
        const [row] = await query<{ n: string }>(
          server,
          `select count(*) as n from pg_stat_activity where ${users}`,
        );
        taken.push(Number(row!.n));
        await Promise.all(own.map((sql) => sql.end({ timeout: 1 })));
      },
    }).finally(() => {
      engine.useRoot(ROOT);
      return Promise.all(clients.map((sql) => sql.end({ timeout: 1 })));
    });
    // Of PgBouncer's 64 the app itself has one; PostgreSQL keeps 3 of 100 for superusers.
    deepEqual(taken, [63, 97]);
    deepEqual([manifest.cause, manifest.ownConnections], [null, OWN_CONNECTIONS]);
  });

  await t.step("query_wait_timeout", async () => {
    let holder: postgres.Sql | undefined;
    const result = await study.fails(
      {
        scenario: { path: "pooled", defaultPoolSize: 1, queryWaitTimeoutS: 1 },
        beforeLoad: async ({ postgres: access }) => {
          holder = postgres({ ...access, max: 1 });
          await holder.unsafe("begin; lock table posts, users in access exclusive mode").simple();
        },
      },
      "FastAPI pooled: PgBouncer disconnected clients that waited longer than query_wait_timeout 1 s for a server connection (default_pool_size 1)",
    )
      .finally(() => holder?.end({ timeout: 1 }));
    keepsNumbers(result, whole);
    const { inputs, scenario } = result.manifest;
    const { postgres: server, pgbouncer } = inputs!.settings!;
    equal(pgbouncer!.query_wait_timeout, "1");
    ok(server!.shared_preload_libraries === "pg_stat_statements" && !("port" in server!));
    // Settings in force are read before the load: a run with others than before is none of the study.
    const settings = { postgres: server!, pgbouncer: { ...pgbouncer, reserve_pool_size: "5" } };
    const others = [{ ...result.manifest, inputs: { ...inputs!, settings } }];
    await rejects(
      study.run({ scenario, others }),
      /^InputsChangedError: .* differ in PgBouncer's reserve_pool_size \(5, default\), /,
    );
  });
}

async function databaseFaults(t: Deno.TestContext, study: FaultyStudy): Promise<void> {
  await t.step("500 on all requests", async () => {
    const result = await study.fails(
      {
        beforeLoad: ({ postgres: access }) =>
          query(access, "alter table posts rename to gone; alter table users rename to gone_too"),
      },
      /^FastAPI direct: all \d+ requests failed with "HTTP 500"; the app's log says: .*relation "(posts|users)" does not exist/,
    );
    keepsNumbers(result, whole);
  });

  await t.step("a server process of PostgreSQL killed", async () => {
    const result = await study.fails(
      {
        scenario: { framework: "flask" },
        // The query that finds it may take a while.
        windowS: 6,
        duringLoad: async ({ postgres: access }) => {
          const [row] = await query<{ pid: number }>(
            access,
            "select pid from pg_stat_activity where usename = 'app' and datname = 'app' limit 1",
          );
          Deno.kill(row!.pid, "SIGKILL");
        },
      },
      /^Flask direct: PostgreSQL lost a server process \(killed by signal 9\) and restarted: \d+ of \d+ requests failed$/,
    );
    keepsNumbers(result, { windowS: 6, whole: true });
    await study.succeeds();
  });

  await t.step("PostgreSQL killed", async () => {
    const result = await study.fails(
      {
        scenario: { framework: "django" },
        windowS: cut.windowS,
        duringLoad: (services) => kill(services, "postgres"),
      },
      /^Django direct: PostgreSQL was killed by signal 9 during the load, after \d+ requests of which \d+ failed$/,
    );
    equal(result.manifest.exitCodes.postgres, 137);
    keepsNumbers(result, cut);
    await study.succeeds();
  });

  await t.step("PostgreSQL that hangs is ended with its run", async () => {
    await study.run({ duringLoad: (services) => kill(services, "postgres", "SIGSTOP") });
    await study.succeeds();
  });
}

Deno.test("faults while the load runs are told, and what was measured is kept", async (t) => {
  const engine = new LocalEngine(tools);
  const { limitsWarning } = engine;
  await using study = await FaultyStudy.open(engine);
  await connectionFaults(t, engine, study);
  await databaseFaults(t, study);

  await t.step("PgBouncer killed", async () => {
    const result = await study.fails(
      {
        scenario: { path: "pooled" },
        windowS: cut.windowS,
        duringLoad: (services) => kill(services, "pgbouncer"),
      },
      /^FastAPI pooled: PgBouncer was killed by signal 9 during the load, after \d+ requests of which \d+ failed$/,
    );
    equal(result.manifest.exitCodes.pgbouncer, 137);
    keepsNumbers(result, cut);
  });

  await t.step("PgBouncer killed in the warm-up: there is no window", async () => {
    const { manifest, folder } = await study.fails({
      scenario: { path: "pooled" },
      warmUpS: 30,
      windowS: 2,
      duringLoad: (services) => kill(services, "pgbouncer"),
    }, "FastAPI pooled: PgBouncer was killed by signal 9 during the load");
    equal(manifest.window, null);
    ok(JSON.parse(readFileSync(join(folder, "final.json"), "utf8")).warmUpRequests > 0);
  });

  await t.step("PostgreSQL at a tiny memory limit", async () => {
    if (limitsWarning !== null) {
      console.log(`  skipped: ${limitsWarning}`);
      return;
    }
    await study.fails(
      { scenario: { framework: "flask", dbMemoryMiB: 8 } },
      /^Flask direct: PostgreSQL ran out of memory (before the load: it uses \d+ MiB, its limit is 8 MiB|at its limit of 8 MiB .*)$/,
    );
    await study.succeeds();
  });

  await t.step("a stranger on the app's port", async () => {
    // PostgreSQL's is the first.
    await using _stranger = strangerOnPort(2);
    await study.fails(
      {},
      /^FastAPI direct: another program answers on the app's port \d+, without this run's nonce \(200 <p>It works!<\/p>\)$/,
    );
  });

  await t.step("Locust's own error", async () => {
    await study.fails(
      { locustEnv: { POOLSCOPE_WINDOW_S: "soon" } },
      /^FastAPI direct: Locust stopped with exit code 1: .*Cannot read POOLSCOPE_WINDOW_S "soon": must be a number of at least 0$/,
    );
  });

  await t.step("Locust killed: its rows are kept", async () => {
    const { folder } = await study.fails({
      windowS: cut.windowS,
      duringLoad: () => {
        const locust = listProcesses().find(({ pid, session }) =>
          pid === session && readFileSync(`/proc/${pid}/environ`, "latin1").includes(study.folder)
        );
        Deno.kill(locust!.pid, "SIGKILL");
      },
    }, "FastAPI direct: Locust was ended by SIGKILL");
    ok(readFileSync(join(folder, "requests.csv"), "utf8").split("\n").length > 10);
  });
});

/** Apps and templates that are wrong: the app, what is changed, how it runs, and the cause told. */
const WRONG_PARTS: [string, string, Record<string, [string | RegExp, string]>, Fault, RegExp][] = [
  [
    "a broken environment",
    "fastapi",
    { "apps/fastapi_app/app/__main__.py": ["import uvicorn", "import uvicorn_of_another_venv"] },
    {},
    /^FastAPI direct: the app exited with code 1 before the load \(ModuleNotFoundError: No module named 'uvicorn_of_another_venv'\)$/,
  ],
  [
    "a worker that cannot start",
    "flask",
    { "apps/flask_app/blog/views.py": [/^/, "import no_such_module\n"] },
    {},
    /^Flask direct: the app exited with code 1 before the load \(ModuleNotFoundError: No module named 'no_such_module'\)$/,
  ],
  [
    "never ready",
    "django",
    {
      "apps/django_app/config/wsgi.py": [
        /^/,
        "import sys, time\nprint('waiting for the licence server', file=sys.stderr, flush=True)\ntime.sleep(60)\n",
      ],
    },
    { readyTimeoutS: 5 },
    /^Django direct: no worker answered on port \d+ within 5 s; the app's log ends with: .*waiting for the licence server/,
  ],
  [
    "wrong port",
    "fastapi",
    {
      "apps/fastapi_app/app/__main__.py": [
        "port=settings.uvicorn_port",
        "port=settings.uvicorn_port - 1",
      ],
    },
    { readyTimeoutS: 8 },
    /^FastAPI direct: the app listens on port \d+ instead of \d+$/,
  ],
  [
    "wrong port of the database",
    "flask",
    { "apps/flask_app/blog/config.py": ['_number("PGPORT", 5432, 65535)', "1"] },
    {},
    /^Flask direct: the app's connections to PostgreSQL were refused: nothing listens on port 1$/,
  ],
  [
    "the same in asyncpg's words",
    "fastapi",
    { "apps/fastapi_app/app/core/config.py": ["port=self.pgport", "port=1"] },
    { scenario: { path: "pooled" } },
    /^FastAPI pooled: the app's connections to PgBouncer were refused: nothing listens where it connects$/,
  ],
  [
    "a setting that PgBouncer does not know",
    "flask",
    { "pgbouncer/pgbouncer.ini": ["pool_mode =", "pool_modus ="] },
    { scenario: { path: "pooled" } },
    /^Flask pooled: PgBouncer exited with code 1 before the load \(invalid value "transaction" for parameter pool_modus in configuration \(pgbouncer\.ini:\d+\)\)$/,
  ],
  [
    "a startup parameter",
    "flask",
    {
      "apps/flask_app/blog/db.py": [
        "connect_args = {",
        'connect_args = {"options": "-c jit=off", ',
      ],
    },
    { scenario: { path: "pooled" } },
    /^Flask pooled: PgBouncer refuses the startup parameter jit: add it to ignore_startup_parameters \(it is then ignored\), or set it another way$/,
  ],
  [
    "no line in the user list",
    "flask",
    { "pgbouncer/userlist.txt": [/^"\$\{APP_USER.*\n/, ""] },
    { scenario: { path: "pooled" } },
    /^Flask pooled: PgBouncer refuses the app's login \(no such user: app\): give the user a line in auth_file, or set an auth_user that can look it up$/,
  ],
  [
    "another login of PgBouncer's",
    "django",
    { "pgbouncer/pgbouncer.ini": ["dbname=${DB_NAME}", "dbname=${DB_NAME} user=x password=y"] },
    { scenario: { path: "pooled" } },
    /^Django pooled: PgBouncer cannot log in to PostgreSQL \(password authentication failed for user "x"\): correct user, password and dbname in \[databases\] and auth_file$/,
  ],
  [
    "another port of PostgreSQL's",
    "flask",
    { "pgbouncer/pgbouncer.ini": ["port=${DB_PORT}", "port=1"] },
    { scenario: { path: "pooled", queryWaitTimeoutS: 1 } },
    /^Flask pooled: PgBouncer gets no connection to PostgreSQL at 127\.0\.0\.1:1: correct host and port in \[databases\]$/,
  ],
  [
    "prepared statements that PgBouncer does not follow",
    "fastapi",
    { "pgbouncer/pgbouncer.ini": ["${MAX_PREPARED_STATEMENTS}", "0"] },
    { scenario: { path: "pooled" } },
    /^FastAPI pooled: clients lost their prepared statements to each other, .* set maxPreparedStatements=200, poolMode=session or preparedStatements=false$/,
  ],
  [
    "transactions in statement mode",
    "flask",
    {},
    { scenario: { path: "pooled", poolMode: "statement" } },
    /^Flask pooled: the app uses transactions, which pool_mode statement does not allow: set poolMode=transaction or poolMode=session$/,
  ],
  [
    "a wrong body",
    "django",
    { "apps/django_app/blog/views.py": [/"status": "ok"/, '"status": "fine"'] },
    {},
    /^Django direct: the app broke the contract: GET \/healthz gave another body than the contract's \(\{.*"fine".*\}\)$/,
  ],
  [
    "an app that eats memory",
    "fastapi",
    {
      "apps/fastapi_app/app/main.py": [
        /$/,
        `
hoard = []


@app.middleware("http")
async def eat(request, call_next):
    if request.url.path.startswith("/posts/"):
        hoard.append(b"x" * 2**23)
    return await call_next(request)
`,
      ],
    },
    // Contract checks must fit, and a slow machine must have the requests that do not.
    { scenario: { appMemoryMiB: 400 }, windowS: 10 },
    /^FastAPI direct: the app ran out of memory at its limit of 400 MiB \(processes killed by the kernel: \d+\): \d+ of \d+ requests failed$/,
  ],
];

Deno.test("an app or a template that is wrong is told by what it says itself, and what works", async (t) => {
  const engine = new LocalEngine(tools);
  await using study = await FaultyStudy.open(engine);
  for (const [name, framework, changes, fault, cause] of WRONG_PARTS) {
    await t.step(name, async () => {
      if (fault.scenario?.appMemoryMiB !== undefined && engine.limitsWarning !== null) {
        console.log(`  skipped: ${engine.limitsWarning}`);
        return;
      }
      using copy = new AlteredApps(
        Object.entries(changes).map(([file, [from, to]]) => ({ file, from, to })),
      );
      engine.useRoot(copy.root);
      const scenario = { ...fault.scenario, framework: framework as Scenario["framework"] };
      await study.fails({ ...fault, scenario }, cause);
    });
  }
  await t.step("an auth_user who may not look up others", async () => {
    using copy = new AlteredApps([
      { file: "pgbouncer/userlist.txt", from: /^"\$\{APP_USER.*$/m, to: '"clerk" "clerk"' },
      {
        file: "pgbouncer/pgbouncer.ini",
        from: "auth_file =",
        to: "auth_user = clerk\n" +
          "auth_query = SELECT usename, passwd FROM pg_shadow WHERE usename = $1\nauth_file =",
      },
    ]);
    engine.useRoot(copy.root);
    await study.fails(
      {
        scenario: { framework: "flask", path: "pooled" },
        whenStarted: ({ postgres }) => query(postgres, "CREATE ROLE clerk LOGIN PASSWORD 'clerk'"),
      },
      /^Flask pooled: PgBouncer cannot look up the app's user \(auth_query: permission denied for view pg_shadow\): give auth_user the right to it, or the user a line in auth_file$/,
    );
  });
});
