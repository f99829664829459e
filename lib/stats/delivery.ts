/** Whether an open loop's load was what was asked for. */

export interface Delivery {
  arrivals: number;
  /** Sent more than {@linkcode LATE_MS} after they were due. */
  late: number;
  dropped: number;
}

/** From this delay on a request is late: the generator's own account counts by the same. */
export const LATE_MS = 10;
/** A smaller share of the arrivals sent than this is not the load that was asked for. */
export const MIN_DELIVERED = 0.995;
/** A larger share of late requests than this shows in the 99th percentile. */
export const MAX_LATE = 0.01;

/** A load of which a larger share of requests failed is not accepted. */
export const MAX_FAILED_SHARE = 0.01;

/**
 * What was wrong with the load, in words; null when it was delivered, and for a closed loop.
 *
 * @example
 * ```ts
 * import { deliveryTrouble } from "poolscope";
 *
 * console.assert(deliveryTrouble({ arrivals: 1000, late: 3, dropped: 0 }) === null);
 * ```
 */
export function deliveryTrouble(delivery: Delivery | null): string | null {
  if (delivery === null || delivery.arrivals === 0) return null;
  const { arrivals, late, dropped } = delivery;
  const percent = (n: number) => `${(100 * n / arrivals).toFixed(1)}%`;
  const parts = [
    arrivals - dropped < MIN_DELIVERED * arrivals
      ? [`${percent(dropped)} of the requests were never sent`]
      : [],
    late > MAX_LATE * arrivals ? [`${percent(late)} were sent more than ${LATE_MS} ms late`] : [],
  ].flat();
  return parts.length === 0 ? null : `the generator could not keep up: ${parts.join(", ")}`;
}

/** Several runs' deliveries together; null for none. */
export function sumDeliveries(deliveries: readonly (Delivery | null)[]): Delivery | null {
  const known = deliveries.filter((delivery) => delivery !== null);
  if (known.length === 0) return null;
  const total = (key: keyof Delivery) => known.reduce((sum, delivery) => sum + delivery[key], 0);
  return { arrivals: total("arrivals"), late: total("late"), dropped: total("dropped") };
}
