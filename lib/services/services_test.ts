// test lane: checkout
import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { APP_KEYS, readApp } from "../apps/app.ts";
import { UsageError } from "../errors.ts";
import { createBody } from "../hosts/docker/instance.ts";
import type { Host, Instance, InstanceOptions, StartOptions } from "../hosts/host.ts";
import { FRAMEWORKS } from "../plan.ts";
import { createScenario, legsOf, type Scenario } from "../scenario.ts";
import { ROOT } from "../store/layout.ts";
import { appOptions, appPlacement, placeApp, startApp } from "./app.ts";
import { composeFiles } from "./compose_files.ts";
import { entryOf, placeNetwork } from "./network.ts";
import { fillTemplate, pgbouncerValues, placePgbouncer, startPgbouncer } from "./pgbouncer.ts";
import { postgresSettings, scramSecret } from "./postgres.ts";

const placement = {
  host: "127.0.0.1",
  port: 8000,
  nonce: "n",
  databaseHost: "127.0.0.1",
  databasePort: 5432,
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
  const values = (one: Scenario) =>
    pgbouncerValues(one, { ...placement, userlist: "", tlsKey: "", tlsCertificate: "", tlsCa: "" });
  const told = (one: Scenario) => [appOptions(app, one), values(one), postgresSettings(one)];
  deepEqual(told({ ...scenario, replica: 1 }), told(scenario));
  const delayed = { ...scenario, appDelayMs: 2.5 };
  deepEqual(appOptions(app, delayed), { ...appOptions(app, scenario), APP_DELAY_MS: "2.5" });
  deepEqual(values(delayed), values(scenario));
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
  deepEqual([settings.max_connections, settings.scram_iterations], ["44", "4096"]);
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

/** A host that starts nothing, and keeps what its instances were to be started with. */
function recordingHost() {
  const started: Record<string, StartOptions> = {};
  const place = ({ service, alias = service }: InstanceOptions) =>
    ({
      name: service,
      path: (name: string) => `/run/${service}/${name}`,
      binds: (port: number) => ({ host: "0.0.0.0", port }),
      reachedAt: (port: number) => ({ host: alias, port }),
      address: (port: number) => Promise.resolve({ host: "127.0.0.1", port }),
      start(options: StartOptions) {
        started[service] = options;
        return Promise.resolve();
      },
    }) as Partial<Instance> as Instance;
  return { started, host: { place } as Partial<Host> as Host };
}

const PLACE = { program: { command: [] }, logFile: "" };
const CERTIFICATES = { ca: "CA", certificate: "CERTIFICATE", key: "KEY" };

Deno.test("startApp() and startPgbouncer() pass all settings on, and files that only their user reads", async () => {
  for (const framework of FRAMEWORKS) {
    const threads = framework === "fastapi" ? 1 : 5;
    const scenario = createScenario({ ...STRANGE, framework, path: "pooled", threads });
    const app = readApp(framework);
    const { host, started } = recordingHost();
    const options = await startApp(placeApp(host, app, PLACE), app, scenario, {
      nonce: "n",
      database: { host: "pgbouncer", port: 6432 },
      password: "secret",
      certificates: CERTIFICATES,
      cores: "2-3",
    });
    deepEqual(options, appOptions(app, scenario));
    deepEqual(started.app!.env, {
      PYTHONUNBUFFERED: "1",
      PGPASSFILE: "/run/app/pgpass",
      ...options,
      ...appPlacement(app, {
        ...placement,
        host: "0.0.0.0",
        databaseHost: "pgbouncer",
        databasePort: 6432,
        timings: "/run/app/timings",
        // Only the leg from PgBouncer to PostgreSQL is encrypted, if any.
        databaseCa: scenario.tlsAppPgbouncer ? "/run/app/ca.crt" : "",
      }),
    });
    const pgpass = started.app!.files!.find(({ name }) => name === "pgpass")!;
    deepEqual([pgpass.content, pgpass.mode], ["*:*:app:app:secret\n", undefined]);
    ok(!started.app!.files!.some(({ content }) => content === "KEY"));

    const access = await startPgbouncer(placePgbouncer(host, PLACE), scenario, {
      templates: join(ROOT, "pgbouncer"),
      database: { host: "postgres", port: 5432 },
      appSecret: "SCRAM-SHA-256$x",
      certificates: null,
      cores: "1",
    });
    const file = (name: string) =>
      started.pgbouncer!.files!.find((one) => one.name === name)!.content!;
    for (
      const line of [
        "pool_mode = session",
        "default_pool_size = 9",
        "max_client_conn = 101",
        "query_wait_timeout = 4",
        "max_prepared_statements = 11",
        "reserve_pool_size = 5",
        "server_lifetime = 60",
        "listen_backlog = 333",
        "app = host=postgres port=5432 dbname=app",
        "auth_file = /run/pgbouncer/userlist.txt",
      ]
    ) ok(file("pgbouncer.ini").split("\n").includes(line), line);
    equal(file("userlist.txt").includes(`"app" "SCRAM-SHA-256$x"`), true);
    equal(file("userlist.txt").includes(`"poolscope" "${access.password}"`), true);
    // Every listener may have the queue that it asks for, on the cores that are its own.
    for (const options of [started.app!, started.pgbouncer!]) {
      const { HostConfig } = createBody(
        { ...PLACE, service: "x", networkId: "net", published: false },
        options,
      );
      deepEqual(HostConfig.Sysctls, { "net.core.somaxconn": "333" });
      ok(["1", "2-3"].includes(HostConfig.CpusetCpus!));
      deepEqual(HostConfig.PortBindings, {});
    }
  }
});

Deno.test("entryOf() sends a leg that takes time through the network", () => {
  const entries = (settings: Partial<Scenario> & Pick<Scenario, "path">) => {
    const scenario = createScenario({ framework: "flask", users: 1, rttAppDbMs: 2, ...settings });
    const network = placeNetwork(recordingHost().host, scenario, PLACE);
    return legsOf(scenario).map((leg) => {
      const { host, port } = entryOf(network, leg, { host: "target", port: 1 });
      return `${host} ${port}`;
    });
  };
  deepEqual(entries({ path: "direct" }), ["network 7001"]);
  deepEqual(entries({ path: "pooled" }), ["network 7002", "target 1"]);
  const beside = { rttAppPgbouncerMs: 0, rttPgbouncerDbMs: 2 };
  deepEqual(entries({ path: "pooled", ...beside }), ["target 1", "network 7003"]);
  deepEqual(entries({ path: "direct", rttAppDbMs: 0 }), ["target 1"]);
});

Deno.test("scramSecret() gives the keys of RFC 7677's example", () => {
  // RFC 7677, section 3: the password "pencil" with its salt and 4096 rounds.
  const secret = scramSecret("pencil", 4096, Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64"));
  equal(
    secret,
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
  );
});
