/** Distances between containers, measured: alone. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { dockerTests } from "./testing/docker.ts";
import { Runs } from "./testing/docker_runs.ts";

const dockerTest = await dockerTests("distances between containers");

Deno.test(dockerTest(
  "legs take the scenario's time and are encrypted, in containers as in processes",
  async (docker) => {
    await using runs = await Runs.open(docker.daemon);
    const settings = { rttAppDbMs: 2, rttAppPgbouncerMs: 0.5, rttPgbouncerDbMs: 2, tlsAppDb: true };
    for (const [framework, path] of [["flask", "direct"], ["fastapi", "pooled"]] as const) {
      const { manifest, folder } = await runs.run({ framework, path, ...settings });
      equal(manifest.cause, null);
      const { method, legs, deliveries } = manifest.network!;
      equal(method, "relay");
      const asked = path === "direct" ? { appDb: 2 } : { appPgbouncer: 0.5, pgbouncerDb: 2 };
      deepEqual(Object.keys(legs), Object.keys(asked));
      for (const { rttMs, tls } of Object.values(legs)) {
        ok(Math.abs(rttMs.measured! - rttMs.asked) <= Math.max(0.25, 0.1 * rttMs.asked));
        match(tls.inForce!, /^TLSv1\.[23] /);
      }
      for (const leg of Object.values(deliveries)) ok(leg.roundTrips > 10 && leg.chunks > 20);
      equal(manifest.verification!.throughPgbouncer, path === "pooled");
      match(readFileSync(join(folder, "resources.csv"), "utf8"), /,network,\d/);
    }
    // The same server, whose TLS nobody asks for any more.
    const { manifest } = await runs.run({ framework: "django", path: "pooled" });
    deepEqual(manifest.network!.legs.pgbouncerDb, {
      rttMs: { asked: 0, measured: null },
      tls: { asked: false, inForce: null },
    });
  },
));
