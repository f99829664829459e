// test lane: checkout
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { thisOwner } from "../../store/owner.ts";
import { ControlGroup, findControllers, readLimitsOf } from "../linux/cgroup.ts";
import { Owned, sweep } from "../owned.ts";
import {
  isAlive,
  listProcesses,
  parseHostCpu,
  parseSchedstat,
  parseStat,
  readProcess,
  SwitchCounter,
  withDescendants,
} from "../linux/proc.ts";
import { LocalInstance, type LocalPlace } from "./instance.ts";
import { waitUntil } from "../wait.ts";

async function start(script: string, more: Partial<LocalPlace> = {}) {
  const folder = Deno.makeTempDirSync();
  const process = new LocalInstance({
    service: "test",
    program: { command: ["/bin/sh", "-c", script] },
    private: join(folder, "private"),
    localPorts: new Map(),
    logFile: join(folder, "test.log"),
    owned: new Owned(join(folder, "owned")),
    group: null,
    graceS: 0.2,
    ...more,
  });
  mkdirSync(join(folder, "private"));
  await process.start();
  return { process, folder };
}

Deno.test("parseStat() counts fields after a command name with spaces and parentheses", () => {
  const stat = parseStat(
    "42 (a) b (c)) S 1 42 40 0 -1 4194560 177 0 1 0 250 50 0 0 20 0 1 0 95415 2560000 256 0",
  );
  deepEqual(stat, {
    pid: 42,
    state: "S",
    parent: 1,
    session: 40,
    cpuS: 3,
    startTicks: 95415,
    residentMiB: 1,
  });
});

Deno.test("parseHostCpu() adds busy time without idle and iowait", () => {
  deepEqual(parseHostCpu("cpu  100 0 50 900 30 0 10 7 0 0\ncpu0 1"), { busyS: 1.6, stolenS: 0.07 });
});

Deno.test("LocalInstance.stop() ends the whole session, those that ignore the signal too", async () => {
  const { process, folder } = await start("trap '' TERM; (trap '' TERM; sleep 60) & sleep 60");
  await waitUntil(() => process.members().length >= 3 || null, { what: "the children" });
  await process.remove();
  deepEqual(process.members(), []);
  deepEqual(readdirSync(join(folder, "owned")), []);
  ok(!existsSync(join(folder, "private")));
});

Deno.test("LocalInstance.remove() ends the commands that still run beside its program", async () => {
  const { process } = await start("sleep 60");
  const command = process.exec(["sleep", "61"]).then(() => "ended", () => "was stopped");
  const ours = (pid: number) =>
    readFileSync(`/proc/${pid}/cmdline`, "utf8").endsWith("/sleep\x0061\0");
  const sleeps = () =>
    listProcesses().filter(({ parent, pid }) => parent === Deno.pid && ours(pid));
  await waitUntil(() => sleeps().length === 1 || null, { what: "the command" });
  await process.remove();
  deepEqual(sleeps(), []);
  equal(await command, "was stopped");
});

Deno.test("LocalInstance tells its exit code and the end of its log", async () => {
  const { process } = await start("echo one; echo two >&2; exit 3");
  deepEqual(await process.exited, { code: 3, signal: null });
  equal(process.logTail(1), "two");
  await process.stop();
});

Deno.test("ControlGroup limits a real process and reads the limits back from its own group", async () => {
  const places = findControllers(
    readFileSync("/proc/self/mountinfo", "utf8"),
    readFileSync("/proc/self/cgroup", "utf8"),
  );
  const group = ControlGroup.create(`poolscope-test-${Deno.pid}`, places);
  if (typeof group === "string") {
    match(group, /no right to make a control group|is not mounted/);
    return;
  }
  const { process } = await start("while :; do :; done", { group });
  try {
    group.setLimits({ cpus: 0.25, memoryMiB: 64 });
    await waitUntil(() => group.pids().includes(process.pid) || null, { what: "the process" });
    deepEqual(readLimitsOf(process.pid), { cpus: 0.25, memoryMiB: 64 });
    const begun = performance.now();
    const before = await process.usage();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const after = await process.usage();
    const share = (after.cpuS - before.cpuS) / ((performance.now() - begun) / 1000);
    equal(share > 0.05 && share < 0.45, true, `${share} cores used under a quota of 0.25`);
    equal(after.throttledS > before.throttledS, true);
    group.setLimits({ cpus: null, memoryMiB: null });
    deepEqual(readLimitsOf(process.pid).cpus, null);
  } finally {
    await process.remove();
  }
  equal(readProcess(process.pid), null);
  deepEqual(group.folders.filter((folder) => existsSync(folder)), []);
});

Deno.test("sweep() ends what carries a dead owner's mark, and no other, whatever its session", async () => {
  const folder = Deno.makeTempDirSync();
  const sleeper = (id: string) =>
    new Deno.Command("setsid", { args: ["sleep", "60"], env: { POOLSCOPE_OWNER: id } }).spawn();
  const ours = sleeper("x-1-1-aaaaaaaa");
  const another = sleeper("x-1-1-bbbbbbbb");
  const running = async (pid: number) =>
    await waitUntil(() => listProcesses().find((stat) => stat.session === pid) ?? null, {
      what: "sleep",
    });
  await running(ours.pid);
  const stranger = await running(another.pid);
  const owner = { ...thisOwner(), startTicks: 1 };
  const record = { owner, processes: [], groups: [], folders: [] };
  Deno.writeTextFileSync(join(folder, "x-1-1-aaaaaaaa.json"), JSON.stringify(record));
  // Two starts at once.
  const lines = (await Promise.all([sweep(folder), sweep(folder)])).flat();
  equal(lines.length, 1);
  match(lines[0]!, /Ended 1 process that an earlier start left/);
  equal((await ours.status).signal, "SIGKILL");
  equal(isAlive(stranger.pid, stranger.startTicks), true);
  another.kill("SIGKILL");
  await another.status;
});

Deno.test("Owned.withKeeper() sweeps when its owner is killed", async () => {
  const folder = Deno.makeTempDirSync();
  const doomed = join(folder, "data");
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { Owned } from ${JSON.stringify(import.meta.resolve("../owned.ts"))};
       const owned = Owned.withKeeper(${JSON.stringify(join(folder, "owned"))});
       owned.add("folders", ${JSON.stringify(doomed)});
       Deno.mkdirSync(${JSON.stringify(doomed)});
       setInterval(() => {}, 1000);`,
    ],
    cwd: folder,
  }).spawn();
  await waitUntil(() => existsSync(doomed) || null, { what: "the folder" });
  child.kill("SIGKILL");
  await waitUntil(() => !existsSync(doomed) || null, { what: "the keeper", timeoutS: 10 });
  await child.status;
});

Deno.test("sweep() ends what a dead owner left, and spares a process with another start time", async () => {
  const folder = Deno.makeTempDirSync();
  const sleeper = () =>
    new Deno.Command("setsid", { args: ["sleep", "60"], stdin: "null" }).spawn();
  const ours = sleeper();
  const strangers = sleeper();
  const find = (pid: number) =>
    waitUntil(() => listProcesses().find((stat) => stat.session === pid) ?? null, {
      what: "sleep",
    });
  const left = await find(ours.pid);
  const stranger = await find(strangers.pid);
  const owned = join(folder, "owned");
  Deno.mkdirSync(owned);
  const doomed = join(folder, "data");
  Deno.mkdirSync(doomed);
  Deno.writeTextFileSync(
    join(owned, "1-1-x.json"),
    JSON.stringify({
      owner: { ...thisOwner(), pid: 2 ** 22 + 1 },
      processes: [
        { pid: left.pid, startTicks: left.startTicks },
        { pid: stranger.pid, startTicks: stranger.startTicks + 1 },
      ],
      groups: [],
      folders: [doomed],
    }),
  );
  const lines = await sweep(owned);
  equal(lines.length, 2);
  await ours.status;
  equal(isAlive(left.pid, left.startTicks), false);
  equal(isAlive(stranger.pid, stranger.startTicks), true);
  deepEqual(readdirSync(folder).sort(), ["owned", "owned.lock"]);
  deepEqual(readdirSync(owned), []);
  strangers.kill("SIGKILL");
  await strangers.status;
});

Deno.test("SwitchCounter sums over threads that live and that ended, and none where none is told", () => {
  const counter = new SwitchCounter();
  equal(counter.add(new Map()), null);
  equal(counter.add(new Map([["1", 10], ["2", 5]])), 15);
  equal(counter.add(new Map([["1", 12]])), 17);
  // The number of one that ended, given to another.
  equal(counter.add(new Map([["1", 12], ["2", 3]])), 20);
  equal(parseSchedstat("1466740 1025664 2\n"), 2);
  // A kernel that does not count says 0 of everything.
  equal(parseSchedstat("0 0 0\n"), null);
  equal(parseSchedstat(""), null);
});

Deno.test("usage() counts how often a process was put on a core", async () => {
  const { process, folder } = await start("while :; do sleep 0.05; echo; done");
  try {
    const ended = () => readFileSync(join(folder, "test.log"), "utf8").length;
    const before = (await process.usage()).contextSwitches;
    const from = ended();
    // Of the first it may have known already.
    await waitUntil(() => ended() >= from + 6 || null, { what: "six children" });
    const after = (await process.usage()).contextSwitches;
    // It waited for each of its children.
    equal(before !== null && after! - before >= 5, true, `${before} to ${after}`);
  } finally {
    await process.stop();
  }
});

Deno.test("withDescendants() follows children into sessions of their own", () => {
  const stat = (pid: number, parent: number, session: number) => ({
    pid,
    parent,
    session,
    state: "S",
    group: session,
    cpuS: 0,
    startTicks: 1,
    residentMiB: 1,
  });
  // 12 began a session and has a child; 14 is of the first session and lost its parent.
  const all = [
    stat(10, 1, 10),
    stat(12, 10, 12),
    stat(13, 12, 12),
    stat(14, 1, 10),
    stat(15, 1, 15),
  ];
  deepEqual(withDescendants(10, all).map(({ pid }) => pid), [10, 12, 13, 14]);
});
