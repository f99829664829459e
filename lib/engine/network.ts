/**
 * Our end of network.py, the process that stands between services and takes time.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { PoolscopeError } from "../errors.ts";
import type { Leg } from "../scenario.ts";
import type { Address, RunNetwork, RunningService } from "./engine.ts";
import { waitUntil } from "./wait.ts";

/** The program. */
const PROGRAM = fileURLToPath(new URL("./network.py", import.meta.url));
const ANSWER_TIMEOUT_MS = 3000;

/** One leg for the program. */
export interface NetworkLeg {
  name: Leg["name"];
  rttMs: number;
  listen: Address;
  target: Address;
  /** Length of the listen queue. */
  backlog: number;
}

/** What the program tells of one leg; counters are cumulative. */
export interface LegAccount {
  name: Leg["name"];
  connections: number;
  chunks: number;
  bytes: number;
  /** Questions of clients whose answer, or its beginning, was handed on. */
  roundTrips: number;
  /** The addresses that connections came from. */
  clients: string[];
  /** Connections that the target refused. */
  refused: number;
  /** Sum over all chunks, and the largest, in milliseconds. */
  lateMs: number;
  lateMaxMs: number;
  /** Chunks by lateness: below 1 µs, 2 µs, 4 µs … */
  lateCounts: number[];
}

/** What the program has done so far. */
export interface NetworkAccount {
  cpuS: number;
  legs: LegAccount[];
}

/**
 * Program and arguments; isolated, as it needs nothing that is installed.
 *
 * @param elsewhere Whether it runs where our files are not. @default false
 */
export function networkCommand(
  python: string,
  control: Address,
  legs: NetworkLeg[],
  elsewhere = false,
): string[] {
  const pair = ({ host, port }: Address) => [host, port];
  const config = {
    control: pair(control),
    legs: legs.map((leg) => ({ ...leg, listen: pair(leg.listen), target: pair(leg.target) })),
  };
  const program = elsewhere ? ["-c", readFileSync(PROGRAM, "utf8")] : [PROGRAM];
  return [python, "-I", "-S", ...program, JSON.stringify(config)];
}

/**
 * Asks what the network has done so far.
 *
 * @throws {PoolscopeError} If it does not answer.
 */
export async function readNetwork({ host, port }: Address): Promise<NetworkAccount> {
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect(port, host);
    let answer = "";
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy(new Error("no answer in time")));
    socket.setEncoding("utf8");
    socket.on("data", (data: string) => answer += data);
    socket.on("end", () => resolve(answer));
    socket.on("error", reject);
  }).catch((error) => {
    throw new PoolscopeError(`Cannot ask the network between the services: ${error.message}`);
  });
  return JSON.parse(text);
}

/** Waits until the network can be entered. */
export async function networkUp(
  network: RunNetwork,
  service: RunningService,
  signal?: AbortSignal,
): Promise<void> {
  await waitUntil(async () => await readNetwork(network.control), {
    what: "the network between the services",
    timeoutS: 10,
    hopeless: () => service.exit && `it ended (${service.logTail(1)})`,
    signal,
  });
}
