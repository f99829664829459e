// test lane: checkout
import { deepEqual, equal, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parseTcp, TCP_FILES, tcpBetween } from "./tcp.ts";

const NETSTAT = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\n" +
  "TcpExt: 0 17 19\nIpExt: InNoRoutes\nIpExt: 0\n";
const SOCKSTAT =
  "sockets: used 200\nTCP: inuse 120 orphan 0 tw 80 alloc 130 mem 3\nUDP: inuse 2 mem 1\n";

Deno.test("parseTcp() reads overflows by their name, and sockets against the range of ports", () => {
  deepEqual(parseTcp([NETSTAT, SOCKSTAT, "32768\t60999\n"]), {
    listenOverflows: 17,
    portsInUse: 200,
    ports: 28_232,
  });
});

Deno.test("parseTcp() reads this machine's own files", () => {
  const [netstat, sockstat, range] = TCP_FILES.map((file) => readFileSync(file, "utf8"));
  const { listenOverflows, portsInUse, ports } = parseTcp([netstat!, sockstat!, range!]);
  ok(Number.isInteger(listenOverflows) && listenOverflows >= 0);
  ok(portsInUse > 0 && ports > 100, `${portsInUse} of ${ports}`);
});

Deno.test("tcpBetween() adds overflows up and takes the namespace with the fewest ports left", () => {
  const state = (listenOverflows: number, portsInUse: number) => ({
    listenOverflows,
    portsInUse,
    ports: 100,
  });
  const before = { app: state(1, 5), locust: state(10, 5), gone: state(0, 99) };
  const after = { app: state(4, 5), locust: state(10, 90) };
  deepEqual(tcpBetween(before, after), { listenOverflows: 3, portsInUse: 90, ports: 100 });
  equal(tcpBetween({}, after), null);
});
