/** What Linux counts of TCP in one network namespace. */

import type { TcpCounts } from "../../store/manifest.ts";

/** The files that {@linkcode parseTcp} reads, in their order. */
export const TCP_FILES = [
  "/proc/net/netstat",
  "/proc/net/sockstat",
  "/proc/sys/net/ipv4/ip_local_port_range",
] as const;

/** A namespace at one moment; counters are cumulative. */
export interface TcpState {
  listenOverflows: number;
  /** Sockets in use and in TIME_WAIT, and the range that their ports are taken from. */
  portsInUse: number;
  ports: number;
}

/** A counter of `/proc/net/netstat`, which has a line of names above each line of values. */
function counter(netstat: string, group: string, name: string): number {
  const [names = [], values = []] = netstat.split("\n")
    .filter((line) => line.startsWith(`${group}: `)).map((line) => line.split(/\s+/));
  return Number(values[names.indexOf(name)] ?? 0);
}

/** Reads a namespace's state from the texts of {@linkcode TCP_FILES}, in their order. */
export function parseTcp([netstat = "", sockstat = "", range = ""]: readonly string[]): TcpState {
  const count = (word: string) =>
    Number(new RegExp(`^TCP:.* ${word} (\\d+)`, "m").exec(sockstat)?.[1] ?? 0);
  const [low, high] = range.trim().split(/\s+/).map(Number);
  return {
    listenOverflows: counter(netstat, "TcpExt", "ListenOverflows"),
    portsInUse: count("inuse") + count("tw"),
    ports: high! - low! + 1,
  };
}

/** What happened between two moments: overflows together, ports of the namespace with fewest left. */
export function tcpBetween(
  before: Record<string, TcpState>,
  after: Record<string, TcpState>,
): TcpCounts | null {
  const names = Object.keys(after).filter((name) => before[name] !== undefined);
  if (names.length === 0) return null;
  const overflows = (states: Record<string, TcpState>) =>
    names.reduce((sum, name) => sum + states[name]!.listenOverflows, 0);
  const { portsInUse, ports } = names.map((name) => after[name]!)
    .reduce((a, b) => b.portsInUse / b.ports > a.portsInUse / a.ports ? b : a);
  return { listenOverflows: overflows(after) - overflows(before), portsInUse, ports };
}
