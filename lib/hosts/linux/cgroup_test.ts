// test lane: checkout
import { deepEqual, equal } from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Controller, type ControllerPlace, findControllers, readLimits } from "./cgroup.ts";

const line = (root: string, mount: string, type: string, options: string) =>
  `30 25 0:26 ${root} ${mount} rw,relatime shared:9 - ${type} ${type} ${options}`;

/** Two files of a version 2 hierarchy that a test can point to. */
function unified(controllers: string): string {
  const mount = Deno.makeTempDirSync();
  writeFileSync(join(mount, "cgroup.controllers"), controllers + "\n");
  return mount;
}

function summary(places: Partial<Record<Controller, ControllerPlace>>) {
  return Object.fromEntries(
    Object.entries(places).map(([name, { version, folder }]) => [name, `v${version} ${folder}`]),
  );
}

Deno.test("findControllers() finds separate version 1 mounts with nested paths", () => {
  const mounts = [
    line("/", "/sys/fs/cgroup/cpu", "cgroup", "rw,cpu"),
    line("/", "/sys/fs/cgroup/cpuacct", "cgroup", "rw,cpuacct"),
    line("/", "/sys/fs/cgroup/memory", "cgroup", "rw,memory"),
  ].join("\n");
  deepEqual(summary(findControllers(mounts, "4:memory:/a/b\n2:cpuacct:/\n1:cpu:/c\n")), {
    cpu: "v1 /sys/fs/cgroup/cpu/c",
    cpuacct: "v1 /sys/fs/cgroup/cpuacct",
    memory: "v1 /sys/fs/cgroup/memory/a/b",
  });
});

Deno.test("findControllers() finds joint mounts and a part of the hierarchy in a container", () => {
  const mounts = [
    line("/docker/1", "/sys/fs/cgroup/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"),
    line("/docker/1", "/sys/fs/cgroup/memory", "cgroup", "rw,memory"),
  ].join("\n");
  deepEqual(summary(findControllers(mounts, "4:memory:/docker/1/x\n3:cpu,cpuacct:/docker/1\n")), {
    cpu: "v1 /sys/fs/cgroup/cpu,cpuacct",
    cpuacct: "v1 /sys/fs/cgroup/cpu,cpuacct",
    memory: "v1 /sys/fs/cgroup/memory/x",
  });
});

Deno.test("findControllers() takes version 2 where its controllers are, mixed with version 1", () => {
  const mount = unified("cpuset cpu io memory");
  deepEqual(summary(findControllers(line("/", mount, "cgroup2", "rw"), "0::/user.slice\n")), {
    cpu: `v2 ${mount}/user.slice`,
    cpuacct: `v2 ${mount}/user.slice`,
    memory: `v2 ${mount}/user.slice`,
  });
  const hybrid = unified("memory");
  const mounts = [
    line("/", "/sys/fs/cgroup/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"),
    line("/", hybrid, "cgroup2", "rw"),
  ].join("\n");
  deepEqual(summary(findControllers(mounts, "3:cpu,cpuacct:/\n0::/x\n")), {
    cpu: "v1 /sys/fs/cgroup/cpu,cpuacct",
    cpuacct: "v1 /sys/fs/cgroup/cpu,cpuacct",
    memory: `v2 ${hybrid}/x`,
  });
});

Deno.test("readLimits() reads version 2's files, and none as null", () => {
  const mount = unified("cpu memory");
  const folder = join(mount, "service");
  mkdirSync(folder);
  const place = { version: 2, mount, folder } as const;
  writeFileSync(join(folder, "cpu.max"), "50000 100000\n");
  writeFileSync(join(folder, "memory.max"), "536870912\n");
  deepEqual(readLimits({ cpu: place, memory: place }), { cpus: 0.5, memoryMiB: 512 });
  writeFileSync(join(folder, "cpu.max"), "max 100000\n");
  writeFileSync(join(folder, "memory.max"), "max\n");
  deepEqual(readLimits({ cpu: place, memory: place }), { cpus: null, memoryMiB: null });
  equal(readLimits({}).cpus, null);
});
