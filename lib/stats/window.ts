/**
 * Which requests count.
 *
 * @module
 */

import type { DataFrame } from "nodejs-polars";
import { OUTCOMES, type RequestColumns, requestColumns } from "../frames/columns.ts";

/** A measurement window in Unix time, microseconds: from `startUs`, before `endUs`. */
export interface Window {
  startUs: number;
  endUs: number;
}

/** The requests of a window, by their places in the columns. */
export interface WindowCut {
  /** All requests. */
  requests: RequestColumns;
  /** Answered as they should be. */
  correct: Uint32Array;
  /** Answered in another way. */
  failed: Uint32Array;
  /** Sent, and without an answer when the load ended. */
  unfinished: Uint32Array;
  /** Due and never sent; none in a closed loop. */
  dropped: Uint32Array;
  /** Correct answers that came within the window: the throughput. */
  correctInWindow: number;
  /** Answers that came within the window, failures among them. */
  answeredInWindow: number;
}

/**
 * Cuts requests to a window.
 *
 * In a closed loop a request belongs to the window in which it **completed** (`start_us` +
 * `service_us`), whenever it began: throughput is what leaves the system. A request that had no
 * answer when the window ended is unfinished, whether the generator gave it up (`error` is
 * `unfinished`) or its answer came later.
 *
 * In an open loop a request belongs to the window in which it was **due** (`intended_start_us`): a
 * stall near the window's end would else drop out of the percentiles with the requests that it held
 * up. Answers that came soon after the window, while the load went on, count.
 *
 * @param requests A frame of `readRequests`.
 * @param window The measurement window.
 * @param openLoop Whether the requests were due at times of their own.
 */
export function cutWindow(requests: DataFrame, window: Window, openLoop = false): WindowCut {
  const columns = requestColumns(requests);
  const { length, startUs, serviceUs, intendedUs, outcome } = columns;
  const { startUs: from, endUs: to } = window;
  const correct = new Uint32Array(length);
  let correctCount = 0;
  // By outcome; there are few of these.
  const others: number[][] = [[], [], [], []];
  let correctInWindow = 0;
  let answeredInWindow = 0;
  for (let i = 0; i < length; i++) {
    let kind: number = outcome[i]!;
    const start = startUs[i]!;
    const end = start + serviceUs[i]!;
    const answered = kind <= OUTCOMES.failed;
    const inWindow = answered && end >= from && end < to;
    if (inWindow) {
      answeredInWindow++;
      if (kind === OUTCOMES.correct) correctInWindow++;
    }
    if (openLoop) {
      const due = intendedUs === null ? NaN : intendedUs[i]!;
      if (!(due >= from && due < to)) continue;
    } else if (!inWindow) {
      const late = start < to && end >= to;
      if (kind !== OUTCOMES.unfinished && !late) continue;
      kind = OUTCOMES.unfinished;
    }
    if (kind === OUTCOMES.correct) correct[correctCount++] = i;
    else others[kind]!.push(i);
  }
  const placesOf = (kind: number) => Uint32Array.from(others[kind]!);
  return {
    requests: columns,
    correct: correct.subarray(0, correctCount),
    failed: placesOf(OUTCOMES.failed),
    unfinished: placesOf(OUTCOMES.unfinished),
    dropped: placesOf(OUTCOMES.dropped),
    correctInWindow,
    answeredInWindow,
  };
}
