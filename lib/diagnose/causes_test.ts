// test lane: checkout
import { equal, match } from "node:assert/strict";
import { createScenario } from "../scenario.ts";
import { type Evidence, findCause, hasLostProcess } from "./causes.ts";

const scenario = createScenario({
  framework: "fastapi",
  path: "direct",
  users: 1000,
  workers: 4,
  poolSize: 40,
});
const none: Evidence = {
  scenario,
  step: "load",
  logs: {},
  exited: {},
  memoryKills: {},
  freeMiB: null,
  requests: 0,
  failures: 0,
  errors: [],
  thrown: null,
};

function cause(evidence: Partial<Evidence>): string {
  return findCause({ ...none, ...evidence });
}

Deno.test("findCause() names too many clients with the arithmetic behind it", () => {
  const sentence = "FastAPI direct: PostgreSQL refused connections (too many clients already): ";
  const logs = { app: "asyncpg: sorry, too many clients already" };
  equal(cause({ logs }), sentence + "4 workers × 40 > max_connections 100");
  const postgres = "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER";
  equal(cause({ logs: { postgres } }), sentence + "4 workers × 40 > max_connections 100");
  equal(
    cause({ logs, scenario: { ...scenario, reuse: "per_request" } }),
    sentence + "a connection for each request of 1000 users > max_connections 100",
  );
});

Deno.test("findCause() names PgBouncer's and the app's own waiting limits", () => {
  const pooled = createScenario({ framework: "flask", path: "pooled", users: 1000 });
  equal(
    cause({ scenario: pooled, logs: { app: "psycopg.errors: query_wait_timeout" } }),
    "Flask pooled: PgBouncer disconnected clients that waited longer than query_wait_timeout 15 s for a server connection (default_pool_size 20)",
  );
  equal(
    cause({ logs: { app: "QueuePool limit of size 40 overflow 0 reached, timeout 30.00" } }),
    "FastAPI direct: requests waited longer than 30 s for a connection of the app's own pool of 40",
  );
});

Deno.test("findCause() falls back to exits, then errors thrown, then the requests' errors", () => {
  equal(
    cause({ step: "verify", exited: { app: 3 }, logs: { app: "one\nno port\n" }, thrown: "x" }),
    "FastAPI direct: the app exited with code 3 before the load (no port)",
  );
  equal(
    cause({ thrown: "the app broke the contract" }),
    "FastAPI direct: the app broke the contract",
  );
  const errors = [
    { error: "unfinished", count: 90, example: "" },
    { error: "HTTP 500", count: 7, example: "" },
    { error: "timeout", count: 3, example: "" },
  ];
  const counts = { requests: 200, failures: 10, errors };
  equal(
    cause(counts),
    'FastAPI direct: 10 of 200 requests failed, 7 of them with "HTTP 500"',
  );
  equal(
    cause({
      ...counts,
      requests: 10,
      logs: { app: "ERROR: GET /x failed: DataError: bad\nINFO: y" },
    }),
    'FastAPI direct: all 10 requests failed, 7 of them with "HTTP 500"; the app\'s log says: DataError: bad',
  );
  equal(cause({}), "FastAPI direct: no request was answered in the window");
});

Deno.test("findCause() names the service that took the others along", () => {
  equal(
    cause({ exited: { app: 1, pgbouncer: 1, postgres: 137 }, requests: 80, failures: 5 }),
    "FastAPI direct: PostgreSQL was killed by signal 9 during the load, after 80 requests of which 5 failed",
  );
});

Deno.test("findCause() tells of memory by the kernel's count, before the exit that it caused", () => {
  equal(
    cause({ exited: { postgres: 137 }, memoryKills: { app: 0, postgres: 1 } }),
    "FastAPI direct: PostgreSQL ran out of memory at its limit of 512 MiB (processes killed by the kernel: 1)",
  );
});

Deno.test("findCause() tells of a full disk by what was thrown, by logs, and by the space left", () => {
  const thrown = 'Cannot clone the database: could not write "base/5/16": No space left on device';
  equal(
    cause({ thrown }),
    "FastAPI direct: the disk is full (no space left on device): cannot clone the database",
  );
  equal(
    cause({ thrown: "unexpected error: ENOSPC: no space left on device, write" }),
    "FastAPI direct: the disk is full (no space left on device): cannot write the run's files",
  );
  const postgres = 'ERROR:  could not extend file "base/16403/16415": No space left on device';
  equal(
    cause({ logs: { postgres } }),
    "FastAPI direct: the disk is full (no space left on device, says PostgreSQL)",
  );
  equal(
    cause({ freeMiB: 0.1, thrown: "x" }),
    "FastAPI direct: the disk is full: there is no space left for the run's files",
  );
});

Deno.test("hasLostProcess() is true for a crash that cost few requests, false for failures alone", () => {
  const postgres = "LOG:  server process (PID 7) was terminated by signal 11: Segmentation fault";
  const app = "[ERROR] Worker (pid:9) was sent SIGKILL! Perhaps out of memory?";
  equal(hasLostProcess({ ...none, logs: { postgres }, requests: 9000, failures: 3 }), true);
  // Each server has its own words, in its app's app.json; before the load they tell nothing.
  const flask = createScenario({ framework: "flask", path: "direct", users: 1000 });
  equal(hasLostProcess({ ...none, scenario: flask, logs: { app } }), true);
  equal(hasLostProcess({ ...none, logs: { app: "Child process [7] died" } }), true);
  equal(hasLostProcess({ ...none, step: "verify", scenario: flask, logs: { app } }), false);
  equal(hasLostProcess({ ...none, memoryKills: { app: 1 } }), true);
  equal(hasLostProcess({ ...none, exited: { app: 0 } }), true);
  equal(hasLostProcess({ ...none, logs: { app: "too many clients already" }, failures: 9 }), false);
  equal(
    cause({ scenario: flask, logs: { app }, requests: 900, failures: 2 }),
    "Flask direct: the app lost a worker process by SIGKILL: 2 of 900 requests failed",
  );
});

const pooled = createScenario({ framework: "flask", path: "pooled", users: 64 });
/** What Flask's log says when nothing but a broken connection reached it. */
const CLOSED =
  "[2026-11-29 14:38:47,508] ERROR in errors: GET /users/1 failed: OperationalError: consuming input failed: server closed the connection unexpectedly This probably means the server terminated abnormally before or while processing the request.";

/** The cause of a pooled run that failed before the load, from lines of a log as they were written. */
function pooledCause(logs: Record<string, string>, evidence: Partial<Evidence> = {}): string {
  const thrown = "the app broke the contract: GET /users/1 gave status 500 instead of 200 ({})";
  const found = cause({
    scenario: pooled,
    step: "verify",
    thrown,
    logs: { app: CLOSED, ...logs },
    ...evidence,
  });
  return found.replace(/^Flask pooled: /, "");
}

Deno.test("findCause() takes PgBouncer's own words before those of the app, and says what works", () => {
  const time = "2026-11-29 14:36:14.446 UTC [30325]";
  const client = "C-0x55558e7ec990: (nodb)/(nouser)@127.0.0.1:35436";
  const own = "C-0x55557b87a770: app/app@127.0.0.1:50920";
  const parameter = "PgBouncer refuses the startup parameter ";
  const remedy =
    ": add it to ignore_startup_parameters (it is then ignored), or set it another way";
  const login = "correct user, password and dbname in [databases] and auth_file";
  const cases: [string, string][] = [
    [
      `${time} WARNING ${client} unsupported startup parameter in options: jit=off`,
      `${parameter}jit${remedy}`,
    ],
    [
      `${time} WARNING ${client} pooler error: unsupported startup parameter: options`,
      `${parameter}options${remedy}`,
    ],
    [
      `${time} WARNING ${client} pooler error: unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed`,
      `${parameter}options${remedy}`,
    ],
    [
      `${time} LOG ${client} no such user: app
${time} ERROR C-0x5555571b4b80: (nodb)/app@127.0.0.1:36696 password authentication failed
${time} WARNING C-0x5555571b4b80: (nodb)/app@127.0.0.1:36696 pooler error: SASL authentication failed`,
      "PgBouncer refuses the app's login (no such user: app): give the user a line in auth_file, or set an auth_user that can look it up",
    ],
    [
      `${time} ERROR C-0x55556ec373c0: app/app@127.0.0.1:40644 password authentication failed
${time} WARNING C-0x55556ec373c0: app/app@127.0.0.1:40644 pooler error: SASL authentication failed`,
      "PgBouncer refuses the app's login (password authentication failed for user \"app\"): correct the user's line in auth_file",
    ],
    [
      `${time} WARNING server login failed: FATAL password authentication failed for user "nobody"
${time} WARNING ${own} pooler error: password authentication failed for user "nobody"
${time} WARNING ${own} pooler error: query_wait_timeout`,
      `PgBouncer cannot log in to PostgreSQL (password authentication failed for user "nobody"): ${login}`,
    ],
    [
      `${time} WARNING server login failed: FATAL database "nodb" does not exist`,
      `PgBouncer cannot log in to PostgreSQL (database "nodb" does not exist): ${login}`,
    ],
    [
      `${time} ERROR S: error in auth_query: ERROR: permission denied for view pg_shadow
${time} WARNING C-0x55555b93f770: app/(nouser)@127.0.0.1:45392 pooler error: bouncer config error`,
      "PgBouncer cannot look up the app's user (auth_query: permission denied for view pg_shadow): give auth_user the right to it, or the user a line in auth_file",
    ],
    [
      `${time} WARNING DNS lookup failed: no.such.host.invalid: result=0`,
      "PgBouncer finds no address for no.such.host.invalid (DNS lookup failed): correct host in [databases]",
    ],
    [
      `${time} WARNING C-0x555581919990: (nodb)/app@127.0.0.1:37478 pooler error: no such database: app`,
      "PgBouncer refuses the app (no such database: app): add the name to [databases]",
    ],
    [
      `${time} WARNING ${own} pooler error: no more connections allowed (max_client_conn)`,
      "PgBouncer refused connections: max_client_conn 10000 is reached",
    ],
    [
      `${time} WARNING ${own} pooler error: transaction blocks not allowed in statement pooling mode`,
      "the app uses transactions, which pool_mode statement does not allow: set poolMode=transaction or poolMode=session",
    ],
    [
      `${time} WARNING ${own} pooler error: some words that nobody has seen yet`,
      "PgBouncer closed clients' connections (some words that nobody has seen yet)",
    ],
  ];
  for (const [pgbouncer, sentence] of cases) equal(pooledCause({ pgbouncer }), sentence);
});

Deno.test("findCause() tells where PgBouncer looks for a PostgreSQL that does not answer", () => {
  const thrown = "the app broke the contract: GET /users/1 gave no answer within 15 s";
  const pooler = { connected: false, waiting: 8, target: "127.0.0.1:1" };
  const sentence =
    "PgBouncer gets no connection to PostgreSQL at 127.0.0.1:1: correct host and port in [databases]";
  equal(pooledCause({}, { thrown, pooler }), sentence);
  const pgbouncer = "WARNING C-0x1: app/app@127.0.0.1:1 pooler error: query_wait_timeout";
  equal(pooledCause({ pgbouncer }, { pooler: { ...pooler, waiting: 0 } }), sentence);
  equal(pooledCause({}, { thrown, pooler: { ...pooler, waiting: 0 } }), thrown);
  const other = "WARNING C-0x1: app/(nouser)@127.0.0.1:45392 pooler error: bouncer config error";
  match(
    pooledCause({ pgbouncer: other }, { pooler }),
    /closed clients' connections \(bouncer config/,
  );
  match(
    pooledCause({ pgbouncer }, { pooler: { ...pooler, connected: true } }),
    /query_wait_timeout/,
  );
});

Deno.test("findCause() has one sentence for lost prepared statements, whatever the driver says", () => {
  const lines = [
    'ERROR:    GET /users/1 failed: ProgrammingError: prepared statement "__asyncpg_stmt_8__" already exists',
    'ERROR in errors: GET /posts failed: InvalidSqlStatementName: prepared statement "_pg3_0" does not exist',
    '[7039] [ERROR] POST /posts failed: OperationalError: bind message supplies 1 parameters, but prepared statement "_pg3_4" requires 0',
  ];
  const sentences = new Set(lines.map((app) => pooledCause({ app })));
  equal(sentences.size, 1);
  match(
    [...sentences][0]!,
    /set maxPreparedStatements=200, poolMode=session or preparedStatements=false$/,
  );
});

Deno.test("findCause() tells what PgBouncer refuses of its configuration", () => {
  const told = (line: string) => {
    const time = "2026-11-29 15:11:15.337 UTC [29482]";
    const pgbouncer = `${time} ERROR ${line}\n${time} FATAL cannot load config file\n`;
    return pooledCause({ pgbouncer }, { exited: { pgbouncer: 1 } });
  };
  equal(
    told(
      'invalid value "many" for parameter max_client_conn in configuration (/x/y/pgbouncer.ini:9)',
    ),
    'PgBouncer exited with code 1 before the load (invalid value "many" for parameter max_client_conn in configuration (pgbouncer.ini:9))',
  );
  equal(
    told("To allow TLS connections from clients, client_tls_key_file must be set."),
    "PgBouncer exited with code 1 before the load (To allow TLS connections from clients, client_tls_key_file must be set.)",
  );
});

Deno.test("findCause() blames PgBouncer's pool where PostgreSQL refuses PgBouncer", () => {
  const scenario = createScenario({
    framework: "django",
    path: "pooled",
    users: 300,
    threads: 64,
    defaultPoolSize: 150,
    maxConnections: 50,
  });
  const pgbouncer =
    "2026-11-29 14:40:36.323 UTC [14770] WARNING server login failed: FATAL remaining connection slots are reserved for roles with the SUPERUSER attribute";
  equal(
    cause({ scenario, logs: { pgbouncer } }),
    "Django pooled: PostgreSQL refused connections (too many clients already): PgBouncer may open " +
      "150, PostgreSQL leaves 47 (default_pool_size 150, max_connections 50)",
  );
});

Deno.test("findCause() quotes a log from the cause on, and shortens it behind that", () => {
  const prefix =
    '[2026-11-29 14:36:29,265] ERROR in errors: GET /users/11 failed: OperationalError: connection failed: connection to server at "127.0.0.1", port 37989 failed: ';
  const told = (app: string) =>
    pooledCause({ app: `${prefix}${app}\n${CLOSED}` }).split("the app's log says: ")[1]!;
  equal(told("FATAL: some cause of a server's"), "FATAL: some cause of a server's");
  const long = told(`FATAL: the cause ${"x".repeat(500)}`);
  match(long, /^FATAL: the cause x+…$/);
  equal(long.length, 160);
  equal(
    pooledCause({}).split("the app's log says: ")[1]!.slice(0, 80),
    "OperationalError: consuming input failed: server closed the connection unexpectedly T".slice(
      0,
      80,
    ),
  );
});

Deno.test("findCause() reads a refused connection and a crash in the words of other languages", () => {
  const refused =
    "FastAPI direct: the app's connections to PostgreSQL were refused: nothing listens on port 5439";
  for (
    const app of [
      "Error: connect ECONNREFUSED 127.0.0.1:5439",
      "failed to connect: dial tcp 127.0.0.1:5439: connect: connection refused",
    ]
  ) equal(cause({ logs: { app }, requests: 5, failures: 5 }), refused);
  const panic = "starting\npanic: no port\n\ngoroutine 1 [running]:";
  equal(
    cause({ step: "verify", exited: { app: 2 }, logs: { app: panic } }),
    "FastAPI direct: the app exited with code 2 before the load (panic: no port)",
  );
});
