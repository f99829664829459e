// test lane: copy
/** Apps that do other work than the contract's, and honest ones, each under real load. */

import { deepEqual, match, ok } from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "./engine/engine.ts";
import type { RunServices } from "./engine/run_services.ts";
import type { Plan } from "./plan.ts";
import { readStatements } from "./frames/run_files.ts";
import { FRAMEWORKS } from "./plan.ts";
import { createScenario, type Framework, type Path } from "./scenario.ts";
import { numbersOf } from "./stats/readings.ts";
import { runFolder } from "./store/layout.ts";
import { AlteredApps, type Change } from "./testing/altered_apps.ts";
import { override } from "./testing/override.ts";

const USERS = 8;
/** Long beside the lateness of a reading, to which what goes on meanwhile is counted. */
const WINDOW_S = 6;

/** Runs arms of altered apps, and tells what is found of them before anything is compared. */
async function study(
  arms: { framework: Framework; path: Path }[],
  changes: (root: string) => Change[],
  verified: (services: RunServices, root: string) => void = () => {},
) {
  using apps = new AlteredApps();
  for (const change of changes(apps.root)) apps.alter(change);
  const plan: Plan = {
    name: "work",
    purpose: "Equal work.",
    functionalCheck: true,
    rounds: 1,
    seed: 1,
    warmUpS: 1,
    windowS: WINDOW_S,
    // Far from what the machine can do: what is asserted are counts.
    scenarios: arms.map((arm) =>
      createScenario({ ...arm, users: USERS, workers: 1, thinkTimeMinS: 0.03, thinkTimeMaxS: 0.06 })
    ),
  };
  const read = await apps.run(plan, {
    wrap: (engine) => whenVerified(engine, (services) => verified(services, apps.root)),
  });
  for (const { arm, telemetry } of read.runs) {
    const { requests, dataStatements, rows, transactionControl, contract } = telemetry!.work!;
    const per = (count: number) => (count / requests).toFixed(3);
    console.log(
      `  ${arm}: ${requests} requests, ${per(dataStatements)} data statements (${
        per(contract!.statements)
      }), ${per(rows)} rows (${per(contract!.rows)}), ${per(transactionControl)} of control`,
    );
  }
  for (const { arm, what } of read.unequalWork) console.log(`  ${arm}: ${what.join("; ")}`);
  /** By how many seconds the statements were read after a run's window began, and after it ended. */
  const lateS = new Map<string, number>();
  for (const { scenarioId, round, window } of read.manifests) {
    const frame = await readStatements(runFolder(read.folder, scenarioId, round));
    const timesUs = numbersOf(frame, "time_us");
    const after = (us: number) => Math.min(...timesUs.filter((timeUs) => timeUs >= us)) - us;
    lateS.set(scenarioId, (after(window!.startUs) + after(window!.endUs)) / 1e6);
  }
  return { ...read, lateS };
}

/** An engine of which the app changes its ways as soon as it is verified. */
function whenVerified(engine: Engine, change: (services: RunServices) => void): Engine {
  const startRun: Engine["startRun"] = async (run, folder) => {
    const services = await engine.startRun(run, folder);
    const applyLimits = services.applyLimits.bind(services);
    services.applyLimits = () => {
      change(services);
      return applyLimits();
    };
    return services;
  };
  return override(engine, { startRun });
}

Deno.test("honest apps of all frameworks and paths do the contract's work", async () => {
  const arms = FRAMEWORKS.flatMap((framework) =>
    (["direct", "pooled"] as const).map((path) => ({ framework, path }))
  );
  const { unequalWork, runs, warnings, lateS } = await study(arms, () => []);
  deepEqual(unequalWork, []);
  deepEqual(warnings.filter((line) => !line.startsWith("plan.json is not the plan")), []);
  for (const { arm, scenario, scenarioId, telemetry } of runs) {
    const { requests, dataStatements, rows, transactionControl, contract } = telemetry!.work!;
    // What is under way at the window's ends may be counted on the other side, and so may be what
    // happened there until a late reading: of the warm-up, which is not as fast, or of no load any more.
    const off = 0.02 + USERS / requests + lateS.get(scenarioId)! / WINDOW_S;
    ok(Math.abs(dataStatements / contract!.statements - 1) < off, `${arm} ${off}`);
    ok(Math.abs(rows / contract!.rows - 1) < off, `${arm} ${off}`);
    ok(telemetry!.work!.setup < 0.02 * requests, arm);
    // SQLAlchemy begins and ends a transaction for each request, Django none.
    const control = transactionControl / requests;
    const own = scenario.framework === "django" ? 0 : 2;
    ok(Math.abs(control - own) < Math.max(0.04, own * off), `${arm} ${control}`);
  }
});

Deno.test("an app that issues one extra query, and one that caches answers, are named", async () => {
  const { unequalWork, warnings } = await study(
    [
      { framework: "fastapi", path: "direct" },
      { framework: "django", path: "pooled" },
      { framework: "flask", path: "direct" },
    ],
    () => [
      {
        file: "apps/fastapi_app/app/api/deps.py",
        from: "        yield session\n",
        to: '        await session.execute(text("SELECT id FROM users WHERE id = 1"))\n' +
          "        yield session\n",
      },
      {
        file: "apps/fastapi_app/app/api/deps.py",
        from: "from sqlalchemy.ext.asyncio import AsyncSession\n",
        to: "from sqlalchemy import text\nfrom sqlalchemy.ext.asyncio import AsyncSession\n",
      },
      {
        file: "apps/django_app/blog/views.py",
        from: "return JsonResponse([post_json(post) for post in newest], safe=False)",
        to: "return JsonResponse(CACHE.get(limit) or " +
          "CACHE.setdefault(limit, [post_json(post) for post in newest]), safe=False)",
      },
      {
        file: "apps/django_app/blog/views.py",
        from: "class Month(Func):",
        to: "CACHE = {}\n\n\nclass Month(Func):",
      },
    ],
  );
  const found = new Map(unequalWork.map(({ arm, what }) => [arm, what.join("; ")]));
  deepEqual([...found.keys()].sort(), ["Django pooled", "FastAPI direct"]);
  const [, seen, asked] =
    /^([\d.]+) data statements per request where the contract has (1\.\d\d): the app queries the database/
      .exec(found.get("FastAPI direct")!)!;
  ok(Math.abs(Number(seen) - Number(asked) - 1) < 0.2, `${seen} for ${asked}`);
  match(
    found.get("Django pooled")!,
    /^0\.\d\d data statements per request where the contract has 1\.\d\d: the app answers without querying/,
  );
  ok(warnings.some((line) => /^FastAPI direct: .*; it is left out of all comparisons$/.test(line)));
});

Deno.test("an app that goes past PgBouncer once it is verified is named", async () => {
  const { unequalWork } = await study(
    [{ framework: "flask", path: "pooled" }, { framework: "fastapi", path: "pooled" }],
    (root) => [
      {
        file: "apps/flask_app/blog/db.py",
        from: '        g.session = current_app.extensions["session_factory"]()\n',
        to: [
          '        factory = current_app.extensions["session_factory"]',
          `        if os.path.exists("${root}/port") and os.urandom(1)[0] < 128:`,
          '            if "past" not in current_app.extensions:',
          `                port = int(open("${root}/port").read())`,
          '                url = current_app.config["DATABASE_URL"].set(port=port)',
          "                engine = create_engine(url, pool_size=8, max_overflow=0)",
          '                current_app.extensions["past"] = sessionmaker(',
          "                    engine, expire_on_commit=False)",
          '            factory = current_app.extensions["past"]',
          "        g.session = factory()",
          "",
        ].join("\n"),
      },
      {
        file: "apps/flask_app/blog/db.py",
        from: "from flask import",
        to: "import os\n\nfrom flask import",
      },
    ],
    (services, root) => writeFileSync(join(root, "port"), String(services.postgres.port)),
  );
  deepEqual(unequalWork.map(({ arm }) => arm), ["Flask pooled"]);
  match(unequalWork[0]!.what.join(), /^PgBouncer saw [\d.]+ queries per request and PostgreSQL/);
  const share = Number(/(\d+)% went past PgBouncer/.exec(unequalWork[0]!.what.join())![1]);
  ok(share > 30 && share < 70, `${share}%`);
});
