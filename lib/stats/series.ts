/**
 * What happened in a window from moment to moment.
 *
 * @module
 */

import type { Window, WindowCut } from "./window.ts";

/** A window in equal parts. */
export interface WindowSeries {
  /** Requests answered in each part, failures among them. */
  completed: number[];
  /** Answered correctly among them. */
  correct: number[];
  /** Mean service time in each part in milliseconds; NaN where nothing was answered. */
  serviceMs: number[];
}

/**
 * Cuts a window into parts of equal length, by when requests were answered.
 *
 * @param cut The requests of the window.
 * @param window The window.
 * @param parts How many.
 */
export function windowSeries(
  { requests, correct, failed }: WindowCut,
  { startUs: from, endUs: to }: Window,
  parts: number,
): WindowSeries {
  const completed: number[] = Array(parts).fill(0);
  const totalUs: number[] = Array(parts).fill(0);
  const { startUs, serviceUs } = requests;
  const perUs = parts / (to - from);
  let correctByPart: number[] = [];
  for (const places of [correct, failed]) {
    for (let i = 0; i < places.length; i++) {
      const place = places[i]!;
      const service = serviceUs[place]!;
      const part = Math.floor((startUs[place]! + service - from) * perUs);
      // An open loop's window also has requests that were answered after it.
      if (part < 0 || part >= parts) continue;
      completed[part]!++;
      totalUs[part]! += service;
    }
    if (places === correct) correctByPart = [...completed];
  }
  return {
    completed,
    correct: correctByPart,
    serviceMs: totalUs.map((us, i) => us / 1000 / completed[i]!),
  };
}

/** Mean service time of the answers of a window in seconds; NaN without any. */
export function meanServiceS({ completed, serviceMs }: WindowSeries): number {
  let total = 0;
  let n = 0;
  completed.forEach((count, i) => {
    if (count > 0) total += count * serviceMs[i]!;
    n += count;
  });
  return total / n / 1000;
}
