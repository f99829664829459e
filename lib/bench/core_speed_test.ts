import { equal } from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { coreSpeed, CoreWatches } from "./core_speed.ts";
import { median } from "../stats/percentile.ts";
import { benchPython } from "./load.ts";

type Span = { startUs: number; endUs: number };

Deno.test({
  name: "CoreWatches tells a core that is as fast as before when it is busy",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    await using watches = new CoreWatches(await benchPython(new AbortController().signal));
    const now = () => (performance.timeOrigin + performance.now()) * 1000;
    await sleep(4000); // until all are ready
    const burners = [0, 1].map(() =>
      new Deno.Command("sh", { args: ["-c", "while :; do :; done"] }).spawn()
    );
    const spans = { busy: [] as Span[], idle: [] as Span[] };
    for (let i = 0; i < 20; i++) {
      for (const [kind, signal] of [["busy", "SIGCONT"], ["idle", "SIGSTOP"]] as const) {
        burners.forEach((burner) => burner.kill(signal));
        const startUs = now();
        await sleep(100);
        spans[kind].push({ startUs, endUs: now() });
      }
    }
    burners.forEach((burner) => burner.kill("SIGKILL"));
    await Promise.all(burners.map((burner) => burner.status));
    for (const times of await watches.stop()) {
      const [busy, idle] = [spans.busy, spans.idle].map((all) => {
        // The host may take a core away for longer than a span.
        const own = all.filter(({ startUs, endUs }) =>
          times.atUs.some((at) => at >= startUs && at < endUs)
        );
        equal(own.length > all.length / 2, true, `watched in ${own.length} of ${all.length} spans`);
        return median(own.map((span) => coreSpeed(times, span)))!;
      }) as [number, number];
      // A core that shared its time between both would be half as fast; siblings are a bit slower.
      equal(busy / idle > 0.55, true, `${idle} when idle, ${busy} when busy`);
    }
  },
});
