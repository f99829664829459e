// test lane: copy
/** Certificates between real services: whose are refused, and who can read the key. */

import { deepEqual, match, ok, rejects } from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import type { RunServices } from "../engine/run_services.ts";
import { LocalEngine } from "../engine/local.ts";
import { waitUntil } from "../hosts/wait.ts";
import { connect } from "../services/database.ts";
import { CERTIFICATE_FILES, makeCertificates } from "../services/tls.ts";
import { FRAMEWORKS } from "../plan.ts";
import { PATHS } from "../scenario.ts";
import { setUp } from "../setup/mod.ts";
import { lowScenario, startOne } from "../testing/one_run.ts";
import { verifyApp } from "./verify.ts";

Deno.test("apps and PgBouncer refuse a server whose certificate another authority signed", async () => {
  const tools = await setUp();
  await using engine = new LocalEngine(tools);
  const stranger = await makeCertificates();
  const showAnother = async (services: RunServices, service: "postgres" | "pgbouncer") => {
    const server = services.services.get(service)!;
    writeFileSync(server.path(CERTIFICATE_FILES.certificate), stranger.certificate);
    writeFileSync(server.path(CERTIFICATE_FILES.key), stranger.key);
    Deno.kill((server as unknown as { pid: number }).pid, "SIGHUP");
    const question = service === "postgres" ? "select 1" : "show version";
    await waitUntil(async () => {
      const sql = connect(services[service]!, { ssl: { ca: stranger.ca } });
      return await sql.unsafe(question).simple().finally(() => sql.end({ timeout: 1 }));
    }, { what: `${service} to show another certificate` });
  };
  for (const framework of FRAMEWORKS) {
    for (const path of PATHS) {
      const scenario = lowScenario({ framework, path, tlsAppDb: true });
      await using services = await startOne(engine, scenario);
      // Nothing has been asked of the database yet, so no connection is kept.
      await showAnother(services, path === "pooled" ? "pgbouncer" : "postgres");
      await rejects(verifyApp(services, scenario), /status 5\d\d/);
      match(services.services.get("app")!.logTail(200), /certificate verify failed/i);
    }
  }
  const scenario = lowScenario({ framework: "flask", path: "pooled", tlsAppDb: true });
  await using services = await startOne(engine, scenario);
  await showAnother(services, "postgres");
  // PgBouncer has its client wait for a better server.
  await rejects(verifyApp(services, scenario), /gave no answer/);
  match(services.services.get("pgbouncer")!.logTail(200), /certificate verify failed/i);
});

Deno.test("the private key is its owner's alone, and in no log, command line or environment", async () => {
  const tools = await setUp();
  await using engine = new LocalEngine(tools);
  const settings = { framework: "flask", path: "pooled", tlsAppDb: true, rttAppDbMs: 1 } as const;
  const scenario = lowScenario(settings);
  await using services = await startOne(engine, scenario);
  await verifyApp(services, scenario);
  const file = services.services.get("postgres")!.path("server.key");
  const { mode, uid } = Deno.statSync(file);
  deepEqual([mode! & 0o777, uid], [0o600, tools.user?.uid ?? Deno.uid()]);
  const key = readFileSync(file, "utf8").split("\n")[1]!;
  ok(key.length > 40);
  for (const service of services.services.values()) {
    const { pid } = service as unknown as { pid: number };
    for (const place of ["cmdline", "environ"]) {
      ok(!readFileSync(`/proc/${pid}/${place}`, "utf8").includes(key), `${service.name} ${place}`);
    }
    ok(!service.logTail(10_000).includes(key), `${service.name}'s log`);
  }
});
