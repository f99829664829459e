/**
 * What the test files can run beside. A file says so in its first line, `// test lane: NAME`; without
 * that line it runs alone, after the lanes, as what measures must.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { ROOT } from "../store/layout.ts";

/**
 * The lanes. Each runs its files one after the other, side by side with the other lanes. Tests look for
 * what a start left in their checkout, so that all lanes but the first have a copy of it. What a lane's
 * tests assert must hold on a machine that has other things to do.
 *
 * - `checkout`: most tests.
 * - `docker`: all tests of Docker, each of which takes what is on the daemon for its own.
 * - `copy`, and `docker` too: as many others as make the lanes equally long.
 */
export const LANES = ["checkout", "copy", "docker"] as const;

/** Whether Docker's images are built first, by `deno task images --offline`. */
export const OFFLINE_IMAGES = Deno.env.get("POOLSCOPE_OFFLINE_IMAGES") === "1";

/** A lane, or none: alone. */
export type Lane = (typeof LANES)[number] | "alone";

/** How a file's first line names its lane. */
export const LANE_LINE = /^\/\/ test lane: (\S+)$/;

/**
 * The lane of a test file.
 *
 * @param text The file's text.
 * @throws {Error} If there is no lane of that name.
 */
export function laneOf(text: string): Lane {
  const name = LANE_LINE.exec(text.slice(0, text.indexOf("\n")))?.[1];
  if (name === undefined) return "alone";
  const lane = LANES.find((lane) => lane === name);
  if (lane === undefined) throw new Error(`No test lane "${name}"; lanes are ${LANES.join(", ")}`);
  return lane;
}

/** All test files of `lib/` by lane, from the checkout's folder. */
export function testLanes(): Record<Lane, string[]> {
  const lanes: Record<Lane, string[]> = { checkout: [], copy: [], docker: [], alone: [] };
  const names = readdirSync(join(ROOT, "lib"), { recursive: true }).map(String).sort();
  for (const name of names.filter((name) => name.endsWith("_test.ts"))) {
    const path = join(ROOT, "lib", name);
    lanes[laneOf(readFileSync(path, "utf8"))].push(relative(ROOT, path));
  }
  return lanes;
}
