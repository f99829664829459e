/** Which requests count, and what happened in a window from moment to moment. */

import type { DataFrame } from "nodejs-polars";
import { median } from "./percentile.ts";
import { OUTCOMES, type RequestColumns, requestColumns } from "../frames/columns.ts";

/** A measurement window in Unix time, microseconds: from `startUs`, before `endUs`. */
export interface Window {
  startUs: number;
  endUs: number;
}

/** A turn of a run within its window; the part of it that counts is from `settledUs` to `endUs`. */
export interface Turn {
  block: number;
  /** Its place within the block, from 1. */
  place: number;
  startUs: number;
  settledUs: number;
  endUs: number;
}

/** Correct answers per second of the counted part of one turn. */
export interface SliceRates {
  block: number;
  place: number;
  rps: number;
  /** Of its first and its second half. */
  earlyRps: number;
  lateRps: number;
  /** Mean service time of what was timed, in milliseconds; NaN where nothing was. */
  serviceMs: number;
  /** Service times of what was timed, in an open loop response times, in microseconds, in no order. */
  timesUs: Float64Array;
}

export type WindowCut = ReturnType<typeof cutWindow>;

/**
 * Cuts requests, a frame of `readRequests`, to a window.
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
 * Of a run that took turns, throughput is of the answers of the turns' counted parts, whenever they were
 * sent (counting requests sent would add every user to each arm), and latency of what was sent in them,
 * one service time after a turn's begin at the earliest; in an open loop of what was due in them.
 */
export function cutWindow(
  requests: DataFrame,
  window: Window,
  openLoop = false,
  turns: readonly Turn[] | null = null,
) {
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
  const answered = {
    correct: correct.subarray(0, correctCount),
    failed: placesOf(OUTCOMES.failed),
  };
  const windowS = (to - from) / 1e6;
  const waiting = [OUTCOMES.unfinished, OUTCOMES.dropped].flatMap((kind) => others[kind]!);
  const ownTurns = turns?.filter((turn) => turn.block > 0) ?? null;
  const inTurns = ownTurns && countTurns(columns, answered, ownTurns, openLoop);
  return {
    window,
    windowS,
    openLoop,
    requests: columns,
    // Answered as they should be, and in another way.
    ...answered,
    /** Sent, and without an answer when the load ended. */
    unfinished: placesOf(OUTCOMES.unfinished),
    /** Due and never sent; none in a closed loop. */
    dropped: placesOf(OUTCOMES.dropped),
    /** Of those answered as they should be, whose latency counts. */
    timed: inTurns?.timed ?? answered.correct,
    /** Of an open loop, those without an answer that would be among them. */
    waiting: Uint32Array.from(
      ownTurns === null ? waiting : waiting.filter((i) => isDueInTurns(columns, ownTurns, i)),
    ),
    /** The turns, with the correct answers of their counted parts; null where there are none. */
    turns: inTurns?.turns ?? null,
    /**
     * Answers that came while it counted, the correct ones of them, and how long that was. Of turns also
     * how long all answered requests together were in flight then, in seconds.
     */
    counted: inTurns?.counted ??
      { seconds: windowS, answered: answeredInWindow, correct: correctInWindow, inFlightS: null },
  };
}

/** Whether an arrival of an open loop was due in the counted part of a turn. */
function isDueInTurns({ intendedUs }: RequestColumns, turns: readonly Turn[], i: number): boolean {
  const due = intendedUs?.[i] ?? NaN;
  const turn = turns[lastBegun(turns, due)];
  return turn !== undefined && due >= turn.settledUs && due < turn.endUs;
}

function countTurns(
  columns: RequestColumns,
  places: { correct: Uint32Array; failed: Uint32Array },
  turns: readonly Turn[],
  openLoop: boolean,
) {
  const { startUs, serviceUs, responseUs } = columns;
  const latencyUs = openLoop ? responseUs! : serviceUs;
  const counts = turns.map(() => ({
    correct: 0,
    failed: 0,
    late: 0,
    serviceUs: 0,
    timesUs: [] as number[],
  }));
  const timed: number[] = [];
  let inFlightUs = 0;
  // At a turn's begin all users ask at once: until then, answers come sooner than later on.
  const queuedUs = median([...places.correct].map((i) => serviceUs[i]!)) ?? 0;
  for (const kind of ["correct", "failed"] as const) {
    for (const i of places[kind]) {
      const start = startUs[i]!;
      const end = start + serviceUs[i]!;
      const at = lastBegun(turns, start);
      const turn = turns[at];
      if (turn === undefined) continue;
      inFlightUs += Math.max(0, Math.min(end, turn.endUs) - Math.max(start, turn.settledUs));
      if (end >= turn.settledUs && end < turn.endUs) {
        counts[at]![kind]++;
        if (kind === "correct" && 2 * end >= turn.settledUs + turn.endUs) counts[at]!.late++;
      }
      const timedUs = Math.max(turn.settledUs, turn.startUs + queuedUs);
      const isTimed = openLoop
        ? isDueInTurns(columns, turns, i)
        : start >= timedUs && start < turn.endUs;
      if (kind === "failed" || !isTimed) continue;
      timed.push(i);
      counts[at]!.timesUs.push(latencyUs[i]!);
      counts[at]!.serviceUs += serviceUs[i]!;
    }
  }
  const secondsOf = ({ settledUs, endUs }: Turn) => (endUs - settledUs) / 1e6;
  const sum = (of: (at: number) => number) => turns.reduce((total, _, at) => total + of(at), 0);
  return {
    timed: Uint32Array.from(timed),
    turns: turns.map((turn, at): SliceRates => {
      const { correct, late, serviceUs, timesUs } = counts[at]!;
      const rate = (count: number) => secondsOf(turn) > 0 ? count / secondsOf(turn) : 0;
      return {
        block: turn.block,
        place: turn.place,
        rps: rate(correct),
        earlyRps: rate(2 * (correct - late)),
        lateRps: rate(2 * late),
        serviceMs: serviceUs / timesUs.length / 1000,
        timesUs: Float64Array.from(timesUs),
      };
    }),
    counted: {
      seconds: sum((at) => secondsOf(turns[at]!)),
      answered: sum((at) => counts[at]!.correct + counts[at]!.failed),
      correct: sum((at) => counts[at]!.correct),
      inFlightS: inFlightUs / 1e6,
    },
  };
}

/** The place of the last turn that had begun by then; −1 before the first. */
function lastBegun(turns: readonly Turn[], timeUs: number): number {
  let [low, high] = [-1, turns.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (turns[middle]!.startUs <= timeUs) low = middle;
    else high = middle - 1;
  }
  return low;
}

export type WindowSeries = ReturnType<typeof windowSeries>;

/** Cuts a window into parts of equal length, by when requests were answered. */
export function windowSeries(
  { requests: { startUs, serviceUs }, correct, failed, window }: WindowCut,
  parts: number,
) {
  const completed: number[] = Array(parts).fill(0);
  const totalUs: number[] = Array(parts).fill(0);
  const perUs = parts / (window.endUs - window.startUs);
  let correctByPart: number[] = [];
  for (const places of [correct, failed]) {
    for (let i = 0; i < places.length; i++) {
      const place = places[i]!;
      const service = serviceUs[place]!;
      const part = Math.floor((startUs[place]! + service - window.startUs) * perUs);
      // An open loop's window also has requests that were answered after it.
      if (part < 0 || part >= parts) continue;
      completed[part]!++;
      totalUs[part]! += service;
    }
    if (places === correct) correctByPart = [...completed];
  }
  return {
    /** Requests answered in each part, failures among them. */
    completed,
    correct: correctByPart,
    /** Mean service time in each part in milliseconds; NaN where nothing was answered. */
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
