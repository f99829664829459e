/**
 * What Poolscope leaves on the machine, found without its own records: processes, control groups,
 * temporary folders. Tests take one look before and one after.
 */

import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { ControlGroup, findControllers } from "../hosts/linux/cgroup.ts";
import { listProcesses, type ProcessStat } from "../hosts/linux/proc.ts";
import { stagingFolder } from "../setup/stage.ts";
import { ROOT, TOOLS } from "../store/layout.ts";

/** How this checkout's marks and control groups begin. */
const CHECKOUT = basename(stagingFolder());

/** A process and everything that it started and that has not been taken over by another. */
export function familyOf(pid: number): ProcessStat[] {
  const all = listProcesses();
  const family = all.filter((stat) => stat.pid === pid);
  for (const member of family) family.push(...all.filter((stat) => stat.parent === member.pid));
  return family;
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // Ended meanwhile, or not ours to read.
  }
}

/** The command line of a process, its arguments joined by spaces. */
export function commandOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
}

/** Processes of this checkout: by the programs that they run, or by the mark that they carry. */
function checkoutProcesses(): string[] {
  return listProcesses()
    .filter(({ pid }) => {
      const command = commandOf(pid);
      return command.includes(`${ROOT}/.poolscope`) || command.includes(`${stagingFolder()}/`) ||
        command.includes(`${ROOT}/node_modules`) ||
        read(`/proc/${pid}/environ`).includes(`POOLSCOPE_OWNER=${CHECKOUT}-`);
    })
    .map(({ pid, startTicks }) => `process ${pid} from ${startTicks}: ${commandOf(pid)}`);
}

function entries(folder: string, pattern: RegExp): string[] {
  try {
    return readdirSync(folder).filter((name) => pattern.test(name)).map((name) =>
      join(folder, name)
    );
  } catch {
    return []; // Not there, so nothing is in it.
  }
}

function controlGroups(): string[] {
  const found = findControllers(read("/proc/self/mountinfo"), read("/proc/self/cgroup"));
  const folders = new Set(ControlGroup.candidates("x", found).map(dirname));
  return [...folders].flatMap((folder) => entries(folder, new RegExp(`^${CHECKOUT}-`)));
}

/** Everything of this checkout that must not outlive a study, as lines that name it. */
export function findLeftovers(): string[] {
  return [
    ...checkoutProcesses(),
    ...controlGroups(),
    ...entries(join(TOOLS, "owned"), /./),
    ...[TOOLS, stagingFolder()].flatMap((base) =>
      entries(join(base, "postgres"), /^(?!cluster-[0-9a-f]+$)/)
    ),
    ...entries(tmpdir(), new RegExp(`^${CHECKOUT}-`)),
  ];
}
