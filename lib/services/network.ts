/** Our end of network.py, the process that stands between services and takes time. */

import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { PoolscopeError } from "../errors.ts";
import type { Address, Host, Instance, InstanceOptions } from "../hosts/host.ts";
import { waitUntil } from "../hosts/wait.ts";
import { type Leg, legsOf, type Scenario } from "../scenario.ts";
import type { NetworkMethod } from "../store/manifest.ts";

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
  /** Where the connections that are open come from. */
  clients: Address[];
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

/** What stands between the services of a run and makes the scenario's round-trip times. */
export interface RunNetwork {
  /** How: bytes are held back by a process of its own. */
  method: NetworkMethod;
  instance: Instance;
  /** Where it tells what it has done so far. */
  control: Address;
  /** Where we enter each leg that takes time, by the leg's name. */
  entries: Partial<Record<Leg["name"], Address>>;
}

/** The ports on which it listens where it is alone, by leg. */
const PORTS: Record<Leg["name"] | "control", number> = {
  control: 7000,
  appDb: 7001,
  appPgbouncer: 7002,
  pgbouncerDb: 7003,
};

/** Legs of a scenario that take time. */
export function slowLegs(scenario: Scenario): Leg[] {
  return legsOf(scenario).filter(({ rttMs }) => rttMs > 0);
}

/** Room for the network of a scenario; null where no leg takes time. */
export function placeNetwork(
  host: Host,
  scenario: Scenario,
  place: Omit<InstanceOptions, "service" | "ports">,
): Instance | null {
  const legs = slowLegs(scenario);
  if (legs.length === 0) return null;
  const ports = [PORTS.control, ...legs.map(({ name }) => PORTS[name])];
  return host.place({ ...place, service: "network", ports });
}

/** The address at which the services enter a leg: the target's own where it takes no time. */
export function entryOf(network: Instance | null, leg: Leg, target: Address): Address {
  return network === null || leg.rttMs === 0 ? target : network.reachedAt(PORTS[leg.name]);
}

/** Starts the network, and waits until it can be entered; `target` gives the service at a leg's end. */
export async function startNetwork(
  network: Instance,
  scenario: Scenario,
  target: (leg: Leg["name"]) => Address,
): Promise<RunNetwork> {
  const legs = slowLegs(scenario);
  const { listenBacklog: backlog } = scenario;
  const args = networkArguments(
    network.binds(PORTS.control),
    legs.map(({ name, rttMs }) => ({
      name,
      rttMs,
      backlog,
      listen: network.binds(PORTS[name]),
      target: target(name),
    })),
  );
  // Every listener may have the queue that it asks for.
  await network.start({ args, listenBacklog: backlog });
  const entries = await Promise.all(
    legs.map(async ({ name }) => [name, await network.address(PORTS[name])] as const),
  );
  const control = await network.address(PORTS.control);
  await waitUntil(async () => await readNetwork(control), {
    what: "the network between the services",
    timeoutS: 10,
    hopeless: () => network.exit && `it ended (${network.logTail(1)})`,
  });
  return { method: "relay", instance: network, control, entries: Object.fromEntries(entries) };
}

/** Arguments of Python; isolated, as it needs nothing that is installed. */
export function networkArguments(control: Address, legs: readonly NetworkLeg[]): string[] {
  const pair = ({ host, port }: Address) => [host, port];
  const config = {
    control: pair(control),
    legs: legs.map((leg) => ({ ...leg, listen: pair(leg.listen), target: pair(leg.target) })),
  };
  return ["-I", "-S", "-c", readFileSync(PROGRAM, "utf8"), JSON.stringify(config)];
}
