// test lane: checkout
import { deepEqual, equal, match, notEqual, rejects, throws } from "node:assert/strict";
import { checkServerSettings, refusalIn, type ServerPrograms } from "./services/server_checks.ts";
import { UsageError } from "./errors.ts";
import { changePlan, namedPlan, parsePlan, planHash } from "./plan.ts";
import {
  armLabels,
  createScenario,
  parseSetting,
  scenarioId,
  type ScenarioValues,
} from "./scenario.ts";
import { differingSettings } from "./stats/summarise.ts";

const base = { framework: "flask", path: "pooled", users: 10 } as const;
const OWN = { "pgbouncer.reserve_pool_size": 5, "postgres.work_mem": "8MB" };

/** A check for `throws()` and `rejects()`: one line for people. */
function oneLine(message: RegExp) {
  return (error: Error) => {
    equal(error instanceof UsageError, true, `${error}`);
    match(error.message, message);
    equal(error.message.includes("\n"), false);
    return true;
  };
}

Deno.test("createScenario() takes any setting of the servers, and its id goes by what acts", () => {
  const scenario = createScenario({ ...base, ...OWN });
  equal(scenario["pgbouncer.reserve_pool_size"], "5");
  equal(scenario["postgres.work_mem"], "8MB");
  const id = scenarioId(scenario);
  notEqual(id, scenarioId(createScenario(base)));
  // Neither order nor kind of value makes another cell.
  const other = { "postgres.work_mem": "8MB", "pgbouncer.reserve_pool_size": "5" };
  equal(scenarioId(createScenario({ ...other, ...base })), id);
  const direct = createScenario({ ...base, path: "direct" });
  const idle = { "pgbouncer.reserve_pool_size": 5 };
  equal(scenarioId(createScenario({ ...direct, ...idle })), scenarioId(direct));
  notEqual(scenarioId(createScenario({ ...direct, ...OWN })), scenarioId(direct));
});

Deno.test("settings of the servers are in labels, differences and plan hashes", () => {
  const plain = createScenario(base);
  const changed = createScenario({ ...base, ...OWN });
  deepEqual(differingSettings(plain, changed), Object.keys(OWN));
  const direct = createScenario({ ...base, path: "direct", "postgres.work_mem": "8MB" });
  deepEqual(differingSettings(direct, changed), []);
  deepEqual([...armLabels([plain, changed]).values()], [
    "Flask pooled, pgbouncer.reserve_pool_size=default, postgres.work_mem=default",
    "Flask pooled, pgbouncer.reserve_pool_size=5, postgres.work_mem=8MB",
  ]);
  const smoke = namedPlan("smoke");
  const set = changePlan(smoke, { settings: OWN });
  notEqual(planHash(set), planHash(smoke));
  equal(set.scenarios.every((one) => one["postgres.work_mem"] === "8MB"), true);
  deepEqual(parsePlan(JSON.stringify(set), "again.json"), set);
});

Deno.test("parseSetting() reads the servers' names, with whatever stands behind the first =", () => {
  deepEqual(parseSetting("pgbouncer.reserve_pool_size=5"), { "pgbouncer.reserve_pool_size": "5" });
  deepEqual(parseSetting("postgres.search_path="), { "postgres.search_path": "" });
  deepEqual(parseSetting("pgbouncer.server_check_query=select 1 = 1"), {
    "pgbouncer.server_check_query": "select 1 = 1",
  });
});

Deno.test("what would break the setup is refused with the reason, before anything starts", () => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ "pgbouncer.listen_port": 1 }, /^Cannot set pgbouncer\.listen_port: Poolscope chooses where/],
    [{ "pgbouncer.auth_type": "any" }, /roles and passwords of its own; leave it out$/],
    [{ "pgbouncer.server_tls_sslmode": "disable" }, /use tlsAppPgbouncer and tlsPgbouncerDb/],
    [{ "pgbouncer.logfile": "/x" }, /Poolscope reads its log/],
    [{ "pgbouncer.user": "root" }, /Poolscope starts the process/],
    [
      { "pgbouncer.default_pool_size": 5 },
      /it is Poolscope's defaultPoolSize; set defaultPoolSize/,
    ],
    [{ "pgbouncer.listen_backlog": 5 }, /set listenBacklog instead/],
    [{ "postgres.port": 5432 }, /Poolscope chooses where it listens/],
    [{ "postgres.hba_file": "/x" }, /Poolscope makes the data folder/],
    [{ "postgres.password_encryption": "md5" }, /roles and passwords of its own/],
    [{ "postgres.ssl_key_file": "/x" }, /use tlsAppDb and tlsPgbouncerDb/],
    [{ "postgres.logging_collector": true }, /Poolscope reads its log/],
    [{ "postgres.superuser_reserved_connections": 1 }, /use maxConnections/],
    [{ "postgres.shared_preload_libraries": "x" }, /counts statements and waits by it/],
    [{ "postgres.timezone": "CET" }, /all apps are compared in UTC/],
    [{ "postgres.max_connections": 5 }, /it is Poolscope's maxConnections; set maxConnections/],
    [{ "postgres.Work_Mem": 5 }, /names have only lower-case letters/],
    [{ "postgres.": 5 }, /names have only lower-case letters/],
    [{ "pgbouncer.verbose": "1\nlisten_port = 1" }, /is no value; give a text without line breaks/],
    [{ "postgres.work_mem": null }, /null is no value/],
    [{ "postgres.work_mem": {} }, /\{\} is no value/],
    [{ "mysql.work_mem": 5 }, /unknown setting "mysql\.work_mem".*pgbouncer\.NAME, postgres\.NAME/],
  ];
  for (const [values, message] of cases) {
    throws(() => createScenario({ ...base, ...values } as typeof base), oneLine(message));
  }
  throws(() => parseSetting("postgres.port=1"), oneLine(/^Cannot set postgres\.port: /));
  // Names that merely look like those.
  createScenario({
    ...base,
    "postgres.ssl_ciphers": "HIGH",
    "pgbouncer.server_tls_ciphers": "fast",
  });
});

/** Programs that know one setting each, and say of others what the real ones say. */
function programs(asked: unknown[] = []): ServerPrograms {
  return {
    versions: { postgres: "16.14", pgbouncer: "1.24.1" },
    postgres(args) {
      asked.push(args.at(-1));
      const at = "2026-11-29 18:39:29.650 GMT [7] ";
      const [name, value] = args.at(-1)!.split("=");
      const output = name !== "work_mem"
        ? `${at}FATAL:  unrecognized configuration parameter "${name}"\n`
        : value === "8MB"
        ? "100\n"
        : `${at}FATAL:  invalid value for parameter "work_mem": "${value}"\n${at}HINT:  Valid units are B.\n`;
      return Promise.resolve({ ok: value === "8MB" && name === "work_mem", output });
    },
    postgresNames: () => Promise.resolve(["port", "work_mem", "temp_buffers"]),
    pgbouncer(lines) {
      asked.push(lines);
      const names = ["reserve_pool_size", "reserve_pool_timeout"];
      if (["", "reserve_pool_size = 5\n"].includes(lines)) return Promise.resolve({ names });
      const [name, value] = lines.trim().split(" = ");
      return Promise.resolve({
        output: `2026-11-29 18:39:30.246 UTC [7] ERROR invalid value "${value}" for parameter ` +
          `${name} in configuration (/tmp/x/pgbouncer.ini:4)\n` +
          "2026-11-29 18:39:30.246 UTC [7] FATAL cannot load config file\n",
      });
    },
  };
}

Deno.test("checkServerSettings() asks each program once for what acts, and for nothing without need", async () => {
  const asked: unknown[] = [];
  const given = createScenario({ ...base, ...OWN });
  const scenarios = [given, { ...given, users: 20 }, createScenario(base)];
  await checkServerSettings(scenarios, programs(asked));
  deepEqual(asked, ["work_mem=8MB", "reserve_pool_size = 5\n"]);
  const idle = createScenario({ ...base, path: "direct", "pgbouncer.reserve_pool_size": 5 });
  await checkServerSettings([idle, createScenario(base)], programs(asked));
  equal(asked.length, 2);
});

Deno.test("checkServerSettings() has the nearest name, or the program's own words", async () => {
  const cases: [ScenarioValues, RegExp][] = [
    [
      { "postgres.work_mme": "8MB" },
      /^Cannot set postgres\.work_mme: PostgreSQL 16\.14 has no such setting \(did you mean "work_mem"\?\)$/,
    ],
    [
      { "postgres.work_mem": "8XB" },
      /^Cannot set postgres\.work_mem=8XB: PostgreSQL says: invalid value for parameter "work_mem": "8XB"; Valid units are B\.$/,
    ],
    [
      { "pgbouncer.reserve_pool_sze": 5 },
      /^Cannot set pgbouncer\.reserve_pool_sze: PgBouncer 1\.24\.1 has no such setting \(did you mean "reserve_pool_size"\?\)$/,
    ],
    [
      { "pgbouncer.reserve_pool_size": "many" },
      /^Cannot set pgbouncer\.reserve_pool_size=many: PgBouncer says: invalid value "many" for parameter reserve_pool_size$/,
    ],
  ];
  for (const [values, message] of cases) {
    const scenario = createScenario({ ...base, ...values });
    await rejects(checkServerSettings([scenario], programs()), oneLine(message));
  }
});

Deno.test("refusalIn() has the last line where none is an error", () => {
  equal(refusalIn("one\ntwo\n"), "two");
});
