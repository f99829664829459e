// test lane: checkout
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PoolscopeError } from "../errors.ts";
import { ROOT } from "../store/layout.ts";
import {
  examine,
  type Finding,
  formatCheck,
  judgeBacklog,
  judgeCpus,
  judgeDeno,
  judgeDisk,
  judgeHostLoad,
  judgeLimits,
  judgeMemory,
  judgeNode,
  judgeOpenFiles,
  judgePorts,
  judgeProcesses,
  mountOptions,
  quickCheck,
} from "./doctor.ts";

const NONE = { cpus: null, memoryMiB: null };

/** `/proc/self/limits` of a Debian 12 machine, with other limits on files and processes. */
function limits(files: string, processes = "96365                96365"): string {
  return [
    "Limit                     Soft Limit           Hard Limit           Units     ",
    "Max cpu time              unlimited            unlimited            seconds   ",
    `Max processes             ${processes}                processes `,
    `Max open files            ${files}                files     `,
    "Max locked memory         8388608              8388608              bytes     ",
    "",
  ].join("\n");
}

function states(findings: Finding[]): string[] {
  return findings.map(({ state }) => state);
}

Deno.test("judgeOpenFiles() reads soft and hard limits, unlimited ones too", () => {
  match(judgeOpenFiles(limits("1024   524288")).value, /^soft 1,024, hard 524,288; /);
  match(judgeOpenFiles(limits("unlimited unlimited")).value, /^soft unlimited, hard unlimited; /);
  equal(judgeOpenFiles("").value, "limit unknown");
});

Deno.test("judgeOpenFiles() wants what Locust and max_client_conn want, and needs the users", () => {
  deepEqual(
    states([
      judgeOpenFiles(limits("1048576 1048576")),
      judgeOpenFiles(limits("4096 4096")),
      judgeOpenFiles(limits("1024 1048576")), // Somebody lowered it for us after Deno had raised it.
      judgeOpenFiles(limits("1024 1024"), { users: 100, maxClientConn: 100 }),
      judgeOpenFiles(""),
    ]),
    ["ok", "warning", "missing", "warning", "warning"],
  );
  match(judgeOpenFiles(limits("500 500")).value, /1000 users need 1,100/);
  match(judgeOpenFiles(limits("4096 4096")).next!, /hard limit to 10,100.*ulimit -Hn/);
});

Deno.test("judgeProcesses() warns below what a study may use", () => {
  deepEqual(states([judgeProcesses(limits("1 1")), judgeProcesses(limits("1 1", "256 256"))]), [
    "ok",
    "warning",
  ]);
});

Deno.test("judgePorts() counts what is free, and names a narrow range and a missing loopback", () => {
  const sockstat = (inuse: number, tw: number) =>
    `sockets: used 300\nTCP: inuse ${inuse} orphan 0 tw ${tw} alloc 9 mem 1\nUDP: inuse 1 mem 0\n`;
  const facts = {
    range: "32768\t60999\n",
    sockstat: sockstat(232, 4000),
    reuse: "2\n",
    bound: true as const,
  };
  equal(judgePorts(facts).state, "ok");
  match(judgePorts(facts).value, /^24,000 of 28,232 .*32768–60999/);
  equal(judgePorts({ ...facts, sockstat: sockstat(2, 28_000) }).state, "missing");
  match(judgePorts({ ...facts, range: "50000 60999" }).next!, /ip_local_port_range/);
  match(judgePorts({ ...facts, reuse: "0\n" }).next!, /tcp_tw_reuse=2/);
  const closed = judgePorts({ ...facts, bound: "Cannot assign requested address" });
  equal(closed.state, "missing");
  match(closed.value, /127\.0\.0\.1 has no port to listen on/);
  equal(judgePorts({ range: null, sockstat: null, reuse: null, bound: true }).state, "ok");
});

Deno.test("judgeBacklog() holds somaxconn against listen_backlog", () => {
  equal(judgeBacklog("4096\n").state, "ok");
  equal(judgeBacklog("128\n", { listenBacklog: 128 }).state, "ok");
  match(judgeBacklog("128\n").next!, /somaxconn=4096/);
});

Deno.test("judgeDisk() warns early and refuses what cannot be", () => {
  const judge = (free: number) => judgeDisk("data/runs", free, 500, "a study").state;
  deepEqual([judge(70_000), judge(1500), judge(499)], ["ok", "warning", "missing"]);
});

Deno.test("judgeMemory() takes the machine's memory or this process's own limit", () => {
  const meminfo = "MemTotal:       8000000 kB\nMemFree: 1 kB\nMemAvailable:   6000000 kB\n";
  match(judgeMemory(meminfo, NONE).value, /^5\.7 GiB available of 7\.6 GiB$/);
  const own = judgeMemory(meminfo, { cpus: null, memoryMiB: 1024 });
  equal(own.state, "warning");
  match(own.value, /1\.0 GiB \(this process's own limit\)/);
  equal(judgeMemory("MemTotal: 900000 kB\nMemAvailable: 200000 kB\n", NONE).state, "missing");
  equal(judgeMemory("", NONE).state, "warning");
});

Deno.test("judgeCpus() says who shares the cores", () => {
  equal(judgeCpus(8, NONE).state, "ok");
  match(judgeCpus(2, NONE).value, /2 cores; the load generator shares them/);
  match(judgeCpus(16, { cpus: 1, memoryMiB: null }).value, /^1 of 16 cores \(own quota\)/);
});

Deno.test("judgeHostLoad() tells a busy machine from a stolen one", () => {
  const stat = (user: number, steal: number) =>
    `cpu  ${user} 0 100 90000 10 0 5 ${steal} 0 0\ncpu0 1 2 3 4\n`;
  const judge = (user: number, steal: number, own = 0) =>
    judgeHostLoad(
      { stat: stat(1000, 50), ownS: 3, atS: 7 },
      { stat: stat(1000 + user, 50 + steal), ownS: 3 + own, atS: 8 },
      2,
    );
  deepEqual(states([judge(10, 0), judge(120, 0), judge(10, 20)]), ["ok", "warning", "warning"]);
  match(judge(10, 20).value, /^5% of 2 cores busy, 10% stolen/);
  equal(judge(120, 0, 1.1).state, "ok"); // Our own time is not the host's load.
});

Deno.test("judgeLimits() gives the engine's sentence and what happens without limits", () => {
  equal(judgeLimits(null, "v2").state, "ok");
  const refused = judgeLimits("no limit on CPU and memory of any service: EACCES", "v2");
  equal(refused.state, "warning");
  match(refused.next!, /runs all the same; manifests and captions then say “no limit”/);
});

Deno.test("mountOptions() finds the mount that a path is on", () => {
  const text = [
    "20 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw",
    "21 20 0:5 / /var/tmp rw,nosuid,noexec shared:2 - tmpfs tmpfs rw",
  ].join("\n");
  ok(mountOptions(text, "/var/tmp/poolscope").includes("noexec"));
  ok(!mountOptions(text, "/var/tmpfiles").includes("noexec"));
  deepEqual(mountOptions("", "/x"), []);
});

Deno.test("judgeNode() misses Node only where npx runs, judgeDeno() only what is older", () => {
  deepEqual(
    states([
      judgeNode(null, false),
      judgeNode("v18.19.0", false),
      judgeNode("v18.19.0", true),
      judgeNode("v20.20.2", true),
      judgeDeno("2.9.6"),
      judgeDeno("2.4.0"),
    ]),
    ["ok", "ok", "warning", "ok", "ok", "warning"],
  );
});

Deno.test("formatCheck() gives one line with state, value and next step", () => {
  equal(
    formatCheck({ name: "somaxconn", state: "warning", value: "128", next: "raise it" }),
    "warning  somaxconn       128 → raise it",
  );
});

Deno.test("examine() looks at this machine in under 3 s, every check a single line", async () => {
  const begun = performance.now();
  const checks = await examine();
  ok(performance.now() - begun < 3000);
  equal(new Set(checks.map(({ name }) => name)).size, checks.length);
  for (const check of checks) {
    ok(!formatCheck(check).includes("\n"), check.name);
    equal(check.next === null, check.state === "ok", check.name);
    ok(!formatCheck(check).includes(ROOT), "a report may be sent to others");
  }
});

Deno.test("quickCheck() throws one line for what makes a run impossible", async () => {
  ok((await quickCheck()).every((line) => /^Warning: [^\n]+$/.test(line)));
  await rejects(quickCheck({ users: 10_000_000 }), (error: Error) => {
    ok(error instanceof PoolscopeError);
    match(error.message, /^Cannot run a study here: open files: [^\n]+deno task doctor/);
    return true;
  });
});

Deno.test("the doctor reaches no npm package, which Deno would install before it speaks", () => {
  const reached = new Set<string>();
  const visit = (file: string): void => {
    if (reached.has(file)) return;
    reached.add(file);
    const text = readFileSync(file, "utf8").replace(/^\s*(\*|\/\/).*$/gm, "");
    for (
      const [, name] of text.matchAll(/^(?:import|export)(?!\s+type\s)[^;]*?from "([^"]+)"/gm)
    ) {
      if (name!.startsWith(".")) visit(join(dirname(file), name!));
      else ok(name!.startsWith("node:"), `${file} imports ${name}`);
    }
  };
  visit(join(ROOT, "lib/tasks/doctor.ts"));
  ok(reached.size > 8);
});
