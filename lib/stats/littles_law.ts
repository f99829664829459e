/**
 * Little's law, as a check of a closed-loop window.
 *
 * @module
 */

/** A larger share of the users than this may not be missing from, or too many in, a window. */
export const LITTLE_TOLERANCE = 0.1;

/** What a window should and does satisfy. */
export interface LittlesLaw {
  /** Users by the law: throughput × (service time + think time). */
  users: number;
  /** `users` over the users that were there; 1 where the law holds exactly. */
  ratio: number;
  /** True within {@linkcode LITTLE_TOLERANCE}. */
  holds: boolean;
}

/**
 * The interactive response time law N = X · (R + Z) (Denning & Buzen, "The operational analysis of
 * queueing network models", ACM Computing Surveys 10(3), 1978; Little, "A proof for the queuing
 * formula L = λW", Operations Research 9(3), 1961). Throughput and service time are measured apart
 * from each other, and both over what was answered. The law fails where users stopped asking, where
 * requests were not recorded, and where some users wait for the whole window while others are
 * served: their waiting is in no service time, so that percentiles say nothing of them.
 *
 * At both ends of the window requests are cut. As many enter as leave when the state is steady;
 * what is left of the error is what the tolerance of 10% is for.
 *
 * @param users Users of the closed loop.
 * @param throughput Answers per second, failures among them.
 * @param serviceS Mean service time of these answers in seconds.
 * @param thinkS Mean think time in seconds.
 *
 * @example
 * ```ts
 * import { checkLittlesLaw } from "poolscope";
 *
 * console.assert(checkLittlesLaw(100, 400, 0.2, 0.05).holds);
 * console.assert(!checkLittlesLaw(1000, 400, 0.6, 0).holds);
 * ```
 */
export function checkLittlesLaw(
  users: number,
  throughput: number,
  serviceS: number,
  thinkS: number,
): LittlesLaw {
  const found = throughput === 0 ? 0 : throughput * (serviceS + thinkS);
  const ratio = found / users;
  return { users: found, ratio, holds: Math.abs(ratio - 1) <= LITTLE_TOLERANCE };
}

/**
 * What is left of the law where it is unknown how long users think: none of them may wait for the
 * whole window, as that is in no service time either.
 *
 * @param users Users of the closed loop.
 * @param waiting Those who had asked before the window and had no answer at its end.
 */
export function checkAllServed(users: number, waiting: number): LittlesLaw {
  const ratio = 1 - waiting / users;
  return { users: users - waiting, ratio, holds: 1 - ratio <= LITTLE_TOLERANCE };
}
