// test lane: checkout
/** Several of each service side by side, on this machine and on a third kind of host. */

import { deepEqual, ok } from "node:assert/strict";
import { rmSync } from "node:fs";
import type { Host, Instance, InstanceOptions } from "../hosts/host.ts";
import { LocalHost } from "../hosts/local/local_host.ts";
import { createScenario } from "../scenario.ts";
import { setUp } from "../setup/mod.ts";
import { reachableFolder } from "../setup/stage.ts";
import { findLeftovers } from "../testing/leftovers.ts";
import { NamespaceHost, UNSHARE } from "../testing/namespace_host/namespace_host.ts";
import { oneRun } from "../testing/one_run.ts";
import { override } from "../testing/override.ts";
import { standSideBySide } from "../testing/side_by_side.ts";
import type { Engine } from "./engine.ts";
import { LocalEngine } from "./local.ts";

const tools = await setUp();
const folder = reachableFolder("postgres", tools.user);
/** All 20 cycles instead of two. */
const CYCLES = Deno.env.get("POOLSCOPE_FULL") === "1" ? 20 : 2;

async function cycle(engine: Engine): Promise<void> {
  const own = Deno.makeTempDirSync({ prefix: "poolscope-arms-" });
  try {
    const { firstS, secondS } = await standSideBySide(engine, own);
    console.log(`  ${firstS.toFixed(2)} s, the second after ${secondS.toFixed(2)} s more`);
  } finally {
    rmSync(own, { recursive: true });
  }
}

Deno.test("two arms stand side by side and a third starts beside them; nothing is left", async () => {
  const before = findLeftovers();
  for (let i = 0; i < CYCLES; i++) {
    await using engine = new LocalEngine(tools);
    await cycle(engine);
  }
  deepEqual(findLeftovers().filter((line) => !before.includes(line)), []);
});

Deno.test("so they do on a third kind of host, which is one folder", async () => {
  const [unshare, ...options] = UNSHARE;
  const tried = new Deno.Command(unshare, { args: [...options, "true"], stderr: "null" });
  if (!tried.outputSync().success) {
    console.log("  skipped: this user may not make namespaces");
    return;
  }
  const before = findLeftovers();
  {
    await using engine = new LocalEngine(tools, undefined, { host: new NamespaceHost({ folder }) });
    await cycle(engine);
  }
  deepEqual(findLeftovers().filter((line) => !before.includes(line)), []);
});

/** A host on which one step of one service fails. */
function troublesome(service: string, step: keyof Instance | "place" | "network"): Host {
  const host = new LocalHost({ folder });
  const fail = () => Promise.reject(new Error(`no ${step} of ${service}`));
  return override<Host>(host, {
    ...(step === "network" && { network: fail }),
    place(options: InstanceOptions) {
      if (options.service !== service) return host.place(options);
      if (step === "place") throw new Error(`no place of ${service}`);
      return override(host.place(options), { [step]: fail });
    },
  });
}

Deno.test("whatever step of a start fails is told, and nothing of the run is left", async () => {
  const before = findLeftovers();
  const own = Deno.makeTempDirSync({ prefix: "poolscope-arms-" });
  Deno.mkdirSync(`${own}/logs`);
  const values = {
    framework: "flask",
    path: "pooled",
    users: 1,
    workers: 1,
    rttPgbouncerDbMs: 1,
  } as const;
  const scenario = createScenario({ ...values, rttAppPgbouncerMs: 0, rttAppDbMs: 1 });
  const run = oneRun(scenario);
  const services = ["postgres", "pgbouncer", "network", "app"];
  const steps = [
    ...services.flatMap((name) => (["place", "start", "address"] as const).map((s) => [name, s])),
    ["the run", "network"],
  ] as [string, keyof Instance | "place" | "network"][];
  for (const [service, step] of steps) {
    await using engine = new LocalEngine(tools, undefined, { host: troublesome(service, step) });
    const ended = await engine.startRun(run, own).then(() => "started", (error) => error.message);
    ok(ended.includes(`no ${step} of ${service}`), `${step} of ${service}: ${ended}`);
    const left = findLeftovers().filter((line) => !before.includes(line));
    deepEqual(left.filter((line) => !/keeper|owned/.test(line)), [], `${step} of ${service}`);
  }
  rmSync(own, { recursive: true });
  deepEqual(findLeftovers().filter((line) => !before.includes(line)), []);
});
