/** Follows a load generator to its end, and turns what it recorded into the run's files. */

import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { firstLine, PoolscopeError } from "../errors.ts";
import { readLocustTotals } from "../frames/locust.ts";
import type { Instance } from "../hosts/host.ts";
import { explainExit } from "./locust.ts";
import { checkCounts, convertRequests, type LiveSample, readFinal, readLive } from "./requests.ts";

/** How often a generator is looked at. */
const POLL_MS = 250;
/** How long it may take beyond its window, in seconds. */
const END_LIMIT_S = 30;

export interface FollowOptions {
  /** Warm-up and window in seconds. */
  loadS: number;
  signal?: AbortSignal;
  /** Whether what is loaded has broken, so that the load has no point any more. @default never */
  isBroken?: () => boolean;
  onLive?: (live: LiveSample) => void;
  /** Called once, so many seconds after the begin. @default nothing */
  at?: { seconds: number; act: () => void };
  /** Called when the load has ended, before the generator is stopped. @default nothing */
  onEnd?: () => Promise<void>;
}

/**
 * Follows a generator that was let go, until it ends, its time is over or there is a reason to end it. Its
 * `.live.json` appears in the folder.
 *
 * @returns The exit code; whether it was cut short before its time; its trouble in one sentence, or null.
 */
export async function followLoad(
  locust: Instance,
  folder: string,
  { loadS, signal, isBroken = () => false, onLive = () => {}, at, onEnd }: FollowOptions,
) {
  const begun = performance.now();
  const passedS = () => (performance.now() - begun) / 1000;
  let late = false;
  let due = at;
  let shown: number | null = null;
  while (locust.exit === null && !signal?.aborted && !isBroken()) {
    if (due !== undefined && passedS() >= due.seconds) {
      due.act();
      due = undefined;
    }
    late = passedS() > loadS + END_LIMIT_S;
    if (late) break;
    const untilDueMs = due === undefined ? Infinity : (due.seconds - passedS()) * 1000;
    const pauseMs = Math.max(0, Math.min(POLL_MS, untilDueMs));
    await Promise.race([locust.exited, sleep(pauseMs)]);
    const live = readLive(folder);
    if (live !== null && live.timeS !== shown) onLive(live);
    shown = live?.timeS ?? shown;
  }
  const cutShort = locust.exit === null;
  await onEnd?.();
  await locust.stop();
  const { code, signal: endedBy } = await locust.exited;
  const tooLate = `Locust did not end ${END_LIMIT_S} s after the window; its log is in logs/`;
  // One that was asked to end has ended as it was asked to.
  const ended = cutShort ? null : explainExit(code, endedBy, locust.logTail());
  const trouble = late ? tooLate : ended;
  return { exitCode: code, cutShort, trouble };
}

const TEMPORARY = /^\.(.*\.)?(tmp|start|live\.json)$|^\.((routes|arms)\.json|locustfile\.py)$/;

/** What only a running load needs; a service that was stopped midway or lost leaves it behind. */
export function removeTemporary(folder: string): void {
  const names = readdirSync(folder).filter((name) => TEMPORARY.test(name));
  for (const name of names) rmSync(join(folder, name), { force: true });
}

/**
 * Turns what a generator recorded into a run's files. What was measured is kept, whatever went wrong.
 *
 * @param trouble What the generator had trouble with; the first trouble is the one to tell.
 * @returns Its closing account, if any; the window's failed requests, the most frequent kind first;
 * and the trouble in one sentence, or null.
 */
export async function collectRun(folder: string, trouble: string | null) {
  removeTemporary(folder);
  const final = existsSync(join(folder, "final.json")) ? readFinal(folder) : null;
  try {
    const counts = await convertRequests(folder);
    const disagreement = checkCounts(counts, readFinal(folder), readLocustTotals(folder));
    return { final, errors: counts.errors, trouble: trouble ?? disagreement };
  } catch (error) {
    if (trouble === null && !(error instanceof PoolscopeError)) throw error;
    return { final, errors: [], trouble: trouble ?? firstLine(error) };
  }
}
