// test lane: copy
/**
 * Real runs, pooled and direct, and their report: no password that was in use is in an argument or
 * the environment of any process, nor in anything that was written but the files made for it.
 */

import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import postgres from "postgres";
import type { RunServices } from "./engine/run_services.ts";
import { LocalEngine } from "./engine/local.ts";
import type { LocalInstance } from "./hosts/local/instance.ts";
import { exportStudy } from "./export_study.ts";
import { changePlan, namedPlan, planRuns } from "./plan.ts";
import { loadStudy } from "./report/study.ts";
import { runScenario } from "./run_group.ts";
import { setUp } from "./setup/mod.ts";
import { EventLog } from "./store/events.ts";
import { openStudyFolder } from "./store/studies.ts";

/** A file of all processes, `cmdline` or `environ`: those that we may read. */
function ofAllProcesses(name: "cmdline" | "environ"): Map<number, string> {
  const found = new Map<number, string>();
  for (const pid of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      found.set(Number(pid), readFileSync(`/proc/${pid}/${name}`, "latin1"));
    } catch {
      // It has ended, or is not ours to read.
    }
  }
  return found;
}

/** Every argument of every process that lives for longer than some 10 ms, while this is not disposed. */
function watchArguments(): { seen: Set<string> } & Disposable {
  const seen = new Set<string>();
  const look = () => ofAllProcesses("cmdline").forEach((text) => seen.add(text));
  const timer = setInterval(look, 10);
  return { seen, [Symbol.dispose]: () => clearInterval(timer) };
}

function environmentOf(pid: number): Record<string, string> {
  const pairs = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").filter(Boolean);
  return Object.fromEntries(pairs.map((pair) => [
    pair.slice(0, pair.indexOf("=")),
    pair.slice(pair.indexOf("=") + 1),
  ]));
}

/** Asserts that only the owner may touch a file or folder. */
function assertPrivate(path: string, owner: number): void {
  const { mode, uid } = statSync(path);
  equal((mode & 0o077).toString(8), "0", path);
  equal(uid, owner, path);
}

const FILES = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

Deno.test("no password leaves the files that are made for it", async (t) => {
  const frameworks = ["fastapi", "django"];
  const plan = changePlan(namedPlan("smoke"), {
    frameworks,
    openLoop: false,
    settings: { workers: 1 },
  });
  const { name, folder } = openStudyFolder(plan, { study: `test-secrets-${Deno.pid}` });
  const secrets = new Map<string, string>();
  const private_ = new Set<string>();
  let inspected = 0;

  try {
    using watch = watchArguments();
    const tools = await setUp();
    const user = tools.user?.uid ?? Deno.uid()!;
    const serverLogs: string[] = [];
    {
      await using engine = new LocalEngine(tools);
      let current: RunServices;
      const startRun = engine.startRun.bind(engine);
      engine.startRun = async (...args) => current = await startRun(...args);
      let inspectedHere = false;
      let checked: Promise<void> | null = null;
      const events = new EventLog(join(folder, "events.jsonl"), [(event) => {
        if (event.event === "run_started") inspectedHere = false;
        if (event.event !== "phase" || event.phase !== "window" || inspectedHere) return;
        inspectedHere = true;
        inspect(current, user, secrets, private_);
        inspected++;
        checked ??= checkServer(current);
      }]);
      const host = { cpus: 2, cpuModel: "any", memoryMiB: 1, kernel: "any" };
      const context = {
        study: name,
        folder,
        plan,
        engine,
        events,
        machine: { host, gitCommit: null },
        signal: new AbortController().signal,
      };
      for (const run of planRuns(plan)) {
        const { id, order, round } = run;
        events.emit({ event: "run_started", order, scenarioId: id, round, label: id });
        const manifest = await runScenario(run, context);
        equal(manifest.status, "ok", manifest.cause ?? "");
        const server = current!.services.get("postgres")!;
        serverLogs.push(server.logTail(10_000));
      }
      ok(checked !== null);
      await checked;
    }
    equal(inspected, 4);
    // New ones for each run: two of a direct one, five of a pooled one.
    equal(secrets.size, 2 * 2 + 2 * 5);
    for (const secret of secrets.values()) ok(secret.length >= 32);

    await t.step("no argument of any process has held one", () => {
      ok(watch.seen.size > 20);
      ok([...watch.seen].some((text) => text.includes("locust")), "the runs were seen");
      for (const text of watch.seen) {
        for (const [whose, secret] of secrets) ok(!text.includes(secret), `${whose} in ${text}`);
      }
    });

    await t.step("what was made for them is gone with the run", () => {
      equal(private_.size, 4 * 2 + 2);
      for (const folder of private_) equal(statOrNull(folder), null, folder);
    });

    await t.step(
      "no log, manifest, event, executed notebook or page has one",
      () => checkWritten(folder, serverLogs, secrets),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** While the load runs: what is in use, where it lies, and who can see it. */
function inspect(
  services: RunServices,
  user: number,
  secrets: Map<string, string>,
  private_: Set<string>,
): void {
  const passFile = environmentOf(pidOf(services, "app")).PGPASSFILE!;
  const keep = (whose: string, secret: string) =>
    secrets.set(`${whose}, ${services.nonce}`, secret);
  assertPrivate(dirname(passFile), Deno.uid()!);
  assertPrivate(passFile, Deno.uid()!);
  match(readFileSync(passFile, "utf8"), /^\*:\*:app:app:[0-9a-f]{32}\n$/);
  const password = readFileSync(passFile, "utf8").trim().split(":").at(-1)!;
  keep("the app's", password);
  keep("the administrator's", services.postgres.password);
  private_.add(dirname(passFile));
  const server = services.services.get("postgres")!;
  assertPrivate(server.path("."), user);
  private_.add(server.path("."));
  equal(statOrNull(server.path("roles.sql")), null);
  const pgbouncer = services.services.get("pgbouncer");
  if (pgbouncer !== undefined) {
    for (const file of [".", "userlist.txt", "pgbouncer.ini"]) {
      assertPrivate(pgbouncer.path(file), user);
    }
    private_.add(pgbouncer.path("."));
    keep("the console's", services.pgbouncer!.password);
    const userlist = readFileSync(pgbouncer.path("userlist.txt"), "utf8");
    const scram = /"(SCRAM-SHA-256\$[^"]+)"/.exec(userlist)![1]!;
    keep("the app's stored key", scram.split(":").at(-2)!.split("$").at(-1)!);
    keep("the app's server key", scram.split(":").at(-1)!);
    ok(!userlist.includes(password), "PgBouncer needs no plain password");
  }
  for (const [pid, text] of ofAllProcesses("environ")) {
    for (const [whose, secret] of secrets) {
      ok(!text.includes(secret), `${whose} password in the environment of ${pid}`);
    }
  }
  for (const service of services.services.keys()) {
    const own = environmentOf(pidOf(services, service));
    equal(own.PGPASSWORD, undefined, service);
    equal(own.PGPASSFILE, service === "app" ? passFile : undefined, service);
  }
  // Nor does a service find the user's home, or another service's.
  const homes = [...services.services.keys()]
    .map((service) => environmentOf(pidOf(services, service)).HOME);
  ok(homes.every((home) => home !== undefined && home !== homedir()), homes.join());
  equal(new Set(homes).size, homes.length);
}

async function checkWritten(
  folder: string,
  serverLogs: string[],
  secrets: Map<string, string>,
): Promise<void> {
  await exportStudy(await loadStudy(folder));
  const files = FILES(folder);
  for (const end of [".log", "manifest.json", "events.jsonl", ".ipynb", ".html", ".md"]) {
    ok(files.some((file) => file.endsWith(end)), end);
  }
  for (const [i, text] of serverLogs.entries()) {
    for (const [whose, secret] of secrets) ok(!text.includes(secret), `${whose}, log ${i}`);
  }
  for (const file of files) {
    const text = readFileSync(file, "latin1");
    for (const [whose, secret] of secrets) ok(!text.includes(secret), `${whose} in ${file}`);
    ok(!/SCRAM-SHA-256\$|PGPASSWORD/.test(text), file);
  }
}

/** The server keeps the secrets from the app. */
async function checkServer(services: RunServices): Promise<void> {
  const passFile = environmentOf(pidOf(services, "app")).PGPASSFILE!;
  const connect = (username: string, password: string) =>
    postgres({ ...services.postgres, username, password, max: 1, onnotice: () => {} });
  const app = connect("app", readFileSync(passFile, "utf8").trim().split(":").at(-1)!);
  const admin = connect(services.postgres.username, services.postgres.password);
  try {
    for (const table of ["pg_authid", "pg_shadow"]) {
      await rejects(app.unsafe(`select * from ${table}`), { code: "42501" }, table);
    }
    const [role] = await app`select rolsuper, rolcreaterole from pg_roles where rolname = 'app'`;
    deepEqual({ ...role }, { rolsuper: false, rolcreaterole: false });
    const extensions = await admin<{ extname: string }[]>`select extname from pg_extension`;
    // The sampler's view of statements is in the maintenance database, out of the app's reach.
    deepEqual(extensions.map(({ extname }) => extname), ["plpgsql"]);
    const [loaded] = await admin.unsafe("show shared_preload_libraries");
    equal(loaded!.shared_preload_libraries, "pg_stat_statements");
  } finally {
    await Promise.all([app.end({ timeout: 1 }), admin.end({ timeout: 1 })]);
  }
}

function pidOf(services: RunServices, name: string): number {
  return (services.services.get(name) as LocalInstance).pid;
}

function statOrNull(path: string): number | null {
  try {
    return statSync(path).mode;
  } catch {
    return null;
  }
}
