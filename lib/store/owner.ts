/**
 * Names a process so that neither a recycled pid nor a restart of the machine can be taken for it.
 */

import { readFileSync } from "node:fs";
import { hostname } from "node:os";

export interface Owner {
  pid: number;
  /** Its start in clock ticks since boot. */
  startTicks: number;
  /** The boot that those ticks count from. */
  bootId: string;
  /** The host's name: another container or machine may share the checkout. */
  host: string;
}

/** Start of the process with this pid, in clock ticks since boot; null when none runs. */
function startTicksOf(pid: number): number | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command name may hold any character, so fields are counted from its closing parenthesis.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? null : Number(fields[19]);
  } catch {
    return null;
  }
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

export function thisOwner(): Owner {
  return {
    pid: Deno.pid,
    startTicks: startTicksOf(Deno.pid) ?? 0,
    bootId: bootId(),
    host: hostname(),
  };
}

/** Whether an owner still runs: `elsewhere` on another host, where this process cannot look. */
export function ownerState(owner: Owner): "running" | "gone" | "elsewhere" {
  if (owner.host !== hostname()) return "elsewhere";
  if (owner.bootId !== bootId()) return "gone";
  return startTicksOf(owner.pid) === owner.startTicks ? "running" : "gone";
}
