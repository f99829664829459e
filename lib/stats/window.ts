/**
 * Which requests count.
 *
 * @module
 */

import type { DataFrame } from "nodejs-polars";
import { polars } from "../frames/polars.ts";

/** A measurement window in Unix time, microseconds: from `startUs`, before `endUs`. */
export interface Window {
  startUs: number;
  endUs: number;
}

/** The requests of a window. */
export interface WindowCut {
  /** Answered, failures among them. */
  completed: DataFrame;
  /** Sent, and without an answer when the load ended. */
  unfinished: DataFrame;
  /** Due and never sent; none in a closed loop. */
  dropped: DataFrame;
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
  const { col, lit } = polars();
  const end = col("start_us").add(col("service_us"));
  const is = (error: string) => col("error").eq(lit(error)).fillNull(lit(false));
  const within = (time: typeof end) =>
    time.gtEq(lit(window.startUs)).and(time.lt(lit(window.endUs)));
  const answered = is("unfinished").or(is("dropped")).not();
  const inWindow = requests.filter(answered.and(within(end)));
  const counts = {
    correctInWindow: inWindow.filter(inWindow.getColumn("error").isNull()).height,
    answeredInWindow: inWindow.height,
  };
  if (openLoop) {
    const due = within(col("intended_start_us"));
    return {
      completed: requests.filter(due.and(answered)),
      unfinished: requests.filter(due.and(is("unfinished"))),
      dropped: requests.filter(due.and(is("dropped"))),
      ...counts,
    };
  }
  const late = col("start_us").lt(lit(window.endUs)).and(end.gtEq(lit(window.endUs)));
  return {
    completed: inWindow,
    unfinished: requests.filter(is("unfinished").or(late)),
    dropped: requests.filter(lit(false)),
    ...counts,
  };
}
