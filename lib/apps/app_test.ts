// test lane: checkout
import { deepEqual, equal, throws } from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../errors.ts";
import { createScenario } from "../scenario.ts";
import { APP_KEYS, appDefaults, checkAppSettings, parseApp, readApp, recordApp } from "./app.ts";
import { settingsFor } from "../settings.ts";
import { addAppFolder, appFolders, appTitle } from "./folders.ts";

const FLASK = readApp("flask");
const good = JSON.parse(readFileSync(join(FLASK.folder, "app.json"), "utf8"));

function parse(value: unknown) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return parseApp(text, "apps/flask_app/app.json", FLASK);
}

Deno.test("parseApp() names the file and the key that is wrong", () => {
  const { port: _, ...withoutPort } = good.settings;
  equal(parse({ ...good, settings: withoutPort }).settings.port.env, "PORT");
  const { threads: __, ...withoutThreads } = good.settings;
  const route = { path: "/x", parameters: { id: { min: 1, max: 2 } } };
  const cases: [unknown, string][] = [
    ["{", "it is not JSON"],
    ["null", "expected object, received null"],
    [{ ...good, titel: "x" }, 'unknown key "titel" (did you mean "title"?)'],
    [{ ...good, command: "python" }, '"command": expected array, received string'],
    [{ ...good, healthPath: "healthz" }, '"healthPath": must begin with /'],
    [{ ...good, reuse: ["sometimes"] }, '"reuse.0": expected one of'],
    [{ ...good, settings: { ...good.settings, port: {} } }, '"settings.port.env": expected string'],
    [{ ...good, settings: withoutThreads }, '"settings.threads.default": is missing: how many'],
    [{ ...good, lock: undefined }, '"lock": is missing: the file with the versions'],
    [{ ...good, advice: { app_pol: "x" } }, 'unknown key "advice.app_pol"'],
    [{ ...good, advice: { workers: "{theads}" } }, '"advice.workers": may have settings in braces'],
    [{ ...good, logs: [{ pattern: "(", cause: "x" }] }, '"logs.0.pattern": must be a regular'],
    [
      { ...good, databaseUrl: { env: "URL", template: "pg://{pass}@x" } },
      '"databaseUrl.template": may have {user}, {password}',
    ],
    [{ ...good, routes: [route] }, '"routes.0.parameters.id": the path has no {id}'],
    [{ ...good, routes: [{ path: "/x/{id}" }] }, '"routes.0.parameters.id": is missing'],
  ];
  for (const [value, message] of cases) {
    throws(
      () => parse(value),
      (error: Error) => {
        equal(error instanceof UsageError, true);
        equal(error.message.includes("\n"), false);
        const start = `Cannot read apps/flask_app/app.json: ${message}`;
        equal(error.message.slice(0, start.length), start);
        return true;
      },
    );
  }
});

Deno.test("an app's settings decide its defaults, and what a scenario may ask of it", () => {
  const app = {
    ...FLASK,
    title: "Shop",
    reuse: ["app_pool" as const],
    concurrency: "event_loop" as const,
    settings: {
      ...FLASK.settings,
      threads: undefined,
      workers: undefined,
      poolSize: { default: 10 },
    },
  };
  const defaults = appDefaults(app);
  deepEqual([defaults.workers, defaults.threads, defaults.poolSize], [1, 1, 10]);
  const check = (values: object) =>
    checkAppSettings(app, { ...defaults, listenBacklog: 4096, ...values });
  check({});
  check({ appDelayMs: 5 });
  throws(
    () => check({ threads: 4 }),
    /threads is 4 for Shop, whose workers run an event loop; leave/,
  );
  throws(
    () => check({ reuse: "persistent" }),
    /reuse is "persistent" for Shop, which supports app_pool$/,
  );
  throws(
    () => check({ poolSize: 20 }),
    /poolSize is 20 for Shop, whose app\.json has no variable for it; leave it at 10$/,
  );
});

Deno.test("an app may lie anywhere, and has its folder's name", () => {
  const parent = Deno.makeTempDirSync();
  const folder = join(parent, "corner_shop_app");
  throws(() => addAppFolder(folder), /Cannot use app ".*": there is no app\.json in that folder$/);
  mkdirSync(folder);
  const text = { ...good, title: "Corner Shop", routes: [{ path: "/items" }] };
  writeFileSync(join(folder, "app.json"), JSON.stringify(text));
  equal(addAppFolder(folder), "corner_shop");
  equal(addAppFolder(join(folder, "app.json")), "corner_shop");
  equal(appTitle("corner_shop"), "Corner Shop");
  equal(readApp("corner_shop").folder, folder);
  equal(readApp("corner_shop").contract.routes[0]!.name, "GET /items");
  equal(appFolders().filter(({ name }) => name === "corner_shop").length, 1);
  const clash = join(parent, "flask");
  mkdirSync(clash);
  writeFileSync(join(clash, "app.json"), JSON.stringify(text));
  throws(() => addAppFolder(clash), /apps\/flask_app has its name; rename the folder$/);
  throws(() => readApp("flsk"), /Cannot use app "flsk": the apps are django, /);
});

Deno.test("an app whose folder is gone is what its study has recorded of it", () => {
  const description = { ...good, title: "Ghost", routes: [{ path: "/boo" }] };
  equal(addAppFolder("/nowhere/ghost_app", description), "ghost");
  equal(appTitle("ghost"), "Ghost");
  const ghost = readApp("ghost");
  deepEqual([ghost.title, ghost.contract.routes[0]!.path], ["Ghost", "/boo"]);
  equal(recordApp("ghost")!.description.title, "Ghost");
  equal(recordApp("flask"), null);
});

Deno.test("an app may be told every setting that the table of settings gives to apps, and no other", () => {
  const scenario = createScenario({ framework: "flask", path: "direct", users: 1 });
  deepEqual(Object.keys(settingsFor(scenario, "app")).sort(), [...APP_KEYS].sort());
});
