// test lane: docker
import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LocalEngine } from "./engine/local.ts";
import { loadPolars } from "./frames/polars.ts";
import { readRequests } from "./frames/run_files.ts";
import { waitUntil } from "./hosts/wait.ts";
import { describeLoop } from "./figures/options.ts";
import { changePlan, namedPlan, type Plan } from "./plan.ts";
import { checkOwnUsers } from "./scenario.ts";
import { setUp } from "./setup/mod.ts";
import { environmentPaths } from "./setup/python.ts";
import { ROOT, runFolder } from "./store/layout.ts";
import { waterfalls } from "./stats/waterfall.ts";
import { runPlan } from "./testing/run_plan.ts";

/** Without it, the shop takes no orders. */
const TOKEN = "open-sesame-4711";

const DESCRIPTION = {
  title: "Shop",
  stack: "http.server and psycopg 3",
  runtime: "command",
  concurrency: "threads",
  command: [environmentPaths().python, "server.py"],
  version: ["sh", "-c", "echo 1.2"],
  healthPath: "/healthz",
  reuse: ["persistent"],
  settings: { threads: { default: 16 } },
  routes: [
    {
      path: "/items/{sku}",
      weight: 3,
      parameters: {
        sku: { query: "SELECT sku FROM items" },
        page: { in: "query", values: ["a b", 2] },
      },
      json: { stock: { type: "integer" } },
    },
    {
      method: "POST",
      path: "/orders",
      parameters: { sku: { in: "body", file: "skus.txt" } },
      headers: { Authorization: "Bearer ${SHOP_TOKEN}" },
      body: {},
      status: 201,
      json: { id: { type: "integer" } },
    },
  ],
  schema: "schema.sql",
  seed: "seed.sql",
};

Deno.env.set("SHOP_TOKEN", TOKEN);

/** A folder outside the checkout with the shop in it. */
function makeShop(name: string, change: Record<string, unknown> = {}): string {
  const folder = join(Deno.makeTempDirSync(), name);
  cpSync(join(ROOT, "lib", "testing", "own_app"), folder, { recursive: true });
  writeFileSync(join(folder, "skus.txt"), "sku-01\nsku-02\n");
  writeFileSync(join(folder, "app.json"), JSON.stringify({ ...DESCRIPTION, ...change }));
  return folder;
}

/** Runs a plan's scenarios once each on the local engine. */
async function run(plan: Plan) {
  await using engine = new LocalEngine(await setUp());
  return await runPlan(plan, engine, join(Deno.makeTempDirSync(), "study"), { readyTimeoutS: 10 });
}

Deno.test("an app of the reader's own joins with one folder, on both paths", async () => {
  const { openLoop: _, ...smoke } = namedPlan("smoke");
  const plan = changePlan(smoke, { apps: [makeShop("own_shop")] });
  const [manifests, study] = await run(plan);
  equal(manifests.length, 2);
  for (const { cause, verification, versions, work, files, scenario } of manifests) {
    equal(cause, null);
    const pooled = scenario.path === "pooled";
    equal(verification!.nonceMatched, null);
    equal(verification!.contractRequests, 2);
    equal(verification!.throughPgbouncer, pooled);
    equal(verification!.pgbouncerQueries !== null, pooled);
    equal(versions.sh, "1.2");
    deepEqual(work, {});
    ok(!Object.keys(files).some((name) => name.startsWith(".")));
  }
  // The waterfall has the parts that can be known without the app's own.
  const stages = waterfalls(study).map(({ parts }) => parts.map(({ stage }) => stage).sort());
  deepEqual(stages[0], ["execution", "rest"]);
  ok(stages[1]!.includes("pgbouncer_server"));
  // Orders need a login, which is in no file.
  const files = readdirSync(study.folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  ok(files.length > 20);
  deepEqual(files.filter((file) => readFileSync(file, "latin1").includes(TOKEN)), []);
  // Both paths did the same work, and orders were written.
  deepEqual(study.runs.filter(({ cause }) => /other work/.test(cause ?? "")), []);
  equal(study.plan.apps!.own_shop!.description.title, "Shop");
});

Deno.test("an app whose answers are not its routes', or that is not there, fails with the cause", async () => {
  const { openLoop: _, ...smoke } = namedPlan("smoke");
  const direct = (folder: string) => changePlan(smoke, { apps: [folder], paths: ["direct"] });
  const wrongRoute = { path: "/items/nothing", json: { stock: 1 } };
  const [[wrong]] = await run(direct(makeShop("wrong_shop", { routes: [wrongRoute] })));
  match(
    wrong!.cause!,
    /^Shop direct: the app broke its routes: GET \/items\/nothing gave status 404 instead of 2xx/,
  );
  // It never touches the database of the run.
  const idle = { path: "/healthz" };
  const [[unused]] = await run(direct(makeShop("idle_shop", { routes: [idle] })));
  match(
    unused!.cause!,
    /does not work on this run's database: its routes gave PostgreSQL no statem/,
  );
  // Nothing listens; and then a program that is none of the group that was started.
  const [[silent]] = await run(direct(makeShop("silent_shop", { command: ["sleep", "60"] })));
  match(
    silent!.cause!,
    /^Shop direct: nothing answered on port \d+ within 10 s; the app's log is em/,
  );
  const place = join(Deno.makeTempDirSync(), "port");
  const tell = ["sh", "-c", 'echo "$PORT" >"$0.tmp" && mv "$0.tmp" "$0" && exec sleep 60', place];
  const taken = waitUntil(() => existsSync(place) || null, { what: "the app", timeoutS: 60 });
  const stranger = taken.then(() => {
    const port = Number(readFileSync(place, "utf8"));
    const answer = () => new Response("{}");
    return Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, answer);
  });
  const [[strange]] = await run(direct(makeShop("stray_shop", { command: tell })));
  await (await stranger).shutdown();
  match(strange!.cause!, /^Shop direct: another program answers on the app's port \d+/);
});

const LOCUSTFILE = `
import os
from locust import FastHttpUser, HttpUser, between, task


class Browser(HttpUser):
    weight = 3
    wait_time = between(0.01, 0.03)

    @task
    def browse(self):
        self.client.get("/items/sku-01", name="/items/{sku}")

    @task
    def miss(self):
        with self.client.get("/items/none", name="/nothing", catch_response=True) as response:
            if response.status_code == 404:
                response.success()


class Buyer(FastHttpUser):
    wait_time = between(0.01, 0.03)

    @task
    def order(self):
        login = {"Authorization": "Bearer " + os.environ["SHOP_TOKEN"]}
        self.client.post("/orders", json={"sku": "sku-02"}, headers=login, name="/orders")

    @task
    def wrong(self):
        self.client.get("/items/none", name="/wrong")
`;

/** A shop whose load is its own locustfile's. */
function makeShopWith(locustfile: string, name: string): string {
  const folder = makeShop(name, { locustfile: "locustfile.py" });
  writeFileSync(join(folder, "locustfile.py"), locustfile);
  return folder;
}

Deno.test("an app's own locustfile is the load, each request of it recorded", async () => {
  await loadPolars();
  const smoke = namedPlan("smoke");
  const plan = changePlan(smoke, { apps: [makeShopWith(LOCUSTFILE, "busy_shop")], users: [8] });
  equal(plan.openLoop, undefined);
  const [manifests, study] = await run(plan);
  // How long its users think is not known; none waited for the whole window.
  deepEqual(study.runs.map(({ conditions }) => conditions.littlesLaw!.ratio), [1, 1]);
  match(describeLoop(study.scenarios), /^closed loop, paced by its own locustfile$/);
  for (const { cause, scenarioId, round, work, files } of manifests) {
    match(cause!, /^Shop \w+: \d+ of \d+ requests failed with "HTTP 404"$/);
    deepEqual(work, {});
    const folder = runFolder(study.folder, scenarioId, round);
    deepEqual(readdirSync(folder).filter((name) => name !== "logs" && !(name in files)), [
      "manifest.json",
    ]);
    const rows = (await readRequests(folder)).toRecords();
    const statuses = new Map<string, Set<number>>();
    for (const { route, status, error } of rows) {
      if (error === "unfinished") continue;
      const own = String(route);
      statuses.set(own, (statuses.get(own) ?? new Set()).add(Number(status)));
    }
    deepEqual([...statuses].map(([route, seen]) => `${route}: ${[...seen]}`).sort(), [
      "GET /items/{sku}: 200",
      "GET /nothing: 404",
      "GET /wrong: 404",
      "POST /orders: 201",
    ]);
    // By weight there are six browsers and two buyers, who do one of two things in turn.
    const items = rows.filter(({ route }) => /items|nothing/.test(String(route))).length /
      rows.length;
    ok(items > 0.6 && items < 0.9, `${items}`);
  }
});

Deno.test("a request of an own locustfile that has no answer when the window ends is recorded", async () => {
  await loadPolars();
  const late = LOCUSTFILE.replace('get("/items/sku-01"', 'get("/slow"').replace(
    /@task\n {4}def (miss|wrong)/g,
    "def $1",
  );
  const folder = makeShopWith(late, "slow_shop");
  const { openLoop: _, ...smoke } = namedPlan("smoke");
  const [[manifest], study] = await run(
    changePlan(smoke, { apps: [folder], paths: ["direct"], users: [4] }),
  );
  const rows = (await readRequests(runFolder(study.folder, manifest!.scenarioId, 1))).toRecords();
  const { littlesLaw } = study.runs[0]!.conditions;
  deepEqual([littlesLaw!.users, littlesLaw!.holds], [1, false]);
  // The buyer's last request may be one of them.
  const unfinished = rows.filter(({ error, route }) =>
    error === "unfinished" && route !== "POST /orders"
  );
  deepEqual(unfinished.map(({ route }) => route), Array(3).fill("GET /items/{sku}"));
});

Deno.test("an own locustfile that cannot be used is one line, and decides when its users send", async () => {
  const { openLoop: _, ...smoke } = namedPlan("smoke");
  const direct = (folder: string) => changePlan(smoke, { apps: [folder], paths: ["direct"] });
  const cases: [string, RegExp][] = [
    ["import locust", /exit code 1: Cannot use the app's locustfile: it has no user class/],
    ["import carts", /exit code 1: ModuleNotFoundError: No module named 'carts'$/],
    [
      `${LOCUSTFILE}\nfrom locust import LoadTestShape\n\nclass Waves(LoadTestShape):\n    pass\n`,
      /exit code 1: Cannot use the app's locustfile: it has the shape Waves/,
    ],
    [
      `${LOCUSTFILE.replace('/items/none", name="/wrong', '/items/sku-01", name="/wrong')}
import gevent
from locust import events


@events.test_start.add_listener
def leave(environment, **_):
    gevent.spawn_later(2, environment.runner.quit)
`,
      /^Shop direct: the load ended by itself after [12]\.\d of 4 s; let no locustfile quit$/,
    ],
  ];
  for (const [i, [text, cause]] of cases.entries()) {
    const [[manifest]] = await run(direct(makeShopWith(text, `odd_shop_${i}`)));
    match(manifest!.cause!, cause);
  }
  const folder = makeShopWith(LOCUSTFILE, "own_pace");
  for (const change of [{ arrivalRates: [5] }, { settings: { thinkTimeMaxS: 1 } }]) {
    const [scenario] = changePlan(smoke, { apps: [folder], ...change }).scenarios;
    throws(
      () => checkOwnUsers(scenario!),
      /^UsageError: Cannot run Shop direct: \w+ is \d, but the users of Shop's locustfile\.py decide/,
    );
  }
});
