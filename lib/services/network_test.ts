import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PoolscopeError } from "../errors.ts";
import type { Address, Instance } from "../hosts/host.ts";
import { freePort, LocalHost } from "../hosts/local/local_host.ts";
import { createScenario } from "../scenario.ts";
import { ensurePython } from "../setup/python.ts";
import { SleeplessCores } from "../testing/sleepless_cores.ts";
import { networkArguments, placeNetwork, readNetwork, startNetwork } from "./network.ts";

const HOST = "127.0.0.1";
const RTT_MS = 20;

/** A server of the test, its connections, and a network of one leg in front of it. */
interface Bed extends AsyncDisposable {
  entry: Address;
  target: Address;
  control: Address;
  service: Instance;
  server: Server;
  /** Connects through the network; gives the ends of client and server. */
  open(): Promise<{ client: Socket; accepted: Socket }>;
}

async function makeBed(rttMs = RTT_MS, serve: (socket: Socket) => void = () => {}): Promise<Bed> {
  const accepted: Socket[] = [];
  const clients: Socket[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => {});
    accepted.push(socket);
    serve(socket);
    server.emit("accepted", socket);
  });
  server.listen(0, HOST);
  await once(server, "listening");
  const target = { host: HOST, port: (server.address() as { port: number }).port };
  const folder = Deno.makeTempDirSync();
  const host = new LocalHost({ folder, limits: false });
  const { python } = await ensurePython();
  const scenario = createScenario({
    framework: "flask",
    path: "direct",
    users: 1,
    rttAppDbMs: rttMs,
    rttAppPgbouncerMs: rttMs,
    rttPgbouncerDbMs: 0,
    listenBacklog: 128,
  });
  const program = { command: [python] };
  const service = placeNetwork(host, scenario, { program, logFile: join(folder, "network.log") })!;
  const { control, entries } = await startNetwork(service, scenario, () => target);
  const entry = entries.appDb!;
  return {
    target,
    entry,
    control,
    service,
    server,
    async open() {
      const arrived = once(server, "accepted");
      const client = connect({ ...entry, allowHalfOpen: true, noDelay: true });
      clients.push(client);
      client.on("error", () => {});
      await once(client, "connect");
      return { client, accepted: (await arrived)[0] as Socket };
    },
    async [Symbol.asyncDispose]() {
      for (const socket of [...clients, ...accepted]) socket.destroy();
      server.close();
      await service.remove();
      await host[Symbol.asyncDispose]();
      Deno.removeSync(folder, { recursive: true });
    },
  };
}

/** A low quantile: what else the machine does makes questions longer, and none shorter. */
function low(values: number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)]!;
}

async function readAll(connection: Deno.Conn): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const buffer = new Uint8Array(65536);
  for (let n; (n = await connection.read(buffer)) !== null;) chunks.push(buffer.slice(0, n));
  return new Uint8Array(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

Deno.test("network.py adds the round-trip time to each question, below a millisecond too", async () => {
  await using _sleepless = new SleeplessCores();
  for (const rttMs of [0.5, 2]) {
    await using bed = await makeBed(rttMs, (socket) => socket.pipe(socket));
    const ways: [Socket, number[]][] = [
      [(await bed.open()).client, []],
      [connect({ port: (bed.server.address() as { port: number }).port, noDelay: true }), []],
    ];
    for (let i = 0; i < 200; i++) {
      for (const [socket, took] of ways) {
        const begun = performance.now();
        socket.write("question");
        await once(socket, "data");
        if (i >= 20) took.push(performance.now() - begun);
      }
    }
    ways[1]![0].destroy();
    const [through, straight] = ways.map(([, took]) => low(took, 0.05)) as [number, number];
    const off = through - straight - rttMs;
    // Waking up and handing on, if they were not allowed for, would take more than a whole question.
    ok(Math.abs(off) < straight, `${off} ms off ${rttMs}; straight, it takes ${straight}`);
    const { legs: [leg] } = await readNetwork(bed.control);
    deepEqual([leg!.connections, leg!.roundTrips], [1, 200]);
  }
});

Deno.test("network.py lets a connection take the round trip of its handshake, too", async () => {
  await using _sleepless = new SleeplessCores();
  // Long, for beside it are the wake-ups of six ends after a rest.
  const rttMs = 100;
  await using bed = await makeBed(rttMs, (socket) => socket.pipe(socket));
  const seen: number[] = [];
  const answered: number[] = [];
  for (let i = 0; i < 12; i++) {
    const begun = performance.now();
    const client = connect({ ...bed.entry, noDelay: true });
    client.write("first");
    const accepted = once(bed.server, "accepted").then(() => performance.now() - begun);
    await once(client, "data");
    answered.push((performance.now() - begun) / rttMs);
    seen.push(await accepted / rttMs);
    client.destroy();
  }
  ok(Math.min(...seen) >= 1.5, `seen after ${Math.min(...seen)} round trips`);
  ok(Math.min(...answered) >= 2, `answered after ${Math.min(...answered)} round trips`);
  ok(low(seen, 0.25) < 1.9, `seen after ${low(seen, 0.25)} round trips`);
  ok(low(answered, 0.25) < 2.4, `answered after ${low(answered, 0.25)} round trips`);
});

Deno.test("network.py keeps bytes and their order, for readers that are slow and ends that are half", async () => {
  await using bed = await makeBed(2);
  bed.server.close();
  using listener = Deno.listen({ hostname: HOST, port: bed.target.port });
  using client = await Deno.connect({ hostname: HOST, port: bed.entry.port });
  using accepted = await listener.accept();
  const sent = new Uint8Array(16 * 2 ** 20).map((_, i) => (i * 31 + (i >> 8) * 7) & 255);
  const writing = writeAll(client, sent);
  // What nobody reads must not pile up without bound.
  await sleep(300);
  const { legs: [leg] } = await readNetwork(bed.control);
  ok(leg!.bytes < sent.length - 2 ** 20, `${leg!.bytes} bytes were taken in`);
  const received = readAll(accepted);
  await writing;
  await client.closeWrite();
  const bytes = await received;
  equal(bytes.length, sent.length);
  ok(bytes.every((byte, i) => byte === sent[i]!));
  // The client has ended its side and still gets an answer.
  await accepted.write(new TextEncoder().encode("after the end"));
  await accepted.closeWrite();
  equal(new TextDecoder().decode(await readAll(client)), "after the end");
});

Deno.test("network.py hands on resets from both sides, after what was sent before them", async () => {
  await using bed = await makeBed();
  for (const from of ["client", "server"] as const) {
    const { client, accepted } = await bed.open();
    const [gone, other] = from === "client" ? [client, accepted] : [accepted, client];
    const failed = once(other, "error");
    const told = once(other, "data");
    gone.write("last words");
    await sleep(5);
    gone.resetAndDestroy();
    equal(String((await told)[0]), "last words");
    match(String((await failed)[0]), /ECONNRESET|reset/i);
  }
});

Deno.test("network.py resets who asks for a service that is not there, and says so in its log", async () => {
  await using bed = await makeBed();
  bed.server.close();
  const client = connect(bed.entry);
  await rejects(async () => {
    client.write("anybody?");
    await once(client, "data");
  }, /ECONNRESET|reset/i);
  match(bed.service.logTail(), /^appDb: 127\.0\.0\.1:\d+ refused a connection/);
  equal((await readNetwork(bed.control)).legs[0]!.refused, 1);
});

Deno.test("network.py ends with one line when it cannot listen", async () => {
  await using bed = await makeBed();
  const { python } = await ensurePython();
  const args = networkArguments({ host: HOST, port: freePort() }, [
    { name: "appDb", rttMs: 1, listen: bed.entry, target: bed.entry, backlog: 8 },
  ]);
  const { code, stderr } = await new Deno.Command(python, { args, stdout: "null" }).output();
  deepEqual([code, new TextDecoder().decode(stderr).trim().split("\n").length], [1, 1]);
  match(new TextDecoder().decode(stderr), /^Cannot start the relay: .*in use/);
  await rejects(
    readNetwork({ host: HOST, port: freePort() }),
    (error: Error) =>
      error instanceof PoolscopeError && /Cannot ask the network/.test(error.message),
  );
});
