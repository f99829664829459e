/** Which processes hold a TCP port, from the kernel's tables. */

import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The state of a listening socket in `/proc/net/tcp`. */
const LISTENING = "0A";

/** Whether one of the processes holds the local end of a TCP connection with this port. */
export function ownsSocket(pids: number[], port: number): boolean {
  return haveOpen(pids, socketsAt(["tcp"], port));
}

/** Whether one of the processes listens on this port, on addresses of either kind. */
export function listens(pids: number[], port: number): boolean {
  return haveOpen(pids, socketsAt(["tcp", "tcp6"], port, LISTENING));
}

/** The sockets whose local end has this port, as a process's open files name them. */
function socketsAt(tables: ("tcp" | "tcp6")[], port: number, state?: string): Set<string> {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return new Set(
    tables.map((table) => `/proc/net/${table}`).filter(existsSync)
      .flatMap((file) => readFileSync(file, "utf8").split("\n"))
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[1]?.endsWith(`:${hex}`))
      .filter((fields) => state === undefined || fields[3] === state)
      .map((fields) => `socket:[${fields[9]}]`),
  );
}

/** Whether one of the processes has one of these files open. */
function haveOpen(pids: number[], links: Set<string>): boolean {
  return pids.some((pid) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).some((fd) => {
        try {
          return links.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
        } catch {
          return false; // Closed between being listed and being read.
        }
      });
    } catch {
      return false; // The process has ended.
    }
  });
}
