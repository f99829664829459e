// test lane: checkout
/**
 * The lean client against Locust's FastHttpUser: both meet the same misbehaving server, and what
 * they record and how they use their connections must be the same.
 */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { ROOT } from "../store/layout.ts";
import { explainExit, locustCommand, LOCUSTFILE } from "./locust.ts";
import { convertRequests } from "./requests.ts";
import { testPython } from "./testing/python.ts";
import { ScriptedServer, type Step } from "./testing/scripted_server.ts";

const BODY = '{"id":1,"name":"Ada"}';
const TYPE = "Content-Type: application/json\r\n";
const LENGTH = `Content-Length: ${BODY.length}\r\n`;
const OK = `HTTP/1.1 200 OK\r\n${TYPE}${LENGTH}\r\n${BODY}`;
const CHUNKED = `HTTP/1.1 200 OK\r\n${TYPE}Transfer-Encoding: chunked\r\n\r\n`;
const HEAD = `HTTP/1.1 200 OK\r\n${TYPE}`;
const HANG = 1_400; // longer than the clients wait

function encoded(name: string, bytes: Uint8Array): Step[] {
  return [`${HEAD}Content-Encoding: ${name}\r\nContent-Length: ${bytes.length}\r\n\r\n`, bytes];
}

const body = new TextEncoder().encode(BODY);

/** Each is one answer. */
const SCRIPTS: Record<string, Step[]> = {
  "a good answer": [OK],
  "closed without a byte": ["CLOSE"],
  "reset without a byte": ["RESET"],
  "closed within the status line": ["HTTP/1.1 20", "READ", "CLOSE"],
  "closed within the headers": [HEAD, "READ", "CLOSE"],
  "reset within the headers": [HEAD, "READ", "RESET"],
  "closed within the body": [`${HEAD}${LENGTH}\r\n{"id"`, "READ", "CLOSE"],
  "closed within the body, headers before": [`${HEAD}${LENGTH}\r\n`, "READ", "{", "READ", "CLOSE"],
  "reset within the body": [`${HEAD}${LENGTH}\r\n{"id"`, "READ", "RESET"],
  "closed before the body": [`${HEAD}${LENGTH}\r\n`, "READ", "CLOSE"],
  "chunks": [`${CHUNKED}5\r\n{"id"\r\n3\r\n:1}\r\n0\r\n\r\n`],
  "chunks in pieces": [
    CHUNKED,
    "READ",
    "5\r",
    "READ",
    '\n{"i',
    "READ",
    'd"\r\n0\r\n',
    "READ",
    "\r\n",
  ],
  "chunks with extension and trailer": [`${CHUNKED}2;a=b\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\n`],
  "a bad chunk with the headers": [`${CHUNKED}xyz\r\n{}\r\n0\r\n\r\n`],
  "a bad chunk after the headers": [CHUNKED, "READ", "xyz\r\n{}\r\n0\r\n\r\n"],
  "a chunk longer than said": [CHUNKED, "READ", "2\r\n{}{}\r\n0\r\n\r\n"],
  "closed within the chunks": [`${CHUNKED}5\r\n{"i`, "READ", "CLOSE"],
  "closed before the last chunk": [`${CHUNKED}2\r\n{}\r\n`, "READ", "CLOSE"],
  "length and chunks": [`${HEAD}${LENGTH}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`],
  "silence": [HANG],
  "silence within the headers": [HEAD, HANG],
  "silence within the body": [`${HEAD}${LENGTH}\r\n{`, HANG],
  "byte by byte": [...OK.slice(0, 60)].flatMap((byte): Step[] => [byte, 4]).concat(OK.slice(60)),
  "status 500": [`HTTP/1.1 500 Oops\r\n${TYPE}${LENGTH}\r\n${BODY}`],
  "500, closed within the body": [
    `HTTP/1.1 500 Oops\r\n${TYPE}${LENGTH}\r\n`,
    "READ",
    "CLOSE",
  ],
  "404 without a body": ["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"],
  "a redirect": [`HTTP/1.1 302 Found\r\nLocation: /posts\r\nContent-Length: 0\r\n\r\n`],
  "a permanent redirect elsewhere": [
    "HTTP/1.1 308 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 2\r\n\r\n{}",
  ],
  "status 204": ["HTTP/1.1 204 No Content\r\n\r\n"],
  "204 with a length": [`HTTP/1.1 204 No Content\r\n${LENGTH}\r\n`],
  "status 304": [`HTTP/1.1 304 Not Modified\r\n${LENGTH}\r\n`],
  "100 in the same packet": [`HTTP/1.1 100 Continue\r\n\r\n${OK}`],
  "100 in a packet of its own": ["HTTP/1.1 100 Continue\r\n\r\n", "READ", OK],
  "103 with headers": ["HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "READ", OK],
  "100 and then closed": ["HTTP/1.1 100 Continue\r\n\r\n", "READ", "CLOSE"],
  "Connection: close": [`${HEAD}Connection: close\r\n${LENGTH}\r\n${BODY}`],
  "Connection: close, kept open": [`${HEAD}connection: CLOSE\r\n${LENGTH}\r\n${BODY}`],
  "HTTP/1.0": [`HTTP/1.0 200 OK\r\n${TYPE}${LENGTH}\r\n${BODY}`],
  "HTTP/1.0, kept": [`HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n${TYPE}${LENGTH}\r\n${BODY}`],
  "a body to the end of the connection": [`${HEAD}\r\n${BODY}`, "READ", "CLOSE"],
  "no body to the end of the connection": [`${HEAD}\r\n`, "READ", "CLOSE"],
  "garbage": ["hello, world\r\n\r\n"],
  "garbage for a version": [OK.replace("1.1", "x.y")],
  "HTTP/2's first bytes": ["\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0d"],
  "a status that is no number": [OK.replace("200", "2x0")],
  "a status of four digits": [OK.replace("200", "2000")],
  "no reason": [OK.replace(" OK", "")],
  "a negative length": [`${HEAD}Content-Length: -1\r\n\r\n`],
  "a length that is no number": [`${HEAD}Content-Length: ten\r\n\r\n`],
  "a length of another kind of number": [`${HEAD}Content-Length: 0x2\r\n\r\n{}`],
  "two lengths": [`${HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`],
  "a header without a colon": [`HTTP/1.1 200 OK\r\nnonsense\r\n${TYPE}${LENGTH}\r\n${BODY}`],
  "a header with a NUL": [`HTTP/1.1 200 OK\r\nX: a\0b\r\n${TYPE}${LENGTH}\r\n${BODY}`],
  "line ends without CR": [OK.replaceAll("\r\n", "\n")],
  "a folded header": [`HTTP/1.1 200 OK\r\nX: a\r\n b\r\n${TYPE}${LENGTH}\r\n${BODY}`],
  "a long header": [`HTTP/1.1 200 OK\r\nX: ${"x".repeat(70_000)}\r\n${TYPE}${LENGTH}\r\n${BODY}`],
  "a space before the colon": [`HTTP/1.1 200 OK\r\n${TYPE}Content-Length : 2\r\n\r\n{}`],
  "header names in capitals": [
    `HTTP/1.1 200 OK\r\nCONTENT-TYPE: application/json\r\nCONTENT-LENGTH: 2\r\n\r\n{}`,
  ],
  "header names in small letters": [
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`,
  ],
  "no type": [`HTTP/1.1 200 OK\r\n${LENGTH}\r\n${BODY}`],
  "another type": [OK.replace("application/json", "text/html")],
  "an empty body": [`${HEAD}Content-Length: 0\r\n\r\n`],
  "a long body": [
    `${HEAD}Content-Length: 1000000\r\n\r\n${"x".repeat(500_000)}`,
    "READ",
    "x".repeat(500_000),
  ],
  "gzip": encoded("gzip", gzipSync(body)),
  "GZIP": encoded("GZIP", gzipSync(body)),
  "gzip, damaged": encoded("gzip", gzipSync(body).subarray(0, 20)),
  "gzip that is none": encoded("gzip", body),
  "deflate": encoded("deflate", deflateSync(body)),
  "raw deflate": encoded("deflate", deflateRawSync(body)),
  "brotli": encoded("br", brotliCompressSync(body)),
  "identity": encoded("identity", body),
  "garbage after a good answer": [`${OK}garbage\r\n\r\n`],
};

/** In these the server acts after its answer, before the next request. */
const IDLE_SCRIPTS: Record<string, Step[]> = {
  "closed after a good answer": [OK, "CLOSE"],
  "closed a moment after a good answer": [OK, "READ", "CLOSE"],
  "bytes that nobody asked for": [OK, "READ", "more"],
};
/** Long for what a server does in between. */
const IDLE_S = 1.5;

/** Runs one user until the load says that it is enough, or the window ends. */
async function run(
  client: "lean" | "fast",
  host: string,
  windowS: number,
  isEnough: () => boolean,
  thinkTimeS = 0.04,
): Promise<{ rows: string[]; examples: Record<string, string> }> {
  const folder = mkdtempSync(join(tmpdir(), "poolscope-client-"));
  try {
    const contract = join(folder, "contract.json");
    const route = { name: "GET /posts", path: "/posts", weight: 1, status: 200 };
    writeFileSync(contract, JSON.stringify({ routes: [route], cases: [] }));
    const { argv, env, startFile } = locustCommand({
      locustfile: LOCUSTFILE,
      python: testPython(),
      host,
      scenario: {
        users: 1,
        spawnRate: 100,
        thinkTimeMinS: thinkTimeS,
        thinkTimeMaxS: thinkTimeS,
        arrivalRate: null,
        arrivals: "constant",
        client,
      },
      seed: 1,
      warmUpS: 0,
      windowS,
      folder,
      contract,
    });
    writeFileSync(startFile, "");
    const child = new Deno.Command(argv[0]!, {
      args: argv.slice(1),
      env: { ...env, POOLSCOPE_TIMEOUT_S: "1" },
      cwd: ROOT,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const timer = setInterval(() => {
      if (!isEnough()) return;
      clearInterval(timer);
      child.kill("SIGTERM");
    }, 10);
    const output = await child.output();
    clearInterval(timer);
    const log = new TextDecoder().decode(output.stderr);
    assert.equal(explainExit(output.code, output.signal, log), null, log);
    assert.doesNotMatch(log, /Traceback/);
    const { errors } = await convertRequests(folder);
    const lines = readFileSync(join(folder, "requests.csv"), "utf8").trimEnd().split("\n");
    return {
      rows: lines.slice(1).map((line) => line.split(",").slice(5).join(" ")),
      examples: Object.fromEntries(errors.map(({ error, example }) => [error, example])),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * FastHttpUser keeps a connection that has brought garbage after a good answer, although it cannot
 * tell what comes next; the lean client does not.
 */
const KEPT_BY_FAST_USER = "garbage after a good answer";

/** Status, error and bytes of each answer and of the one after it, and whether it had to connect. */
async function meet(
  client: "lean" | "fast",
  cases: Record<string, Step[]>,
  thinkTimeS?: number,
): Promise<string[]> {
  // A good answer after each: what is left of the one before shows in it.
  const scripts = Object.values(cases).flatMap((script) => [script, [OK]]);
  await using server = await ScriptedServer.start(scripts);
  const { rows } = await run(
    client,
    server.url,
    120,
    () => server.connectionOf.length > scripts.length,
    thinkTimeS,
  );
  return scripts.map((_, i) => {
    const name = Object.keys(cases)[i >> 1]!;
    const isNew = i > 0 && server.connectionOf[i - 1] !== server.connectionOf[i] &&
      !(i % 2 === 1 && name === KEPT_BY_FAST_USER);
    return `${name}${i % 2 ? ", then" : ""}: ${rows[i]}${isNew ? " (new connection)" : ""}`;
  });
}

Deno.test("the lean client records what FastHttpUser does, whatever the server does", async () => {
  const [lean, fast] = await Promise.all([meet("lean", SCRIPTS), meet("fast", SCRIPTS)]);
  assert.deepEqual(lean, fast);
  // The comparison says something: all kinds of outcome are there.
  const errors = ["timeout", "HTTPParseError", "ConnectionResetError", "HTTP 302", "wrong body"];
  for (const error of ["connection closed", ...errors]) {
    assert.ok(fast.some((row) => row.includes(error)), error);
  }
});

Deno.test("the lean client leaves a connection that the server is done with as FastHttpUser does", async () => {
  const [lean, fast] = await Promise.all(
    (["lean", "fast"] as const).map((client) => meet(client, IDLE_SCRIPTS, IDLE_S)),
  );
  assert.deepEqual(lean, fast);
});

Deno.test("the lean client says that a connection was refused as FastHttpUser does", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const seen = [];
  for (const client of ["lean", "fast"] as const) {
    const { rows, examples } = await run(client, `http://127.0.0.1:${port}`, 0.5, () => false);
    delete examples["unfinished"]; // the end may find one on its way
    seen.push({ kinds: [...new Set(rows)].filter((row) => !/unfinished/.test(row)), examples });
  }
  assert.deepEqual(seen[0], seen[1]);
  assert.deepEqual(seen[0]!.kinds, ["0 ConnectionRefusedError 0"]);
});
