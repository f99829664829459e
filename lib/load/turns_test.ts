/** How long the turns of arms are, and what happens when within them: alone. */

import assert from "node:assert/strict";
import { SleeplessCores } from "../testing/sleepless_cores.ts";
import { lengthUs, loadArms, type Outcome, type Slice, throughputs } from "./testing/arms.ts";
import { MisbehavingServer } from "./testing/misbehaving_server.ts";

Deno.test("an arm that is slow to answer gets longer slices, and an arm that thinks keeps its turn", async () => {
  await using fast = new MisbehavingServer(() => "ok", 2);
  await using slow = new MisbehavingServer(() => "ok", 150);
  await loadArms(
    [{ server: fast, users: 3, thinkTimeS: 0.05 }, { server: slow, users: 3 }],
    { blocksS: 3, warmUpS: 1.5 },
    ([a, b]) => {
      // A machine that is busy ends a slice late, but not all of them.
      const shortestS = ({ slices }: Outcome) =>
        Math.min(...slices.filter(({ block }) => block > 0).map(lengthUs)) / 1e6;
      assert.ok(shortestS(a!) >= 0.3 && shortestS(a!) < 0.4, `${shortestS(a!)} s`);
      assert.ok(shortestS(b!) >= 0.6 && shortestS(b!) < 0.9, `${shortestS(b!)} s`);
      // 20 service times after the ramp.
      assert.ok(lengthUs(b!.slices[0]!) > 3e6);
      // What was under way at a slice's end was waited for, which holds of all that was sent in it.
      const last = ({ start, end }: Slice) =>
        Math.max(
          ...b!.requests.filter((sent) => sent.start >= start && sent.start <= end)
            .map((sent) => sent.end),
        );
      assert.ok(b!.slices.every((slice) => last(slice) <= slice.drained));
      assert.ok(b!.slices.some((slice) => slice.end < last(slice)));
      assert.ok(throughputs(a!).every((rate) => rate > 0 && rate < 3 / 0.04), `${throughputs(a!)}`);
    },
  );
});

Deno.test("users pause in their own turns, so that a turn does not begin with all of them", async () => {
  await using pausing = new MisbehavingServer(() => "ok", 2);
  await using other = new MisbehavingServer(() => "ok", 300);
  await loadArms(
    // The other's slices are twice as long as the pauses, and these have four of them.
    [{ server: pausing, users: 20, thinkTimeS: 0.6 }, { server: other, users: 3 }],
    { blocksS: 16, warmUpS: 1.5 },
    ([arm]) => {
      const turns = arm!.slices.filter(({ block }) => block > 0);
      const sent = (from: number, to: number) =>
        arm!.requests.filter(({ start }) => start >= from && start < to).length;
      const early = turns.map(({ start }) => sent(start, start + 1e5));
      assert.ok(turns.length >= 2 && turns.every((turn) => lengthUs(turn) >= 2.4e6));
      assert.ok(early.every((count) => count <= 10), `sent in the first 100 ms: ${early}`);
      // Settling takes in a pause.
      assert.ok(turns.every(({ start, settled }) => settled - start >= 6e5));
      const rates = throughputs(arm!);
      assert.ok(rates.every((rate) => rate > 20 && rate < 20 / 0.6 * 1.1), `${rates} per second`);
    },
  );
});

Deno.test("connections that a server closes while they are idle are opened before the turn", async () => {
  await using closing = new MisbehavingServer(() => "ok", 2, 100);
  await using other = new MisbehavingServer(() => "ok", 2);
  await loadArms([{ server: closing }, { server: other }], { blocksS: 6 }, ([arm]) => {
    const begins = arm!.slices.filter(({ block }) => block > 0).map(({ start }) => start);
    assert.equal(arm!.final.failures, 0);
    // Two turns in a row leave no time to close them.
    const { reopened, connections } = arm!.final;
    assert.ok(reopened! >= 8 * begins.length / 2, `${reopened} opened before turns`);
    assert.ok(connections! < 8 * begins.length / 2, `${connections} in them`);
    // What is accepted here is told of a moment after it was connected.
    const late = closing.acceptedUs.filter((time) =>
      begins.some((begin) => time >= begin + 2e3 && time < begin + 5e4)
    );
    assert.ok(late.length < closing.connections / 2, `${late.length} of ${closing.connections}`);
  });
});

Deno.test("the same arm twice is as fast as itself", async () => {
  await using _cores = new SleeplessCores();
  // Of so long an answer little is the machine's own, whose share changes with what else it does.
  await using server = new MisbehavingServer(() => "ok", 60);
  await loadArms([{ server }, { server }], { blocksS: 20, sliceS: 2 }, (arms) => {
    const [a, b] = arms.map(throughputs) as [number[], number[]];
    const ratios = a.map((rate, i) => rate / b[i]!).sort((x, y) => x - y);
    const median = ratios[ratios.length >> 1]!;
    assert.ok(median > 0.9 && median < 1.1, `${ratios}`);
  });
});
