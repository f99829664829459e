// test lane: checkout
import { deepEqual, equal, ok } from "node:assert/strict";
import { type ArmReadings, judgeOthers, othersByBlock } from "./disturbed.ts";
import type { ResourceRow } from "./readings.ts";

const S = 1e6;
const BLOCKS = 10;

/** Cores that another program uses at a second. */
type Others = (second: number) => number;

/** Two arms in turn, a second each, from 0 s on, with readings each second, 0.4 s off. */
function start(others: Others): ArmReadings[] {
  const slicesOf = (arm: number) =>
    Array.from({ length: BLOCKS }, (_, block) => {
      const second = 2 * block + (block % 3 === 0 ? arm : 1 - arm);
      const [startUs, endUs] = [second * S, (second + 1) * S];
      return { block: block + 1, place: 1, startUs, settledUs: startUs, endUs, drainedUs: endUs };
    });
  const arms = [0, 1].map(slicesOf);
  const rowsOf = (arm: number): ResourceRow[] => {
    const used = { app: 0, locust: 0, host: 0 };
    const rows: ResourceRow[] = [];
    // In tenths of a second; each app uses a core in its turn.
    for (let tenth = -10; tenth < 10 * (2 * BLOCKS + 2); tenth++) {
      if ((tenth + 1000) % 10 === 6) {
        for (const [service, cpu_s] of Object.entries(used)) {
          rows.push({ time_us: tenth * S / 10, service, cpu_s, throttled_s: 0 });
        }
      }
      const timeUs = tenth * S / 10;
      const isTurn = (of: number) =>
        arms[of]!.some(({ startUs, endUs }) => timeUs >= startUs && timeUs < endUs);
      if (isTurn(arm)) used.app += 0.1;
      used.locust += 0.02;
      used.host += 0.02 + (isTurn(0) || isTurn(1) ? 0.1 : 0) + others(tenth / 10) / 10;
    }
    return rows;
  };
  return arms.map((slices, arm) => ({ slices, rows: rowsOf(arm) }));
}

const shares = (others: Others) => othersByBlock(start(others), 2);

Deno.test("othersByBlock() sees no others where all of the machine's time is the start's own", () => {
  const found = shares(() => 0);
  equal(found.size, BLOCKS);
  // But for the ends, where a reading is half within the blocks.
  for (const [block, share] of found) {
    if (block > 1 && block < BLOCKS) ok(share < 1e-9, `${block}: ${share}`);
    else ok(share < 0.1, `${block}: ${share}`);
  }
});

Deno.test("othersByBlock() names the blocks in which another program worked", () => {
  const found = shares((second) => second >= 6 && second < 10 ? 0.8 : 0);
  deepEqual([...found].filter(([, share]) => share > 0.1).map(([block]) => block), [4, 5]);
  ok(found.get(4)! > 0.3 && found.get(4)! <= 0.4);
});

Deno.test("judgeOthers() leaves no start with too few blocks, and drops no more than a quarter", () => {
  /** How many blocks of so many are left out, of which others took the first ones. */
  const leftOut = (blocks: number, disturbed: number) => {
    const shares = Array.from(
      { length: blocks },
      (_, i) => [i + 1, i < disturbed ? 0.11 : 0.1] as const,
    );
    const chosen = judgeOthers(new Map(shares), 0.1).leftOut;
    deepEqual([...chosen], shares.slice(0, chosen.size).map(([block]) => block));
    return chosen.size;
  };
  deepEqual([0, 1, 2, 3, 4].map((n) => leftOut(4, n)), [0, 0, 0, 0, 0]);
  deepEqual([0, 1, 2].map((n) => leftOut(5, n)), [0, 1, 0]);
  deepEqual([1, 2, 3].map((n) => leftOut(8, n)), [1, 2, 0]);
  deepEqual([0, 3].map((n) => leftOut(3, n)), [0, 0]);
  equal(leftOut(0, 0), 0);
});

Deno.test("judgeOthers() tells others of whole blocks: arms that use cores in turn are none of them", () => {
  const judge = (others: Others) => judgeOthers(shares(others), 0.2);
  ok(judge(() => 0).others! < 1e-9);
  ok(Math.abs(judge(() => 0.3).others! - 0.15) < 1e-9);
  // In the first second of every other block: what borders take from one, they give to the next.
  const some = judge((second) => second >= 0 && second % 4 < 1 ? 0.4 : 0).others!;
  ok(Math.abs(some - 0.05) < 0.01, `${some}`);
  // Of blocks that are left out, only what their borders share with others.
  const { leftOut, others } = judge((second) => second >= 6 && second < 10 ? 0.8 : 0);
  deepEqual([...leftOut], [4, 5]);
  ok(others! > 0.01 && others! < 0.015, `${others}`);
  equal(judgeOthers(new Map(), 0.2).others, null);
});

Deno.test("othersByBlock() says nothing of what was not read", () => {
  const arms = start(() => 0);
  const without = (service: string) =>
    arms.map(({ slices, rows }) => ({
      slices,
      rows: rows.filter((row) => row.service !== service),
    }));
  equal(othersByBlock(without("host"), 2).size, 0);
  equal(othersByBlock(without("locust"), 2).size, 0);
  const late = arms.map(({ slices, rows }) => ({
    slices,
    rows: rows.filter(({ time_us }) => time_us > 5 * S),
  }));
  deepEqual([...othersByBlock(late, 2).keys()], [4, 5, 6, 7, 8, 9, 10]);
});
