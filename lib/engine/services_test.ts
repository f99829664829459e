import { deepEqual, equal, match, throws } from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../errors.ts";
import { createScenario, FRAMEWORKS } from "../scenario.ts";
import { ROOT } from "../store/layout.ts";
import {
  APP_SETTINGS,
  appFolder,
  appOptions,
  appPlacement,
  fillTemplate,
  parseApp,
  pgbouncerValues,
  postgresSettings,
  readApp,
} from "./services.ts";

const placement = {
  ...{ host: "127.0.0.1", port: 8000, nonce: "n", databaseHost: "127.0.0.1", databasePort: 5432 },
  ...{ databaseName: "app", databaseUser: "app", databaseCa: "" },
};

Deno.test("readApp() accepts every app, whose defaults are those of the scenarios", () => {
  for (const framework of FRAMEWORKS) {
    const app = readApp(framework);
    const scenario = createScenario({ framework, path: "direct", users: 1 });
    for (const setting of APP_SETTINGS) {
      if (setting === "databaseTls") equal(app.settings.databaseTls.default, "disable");
      if (setting in scenario && app.settings[setting] !== undefined) {
        equal(app.settings[setting]!.default, scenario[setting as keyof typeof scenario], setting);
      }
    }
    equal(existsSync(join(appFolder(framework), "requirements.txt")), true);
  }
});

Deno.test("appOptions() is equal on both paths, and an app's places differ in host and port only", () => {
  for (const framework of FRAMEWORKS) {
    const app = readApp(framework);
    const [direct, pooled] = (["direct", "pooled"] as const).map((path) =>
      appOptions(app, createScenario({ framework, path, users: 1 }))
    );
    deepEqual(direct, pooled);
    equal(direct![app.settings.reuse.env], framework === "django" ? "persistent" : "app_pool");
    const here = appPlacement(app, placement);
    const there = appPlacement(app, { ...placement, databasePort: 6432 });
    const changed = Object.keys(here).filter((name) => here[name] !== there[name]);
    deepEqual(changed, [app.settings.databasePort.env]);
  }
});

Deno.test("parseApp() names the file and the field that is wrong", () => {
  const file = "apps/flask_app/app.json";
  const good = JSON.parse(readFileSync(join(ROOT, file), "utf8"));
  const cases: [unknown, RegExp][] = [
    ["{", /not JSON/],
    [null, /not an object/],
    [{ ...good, name: "django" }, /"name" is "django", must be "flask"/],
    [{ ...good, command: "python" }, /"command" must be a list/],
    [{ ...good, healthPath: "healthz" }, /"healthPath"/],
    [{ ...good, reuse: ["sometimes"] }, /"reuse" must be a list of per_request/],
    [{ ...good, settings: { ...good.settings, port: {} } }, /"settings\.port\.env"/],
  ];
  for (const [value, message] of cases) {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    throws(() => parseApp(text, file, "flask"), (error: Error) => {
      equal(error instanceof UsageError, true);
      match(error.message, message);
      return error.message.startsWith(`Cannot read ${file}: `);
    });
  }
});

Deno.test("appOptions() refuses a way of keeping connections that the app does not have", () => {
  const scenario = createScenario({ framework: "django", path: "direct", users: 1 });
  const app = { ...readApp("django"), reuse: ["per_request" as const] };
  throws(
    () => appOptions(app, scenario),
    /django with reuse "persistent": it supports per_request/,
  );
});

Deno.test("pgbouncer.ini has exactly the scenario's settings", () => {
  const scenario = createScenario({ framework: "flask", path: "pooled", users: 1 });
  const ini = fillTemplate(
    readFileSync(join(ROOT, "pgbouncer", "pgbouncer.ini"), "utf8"),
    pgbouncerValues(scenario, {
      ...{ host: "127.0.0.1", port: 6432, databaseHost: "127.0.0.1", databasePort: 5432 },
      ...{ databaseName: "app", userlist: "/x/userlist.txt" },
      ...{ tlsKey: "", tlsCertificate: "", tlsCa: "" },
    }),
    "pgbouncer.ini",
  );
  for (
    const line of [
      ...["pool_mode = transaction", "max_client_conn = 10000", "default_pool_size = 20"],
      ...["query_wait_timeout = 15", "ignore_startup_parameters = extra_float_digits"],
      ...["listen_backlog = 4096", "max_prepared_statements = 200", "auth_type = scram-sha-256"],
      ...["client_tls_sslmode = disable", "server_tls_sslmode = disable"],
      "app = host=127.0.0.1 port=5432 dbname=app",
    ]
  ) {
    equal(ini.split("\n").includes(line), true, line);
  }
});

Deno.test("fillTemplate() refuses a name without a value", () => {
  throws(
    () => fillTemplate("${A} ${B}", { A: "1" }, "x.ini"),
    /x\.ini: there is no value for \${B}/,
  );
});

Deno.test("postgresSettings() takes max_connections and scram_iterations from the scenario", () => {
  const scenario = createScenario({ framework: "flask", path: "direct", users: 1 });
  const settings = postgresSettings({ ...scenario, maxConnections: 40, scramIterations: 4096 });
  deepEqual([settings.max_connections, settings.scram_iterations], ["40", "4096"]);
  equal(settings.timezone, "UTC");
});
