// test lane: checkout
import { deepEqual, equal, match, throws } from "node:assert/strict";
import { UsageError } from "../errors.ts";
import { parseDuration, parseSize, readCompose, splitWords, toCreateBody } from "./compose.ts";
import { interpolate } from "./interpolate.ts";

/** One file's project. */
function read(text: string, variables: Record<string, string> = {}) {
  return readCompose([{ name: "compose.yml", text }], variables);
}

/** The service `app` of files that override each other. */
function app(...texts: string[]) {
  const files = texts.map((text, i) => ({ name: `${i}.yml`, text }));
  return readCompose(files).services.app!;
}

Deno.test("interpolate() has the specification's forms, nested and with an empty value", () => {
  const variables = { A: "a", EMPTY: "" };
  const cases: [string, string][] = [
    ["$A-${A}", "a-a"],
    ["${B}", ""],
    ["${B:-d}/${EMPTY:-d}/${A:-d}", "d/d/a"],
    ["${B-d}/${EMPTY-d}/${A-d}", "d//a"],
    ["${B:+r}/${EMPTY:+r}/${A:+r}", "//r"],
    ["${B+r}/${EMPTY+r}/${A+r}", "/r/r"],
    ["${A:?must}${A?must}${EMPTY?must}", "aa"],
    ["${B:-${C:-${A}}}", "a"],
    ["${B:-x${A}y}z", "xayz"],
    ["$$A $${A} $$$A", "$A ${A} $a"],
    ["${B:-$$}", "$"],
    ["${B:-a:b-c?d}", "a:b-c?d"],
    ["no variable", "no variable"],
  ];
  for (const [text, expected] of cases) equal(interpolate(text, variables, "here"), expected, text);
  for (
    const [text, message] of [
      ["${B:?give a B}", /Cannot read here: the variable B is missing: give a B/],
      ["${EMPTY:?not empty}", /EMPTY is missing: not empty/],
      ["${B?absent}", /absent/],
      ["${", /a brace is not closed/],
      ["${B:-${A}", /a brace is not closed/],
      ["${1}", /has no name/],
      ["${A!}", /"!" is none of/],
      ["cost: $ 5", /write \$\$ for a dollar sign/],
    ] as const
  ) throws(() => interpolate(text, variables, "here"), message, text);
});

Deno.test("parseSize() and parseDuration() read Docker's units, and nothing else", () => {
  const sizes: [string, number | null][] = [
    ...[["512M", 2 ** 29], ["512mb", 2 ** 29], ["1g", 2 ** 30], ["1.5k", 1536], ["64", 64]] as [
      string,
      number,
    ][],
    ...[["0", 0], ["7b", 7], ["2GiB", 2 ** 31]] as [string, number][],
    ...["", "M", "5x", "-1M", "1 2M"].map((text): [string, null] => [text, null]),
  ];
  for (const [text, bytes] of sizes) equal(parseSize(text), bytes, text);
  const times: [string, number | null][] = [
    ...[["1m30s", 9e10], ["500ms", 5e8], ["1.5s", 1.5e9], ["10us", 1e4], ["2h", 7.2e12]] as [
      string,
      number,
    ][],
    ...["", "5", "s", "1d", "1m 30s"].map((text): [string, null] => [text, null]),
  ];
  for (const [text, ns] of times) equal(parseDuration(text), ns, text);
});

Deno.test("splitWords() splits as a shell does, without expanding", () => {
  deepEqual(splitWords(`a "b c" 'd "e' f\\ g h"i"j "k\\"l" ''`), [
    "a",
    "b c",
    `d "e`,
    "f g",
    "hij",
    `k"l`,
    "",
  ]);
  deepEqual(splitWords("  "), []);
  equal(splitWords(`say "unclosed`), null);
});

Deno.test("readCompose() turns a service into Docker's create request", () => {
  const service = read(
    `
name: example
services:
  app:
    image: web:\${TAG:-1}
    command: python -m app --title "a b"
    entrypoint: ["/bin/entry"]
    environment: [A=1, "B=x=y", C, MISSING]
    ports: ["127.0.0.1:8000:8000", "127.0.0.1:0:9000", "127.0.0.1::53/udp", {target: 7, published: "70"}]
    healthcheck: {test: [CMD, pg_isready, -q], interval: 1s, timeout: 500ms, retries: 3, start_period: 1m30s}
    deploy: {resources: {limits: {cpus: '0.5', memory: 512M, pids: 100}}}
    cpuset: 0-1
    sysctls: {net.core.somaxconn: 4096}
    secrets: [plain, {source: other, target: pw, uid: "999", gid: "998", mode: 0600}]
    user: "999"
    working_dir: /srv
    init: true
    stop_signal: SIGQUIT
    stop_grace_period: 2s
    ulimits: {nofile: {soft: 10, hard: 20}, nproc: 5}
    cap_drop: [ALL]
    security_opt: [no-new-privileges:true]
    read_only: true
    tmpfs: ["/run:size=1m", /tmp]
    shm_size: 64m
    labels: {a.b: c}
secrets: {plain: {file: ./plain}, other: {environment: PW}}
`,
    { TAG: "2", C: "from outside" },
  ).services.app!;
  deepEqual(toCreateBody(service), {
    Image: "web:2",
    Cmd: ["python", "-m", "app", "--title", "a b"],
    Entrypoint: ["/bin/entry"],
    Env: ["A=1", "B=x=y", "C=from outside"],
    User: "999",
    WorkingDir: "/srv",
    StopSignal: "SIGQUIT",
    StopTimeout: 2,
    Labels: { "a.b": "c" },
    ExposedPorts: { "8000/tcp": {}, "9000/tcp": {}, "53/udp": {}, "7/tcp": {} },
    Healthcheck: {
      Test: ["CMD", "pg_isready", "-q"],
      Interval: 1e9,
      Timeout: 5e8,
      StartPeriod: 9e10,
      Retries: 3,
    },
    HostConfig: {
      PortBindings: {
        "8000/tcp": [{ HostIp: "127.0.0.1", HostPort: "8000" }],
        "9000/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }],
        "53/udp": [{ HostIp: "127.0.0.1", HostPort: "" }],
        "7/tcp": [{ HostIp: "", HostPort: "70" }],
      },
      Ulimits: [{ Name: "nofile", Soft: 10, Hard: 20 }, { Name: "nproc", Soft: 5, Hard: 5 }],
      CpuPeriod: 100_000,
      CpuQuota: 50_000,
      Memory: 2 ** 29,
      PidsLimit: 100,
      CpusetCpus: "0-1",
      Sysctls: { "net.core.somaxconn": "4096" },
      Init: true,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges:true"],
      ReadonlyRootfs: true,
      Tmpfs: { "/run": "size=1m", "/tmp": "" },
      ShmSize: 2 ** 26,
    },
  });
  deepEqual(service.secrets, [
    { source: "plain", target: "/run/secrets/plain", uid: null, gid: null, mode: 0o444 },
    { source: "other", target: "/run/secrets/pw", uid: 999, gid: 998, mode: 0o600 },
  ]);
  deepEqual(service.networks, { default: [] });
});

Deno.test("readCompose() reads every form of a health check", () => {
  const test = (yaml: string) =>
    app(`services: {app: {image: x, healthcheck: {test: ${yaml}}}}`).healthcheck?.test;
  deepEqual(test("[CMD, a, b]"), ["CMD", "a", "b"]);
  deepEqual(test('[CMD-SHELL, "a || b"]'), ["CMD-SHELL", "a || b"]);
  deepEqual(test('"a || b"'), ["CMD-SHELL", "a || b"]);
  deepEqual(test("[NONE]"), ["NONE"]);
  deepEqual(app("services: {app: {image: x, healthcheck: {disable: true}}}").healthcheck?.test, [
    "NONE",
  ]);
  throws(() => test("[a, b]"), /key healthcheck.test: a list begins with NONE, CMD or CMD-SHELL/);
});

Deno.test("readCompose() merges override files as the specification says", () => {
  const base = `
services:
  db: {image: db}
  app:
    image: base
    build: {context: .., args: {A: 1, B: 2}}
    command: [one, two]
    environment: {A: base, B: base}
    ports: ["127.0.0.1:1:1"]
    depends_on: [db]
    secrets: [{source: s, target: t, mode: 0400}]
    healthcheck: {test: [CMD, old], interval: 1s}
    cap_add: [A]
    labels: [x=1]
secrets: {s: {file: s}}
`;
  const merged = app(
    base,
    `
services:
  app:
    build: {context: .., dockerfile: Other, args: [B=3]}
    command: three
    environment: [B=over, C=over]
    ports: ["127.0.0.1:2:2", "127.0.0.1:1:1"]
    depends_on: {db: {condition: service_healthy}}
    secrets: [{source: s, target: t, mode: 0600}]
    healthcheck: {interval: 5s}
    cap_add: [B, A]
    labels: {y: 2}
    deploy: {resources: {limits: {cpus: 1}}}
`,
  );
  deepEqual(merged.build, {
    context: "..",
    dockerfile: "Other",
    target: null,
    args: { A: "1", B: "3" },
  });
  deepEqual(merged.command, ["three"]);
  deepEqual(merged.environment, { A: "base", B: "over", C: "over" });
  deepEqual(merged.ports.map(({ target }) => target), [1, 2]);
  deepEqual(merged.dependsOn, { db: "service_healthy" });
  deepEqual(merged.secrets.map(({ mode }) => mode), [0o600]);
  deepEqual(merged.healthcheck, { test: ["CMD", "old"], interval: 5e9 });
  deepEqual(merged.capAdd, ["A", "B"]);
  deepEqual(merged.labels, { x: "1", y: "2" });
  equal(merged.cpus, 1);
  equal(merged.image, "base");

  const taken = app(
    base,
    `
services:
  app:
    ports: !reset []
    environment: {A: !reset null}
    cap_add: !override [C]
    command: !override [four]
`,
  );
  deepEqual(taken.ports, []);
  deepEqual(taken.environment, { B: "base" });
  deepEqual(taken.capAdd, ["C"]);
  deepEqual(taken.command, ["four"]);
});

Deno.test("readCompose() knows anchors, merge keys and extension fields", () => {
  const { services } = read(`
x-common: &common
  image: x
  environment: &env {A: 1, B: "\${B:-2}"}
services:
  one: *common
  two:
    <<: *common
    environment: {<<: *env, B: 3}
    x-note: nothing
`);
  deepEqual(services.one?.environment, { A: "1", B: "2" });
  deepEqual(services.two?.environment, { A: "1", B: "3" });
  equal(services.two?.image, "x");
});

Deno.test("readCompose() has no limit for 0, and for one that is taken back", () => {
  const none = app(
    "services: {app: {image: x, deploy: {resources: {limits: {cpus: '0', memory: 0}}}}}",
  );
  deepEqual([none.cpus, none.memory], [null, null]);
  equal(toCreateBody(none).HostConfig.CpuQuota, undefined);
  const back = app(
    "services: {app: {image: x, deploy: {resources: {limits: {cpus: 1, memory: 1g}}}}}",
    "services: {app: {deploy: {resources: {limits: {cpus: !reset null}}}}}",
  );
  deepEqual([back.cpus, back.memory], [null, 2 ** 30]);
});

Deno.test("readCompose() refuses what it does not support, naming file, service and key", () => {
  const service = (yaml: string) => `services: {app: {image: x, ${yaml}}}`;
  const cases: [string, RegExp][] = [
    [service("privileged: true"), /compose\.yml, service app, key privileged: this key is not/],
    [service("restart: always"), /service app, key restart: this key/],
    [service("volumes: [a:b]"), /service app, key volumes: this key/],
    [service("build: {context: ., ssh: x}"), /service app, key build\.ssh: this key/],
    [service("deploy: {replicas: 2}"), /service app, key deploy\.replicas: this key/],
    [
      service("deploy: {resources: {reservations: {cpus: 1}}}"),
      /key deploy\.resources\.reservations: this key/,
    ],
    [service("healthcheck: {start_interval: 1s}"), /key healthcheck\.start_interval: this key/],
    [
      service("depends_on: {db: {condition: service_started, restart: true}}"),
      /key depends_on\.db/,
    ],
    [service("ports: ['80-90:80-90']"), /key ports\.0: "80-90:80-90" is no port/],
    [service("deploy: {resources: {limits: {memory: lots}}}"), /"lots" is no size/],
    [service("deploy: {resources: {limits: {cpus: half}}}"), /"half" is no number of cores/],
    [service("healthcheck: {interval: 5}"), /"5" is no duration/],
    [service("depends_on: [db]"), /key depends_on: there is no service db/],
    [service("secrets: [s]"), /key secrets: s is not declared/],
    [service("networks: [n]"), /key networks: n is not declared/],
    [service("init: 1"), /must be true or false/],
    [service("command: 'a \"b'"), /a quotation mark is not closed/],
    [service("environment: {A: '${B?no B}'}"), /service app, key environment\.A: the variable B/],
    ["services: {app: {command: x}}", /service app: it has neither image nor build/],
    ["volumes: {data: {}}", /compose\.yml, key volumes: this key/],
    ["version: '3'", /key version: this key/],
    ["services: []", /key services: it must be a mapping/],
    ["services: {app: {image: x, image: y}}", /Map keys must be unique/],
    ["services: !weird {}", /Unresolved tag: !weird/],
    ["- a", /it must be a mapping/],
  ];
  for (const [yaml, message] of cases) {
    throws(() => read(yaml), (error: Error) => {
      equal(error instanceof UsageError, true, yaml);
      match(error.message, message, yaml);
      equal(error.message.includes("\n"), false);
      return true;
    });
  }
});
