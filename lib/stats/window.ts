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
  /** Answered inside the window, failures among them. */
  completed: DataFrame;
  /** Sent before the window's end and without an answer by then. */
  unfinished: DataFrame;
}

/**
 * Cuts requests to a window. A request belongs to the window in which it **completed**
 * (`start_us` + `service_us`), whenever it began: throughput is what leaves the system. A request
 * that had no answer when the window ended is unfinished, whether the generator gave it up
 * (`error` is `unfinished`) or its answer came later.
 *
 * @param requests A frame of `readRequests`.
 * @param window The measurement window.
 */
export function cutWindow(requests: DataFrame, window: Window): WindowCut {
  const { col, lit } = polars();
  const end = col("start_us").add(col("service_us"));
  const givenUp = col("error").eq(lit("unfinished")).fillNull(lit(false));
  const late = col("start_us").lt(lit(window.endUs)).and(end.gtEq(lit(window.endUs)));
  return {
    completed: requests.filter(
      givenUp.not().and(end.gtEq(lit(window.startUs))).and(end.lt(lit(window.endUs))),
    ),
    unfinished: requests.filter(givenUp.or(late)),
  };
}
