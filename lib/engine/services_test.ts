// test lane: checkout
import { deepEqual, equal, match, throws } from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { APP_KEYS, readApp } from "../apps/app.ts";
import { UsageError } from "../errors.ts";
import { FRAMEWORKS } from "../plan.ts";
import { createScenario, type Scenario } from "../scenario.ts";
import { ROOT } from "../store/layout.ts";
import { appOptions, appPlacement } from "./app_environment.ts";
import { composeFiles } from "./compose_files.ts";
import { CONTAINER_TIMINGS, containersOf, createBody } from "./containers.ts";
import { fillTemplate, pgbouncerValues, postgresSettings } from "./services.ts";

const placement = {
  host: "127.0.0.1",
  port: 8000,
  nonce: "n",
  databaseHost: "127.0.0.1",
  databasePort: 5432,
  databaseName: "app",
  databaseUser: "app",
  databasePassword: "secret",
  databaseCa: "",
  timings: "/tmp/timings",
};

Deno.test("readApp() accepts every app, whose defaults are those of the scenarios", () => {
  for (const framework of FRAMEWORKS) {
    const app = readApp(framework);
    const scenario = createScenario({ framework, path: "direct", users: 1 });
    for (const setting of APP_KEYS) {
      if (app.settings[setting] === undefined) continue;
      equal(app.settings[setting].default, scenario[setting], setting);
    }
    equal(existsSync(join(app.folder, "requirements.txt")), true);
  }
});

Deno.test("appOptions() is equal on both paths, and an app's places differ in host and port only", () => {
  for (const framework of FRAMEWORKS) {
    const app = readApp(framework);
    const [direct, pooled] = (["direct", "pooled"] as const).map((path) =>
      appOptions(app, createScenario({ framework, path, users: 1 }))
    );
    deepEqual(direct, pooled);
    equal(direct![app.settings.reuse!.env!], framework === "django" ? "persistent" : "app_pool");
    const here = appPlacement(app, placement);
    const there = appPlacement(app, { ...placement, databasePort: 6432 });
    const changed = Object.keys(here).filter((name) => here[name] !== there[name]);
    deepEqual(changed, ["PGPORT"]);
    equal(Object.values(there).some((value) => value.includes("secret")), false);
  }
});

Deno.test("a copy is told to no service, and a delay to the app alone", () => {
  const scenario = createScenario({ framework: "flask", path: "pooled", users: 1 });
  const app = readApp("flask");
  const containers = (one: Scenario) => containersOf(app, one, { nonce: "n", password: "p" });
  const told = (one: Scenario) => [appOptions(app, one), containers(one), postgresSettings(one)];
  deepEqual(told({ ...scenario, replica: 1 }), told(scenario));
  const delayed = { ...scenario, appDelayMs: 2.5 };
  deepEqual(appOptions(app, delayed), { ...appOptions(app, scenario), APP_DELAY_MS: "2.5" });
  const { app: before, ...others } = containers(scenario);
  const environment = { ...before.environment, APP_DELAY_MS: "2.5" };
  deepEqual(containers(delayed), { ...others, app: { ...before, environment } });
  deepEqual(postgresSettings(delayed), postgresSettings(scenario));
});

Deno.test("appPlacement() fills the template of an app that wants a URL, password and all", () => {
  const databaseUrl = {
    env: "DATABASE_URL",
    template: "postgresql://{user}:{password}@{host}:{port}/{database}?sslmode={sslmode}",
  };
  const app = { ...readApp("flask"), databaseUrl };
  equal(
    appPlacement(app, placement).DATABASE_URL,
    "postgresql://app:secret@127.0.0.1:5432/app?sslmode=disable",
  );
  const encrypted = appPlacement(app, { ...placement, databaseCa: "/tls/ca.crt" });
  match(encrypted.DATABASE_URL!, /sslmode=verify-full$/);
  const odd = appPlacement(app, { ...placement, databasePassword: "p@s/s:1" });
  match(odd.DATABASE_URL!, /:\/\/app:p%40s%2Fs%3A1@127/);
});

Deno.test("appOptions() refuses prepared statements that PgBouncer would not follow", () => {
  const base = { framework: "flask", path: "pooled", users: 1, maxPreparedStatements: 0 } as const;
  const options = (values: Partial<Scenario>) =>
    appOptions(readApp("flask"), createScenario({ ...base, ...values }));
  for (const poolMode of ["transaction", "statement"] as const) {
    throws(
      () => options({ poolMode }),
      (error: Error) =>
        error instanceof UsageError &&
        error.message ===
          `Cannot run Flask pooled with maxPreparedStatements 0 in pool_mode ${poolMode}: clients ` +
            "would lose their prepared statements to each other; set maxPreparedStatements=200, " +
            "poolMode=session or preparedStatements=false",
    );
  }
  const works = [
    { poolMode: "session" },
    { preparedStatements: false },
    { maxPreparedStatements: 1 },
    { path: "direct" },
  ] as const;
  for (const values of works) equal(options(values).DB_POOL_SIZE, "32");
});

Deno.test("pgbouncer.ini has exactly the scenario's settings", () => {
  const scenario = createScenario({ framework: "flask", path: "pooled", users: 1 });
  const ini = fillTemplate(
    readFileSync(join(ROOT, "pgbouncer", "pgbouncer.ini"), "utf8"),
    pgbouncerValues(scenario, {
      host: "127.0.0.1",
      port: 6432,
      databaseHost: "127.0.0.1",
      databasePort: 5432,
      databaseName: "app",
      userlist: "/x/userlist.txt",
      tlsKey: "",
      tlsCertificate: "",
      tlsCa: "",
    }),
    "pgbouncer.ini",
  );
  for (
    const line of [
      "pool_mode = transaction",
      "max_client_conn = 10002",
      "default_pool_size = 20",
      "query_wait_timeout = 15",
      "ignore_startup_parameters = extra_float_digits",
      "listen_backlog = 4096",
      "max_prepared_statements = 200",
      "auth_type = scram-sha-256",
      "client_tls_sslmode = disable",
      "server_tls_sslmode = disable",
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

Deno.test("postgresSettings() takes max_connections, with ours on top, and scram_iterations from the scenario", () => {
  const scenario = createScenario({ framework: "flask", path: "direct", users: 1 });
  const settings = postgresSettings({ ...scenario, maxConnections: 40, scramIterations: 4096 });
  deepEqual([settings.max_connections, settings.scram_iterations], ["46", "4096"]);
  equal(settings.timezone, "UTC");
});

/** Far from every default, so that a value that is not passed on is seen. */
const STRANGE: Partial<Scenario> & { users: number } = {
  users: 3,
  workers: 3,
  threads: 5,
  poolSize: 7,
  preparedStatements: false,
  listenBacklog: 333,
  dbCpus: 0.75,
  dbMemoryMiB: 300,
  maxConnections: 44,
  scramIterations: 1000,
  appCpus: 1.5,
  appMemoryMiB: 600,
  pgbouncerCpus: 0.25,
  pgbouncerMemoryMiB: 100,
  poolMode: "session",
  defaultPoolSize: 9,
  maxClientConn: 99,
  queryWaitTimeoutS: 4,
  maxPreparedStatements: 11,
  reuse: "per_request",
  tlsAppDb: true,
  "pgbouncer.reserve_pool_size": "5",
  "pgbouncer.server_lifetime": "60",
};

Deno.test("compose/ is what `deno task compose` writes", () => {
  for (const [name, text] of Object.entries(composeFiles())) {
    equal(readFileSync(join(ROOT, "compose", name), "utf8"), text, name);
  }
});

Deno.test("containersOf() gives each container what the local engine gives its processes", () => {
  for (const framework of FRAMEWORKS) {
    for (const path of ["direct", "pooled"] as const) {
      const scenario = createScenario({
        ...STRANGE,
        framework,
        path,
        threads: framework === "fastapi" ? 1 : 5,
      });
      const app = readApp(framework);
      const containers = containersOf(app, scenario, { nonce: "n", password: "secret" });
      deepEqual(containers.app.environment, {
        ...appOptions(app, scenario),
        ...appPlacement(app, {
          host: "0.0.0.0",
          port: 8000,
          nonce: "n",
          databaseName: "app",
          databaseUser: "app",
          databasePassword: "secret",
          databaseHost: path === "pooled" ? "pgbouncer" : "postgres",
          databasePort: path === "pooled" ? 6432 : 5432,
          databaseCa: "/run/poolscope-tls/ca.crt",
          timings: CONTAINER_TIMINGS,
        }),
      });
      const settings = containers.postgres.command!.slice(1).filter((word) => word !== "-c");
      deepEqual(
        Object.fromEntries(settings.map((setting) => setting.split("="))),
        postgresSettings(scenario),
      );

      const { USERLIST: _, ...values } = pgbouncerValues(scenario, {
        host: "0.0.0.0",
        port: 6432,
        databaseHost: "postgres",
        databasePort: 5432,
        databaseName: "app",
        userlist: "",
        tlsKey: "/run/poolscope-tls/server.key",
        tlsCa: "/run/poolscope-tls/ca.crt",
        tlsCertificate: "/run/poolscope-tls/server.crt",
      });
      const { APP_USER, ...given } = containers.pgbouncer.environment;
      deepEqual([given, APP_USER], [values, "app"]);
      // Every listener may have the queue that it asks for.
      for (const spec of Object.values(containers)) {
        const { HostConfig } = createBody(spec, "sha256:1", "2-3", false);
        const asked = [HostConfig.Sysctls, HostConfig.CpusetCpus, HostConfig.PortBindings];
        deepEqual(asked, [{ "net.core.somaxconn": "333" }, "2-3", {}]);
      }
    }
  }
});

Deno.test("containersOf() sends a leg that takes time through the network's container", () => {
  const hosts = (settings: Partial<Scenario> & Pick<Scenario, "path">) => {
    const scenario = createScenario({ framework: "flask", users: 1, rttAppDbMs: 2, ...settings });
    const { app, pgbouncer } = containersOf(readApp("flask"), scenario, {
      nonce: "",
      password: "",
    });
    const { PGHOST, PGPORT } = app.environment;
    const { DB_HOST, DB_PORT } = pgbouncer.environment;
    return [PGHOST, PGPORT, DB_HOST, DB_PORT].join(" ");
  };
  equal(hosts({ path: "direct" }).startsWith("network 7001 "), true);
  equal(hosts({ path: "pooled" }), "network 7002 postgres 5432");
  const beside = { rttAppPgbouncerMs: 0, rttPgbouncerDbMs: 2 };
  equal(hosts({ path: "pooled", ...beside }), "pgbouncer 6432 network 7003");
});
