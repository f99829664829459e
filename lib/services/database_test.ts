// test lane: checkout

import { equal, ok, rejects } from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { withConnection } from "./database.ts";

const LOGIN = new Uint8Array([82, 0, 0, 0, 8, 0, 0, 0, 0, 90, 0, 0, 0, 5, 73]);

/** A server that lets everybody in, and does something with what it is asked from then on. */
async function serverThat(
  answers: (close: (how: "reset" | "end") => void) => void,
): Promise<{ port: number; server: Server }> {
  const server = createServer((socket) => {
    let known = false;
    socket.on("error", () => {});
    socket.on("data", () => {
      if (!known) socket.write(LOGIN);
      else answers((how) => how === "reset" ? socket.resetAndDestroy() : socket.destroy());
      known = true;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  ok(typeof address === "object" && address !== null);
  return { port: address.port, server };
}

const access = (port: number) => ({
  host: "127.0.0.1",
  port,
  database: "any",
  username: "any",
  password: "any",
});

Deno.test("withConnection() ends, whether a server answers, says nothing or breaks off", async () => {
  const silent = await serverThat(() => {});
  const begun = performance.now();
  await rejects(
    withConnection(access(silent.port), (sql) => sql.unsafe("select 1").simple(), { limitS: 0.5 }),
    {
      name: "PoolscopeError",
      message: `The server at port ${silent.port} did not answer within 0.5 s`,
    },
  );
  ok(performance.now() - begun < 5000);
  silent.server.close();
  let asked = 0;
  const broken = await serverThat((close) => close(++asked % 2 === 0 ? "reset" : "end"));
  // The driver forgets some of what it is asked again while a connection breaks.
  for (let i = 0; i < 4; i++) {
    await rejects(withConnection(access(broken.port), async (sql) => {
      await Promise.allSettled(["a", "b", "c"].map((what) => sql.unsafe(`show ${what}`).simple()));
      await sql.unsafe("show d").simple();
    }, { limitS: 2 }));
  }
  ok(asked >= 4);
  broken.server.close();
  equal(silent.server.listening || broken.server.listening, false);
});
