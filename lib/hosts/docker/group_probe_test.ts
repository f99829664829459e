// test lane: checkout
import { deepEqual } from "node:assert/strict";
import { parseAnswer } from "./group_probe.ts";

Deno.test("parseAnswer() reads control groups of version 1", () => {
  deepEqual(
    parseAnswer([
      "cpu/cpu.cfs_quota_us=50000",
      "cpu/cpu.cfs_period_us=100000",
      "cpu/cpu.stat=nr_periods 10",
      "cpu/cpu.stat=throttled_time 2500000000",
      "cpuacct/cpuacct.usage=7250000000",
      "memory/memory.limit_in_bytes=536870912",
      "memory/memory.usage_in_bytes=1048576",
      "memory/memory.oom_control=oom_kill_disable 0",
      "memory/memory.oom_control=oom_kill 2",
      "cpuset/cpuset.cpus=0-1",
      "memory/cgroup.procs=1",
      "memory/cgroup.procs=7",
      "memory/cgroup.procs=9",
      "probe=9",
      "/proc/1/task/1/schedstat=5000000 200 12",
      "/proc/7/task/7/schedstat=9000000 300 40",
      "/proc/7/task/8/schedstat=1000000 100 3",
      "/proc/9/task/9/schedstat=4000000 100 700",
    ]),
    {
      limits: { cpus: 0.5, memoryMiB: 512 },
      cpuset: "0-1",
      cpuS: 7.25,
      throttledS: 2.5,
      memoryMiB: 1,
      processes: 2,
      memoryKills: 2,
      switches: new Map([["1", 12], ["7", 40], ["8", 3]]),
    },
  );
});

Deno.test("parseAnswer() reads control groups of version 2, without limits", () => {
  deepEqual(
    parseAnswer([
      "cpu.max=max 100000",
      "cpu.stat=usage_usec 1500000",
      "cpu.stat=user_usec 1",
      "cpu.stat=throttled_usec 250000",
      "memory.max=max",
      "memory.current=2097152",
      "memory.events=oom 1",
      "memory.events=oom_kill 1",
      "cpuset.cpus.effective=2-3",
      "cgroup.procs=1",
      "cgroup.procs=5",
      "probe=5",
      "/proc/1/task/1/schedstat=0 0 0",
    ]),
    {
      limits: { cpus: null, memoryMiB: null },
      cpuset: "2-3",
      cpuS: 1.5,
      throttledS: 0.25,
      memoryMiB: 2,
      processes: 1,
      memoryKills: 1,
      switches: new Map(),
    },
  );
});
