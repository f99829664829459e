/**
 * The own time of a run that takes turns with others: it goes on while the run has its turn, and stands
 * still while others have theirs. In it, a run's requests and samples are as if it had been alone.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { DataFrame } from "nodejs-polars";
import { FileError } from "../errors.ts";
import { RUN_COLUMNS } from "../store/layout.ts";
import { csvRecords } from "./csv_records.ts";
import { polars } from "./polars.ts";

/** One turn of a run. Times are microseconds. */
export interface Slice {
  /** 0 in the warm-up. */
  block: number;
  /** Its place within the block, from 1. */
  place: number;
  startUs: number;
  /** Answers count from here on. */
  settledUs: number;
  /** Nothing counts that comes later: in a closed loop nothing is sent any more. */
  endUs: number;
  /** From here on no request is in flight. */
  drainedUs: number;
}

/**
 * Reads the turns of a run, in order; null of a run that was loaded all the time.
 *
 * @throws {FileError} If the file is damaged.
 */
export function readSlices(folder: string): Slice[] | null {
  const file = join(folder, "slices.csv");
  if (!existsSync(file)) return null;
  const text = readFileSync(file, "utf8");
  const header = Object.keys(RUN_COLUMNS["slices.csv"]).join(",");
  const fail = (line: number, what: string): never => {
    throw new FileError(file, line, what);
  };
  if (text.split("\n")[0] !== header) fail(1, `the header must be "${header}"`);
  if (!text.endsWith("\n")) fail(text.split("\n").length, "the file ends inside this line");
  let nowUs = 0;
  return [...csvRecords(text)].slice(1).map(({ line, fields }) => {
    const [block, place, startUs, settledUs, endUs, drainedUs] = fields.map(Number) as number[];
    const times = [nowUs, startUs!, settledUs!, endUs!, drainedUs!];
    const inOrder = times.every((time, i) => i === 0 || time >= times[i - 1]!);
    if (fields.length !== 6 || ![block, place].every(Number.isInteger) || !inOrder) {
      fail(line, "a turn has six numbers, its times each after the one before");
    }
    nowUs = drainedUs!;
    return {
      block: block!,
      place: place!,
      startUs: startUs!,
      settledUs: settledUs!,
      endUs: endUs!,
      drainedUs: drainedUs!,
    };
  });
}

/** Turns the clock's times into a run's own, which begins with its first turn by the clock. */
export class OwnTime {
  /** Own time that had passed at each turn's begin. */
  readonly #before: number[] = [];

  constructor(readonly slices: readonly Slice[]) {
    let passed = 0;
    for (const { startUs, drainedUs } of slices) {
      this.#before.push(passed);
      passed += drainedUs - startUs;
    }
  }

  /**
   * The own time at a time of the clock: of one between two turns, that of the next one's begin; of any
   * after the last, a microsecond after its end.
   */
  at(timeUs: number): number {
    const first = this.slices[0]?.startUs;
    if (first === undefined || timeUs <= first) return timeUs;
    const i = this.#turnAt(timeUs);
    const { startUs, drainedUs } = this.slices[i]!;
    const isLast = i === this.slices.length - 1;
    const endUs = isLast ? drainedUs + 1 : drainedUs;
    return first + this.#before[i]! + Math.min(timeUs, endUs) - startUs;
  }

  /** Whether it is the run's turn, or before its first. */
  isTurn(timeUs: number): boolean {
    const [first] = this.slices;
    if (first === undefined || timeUs < first.startUs) return true;
    return timeUs <= this.slices[this.#turnAt(timeUs)]!.drainedUs;
  }

  /** A window in own time: it ends with the run's last turn, whatever others did after that. */
  windowOf({ startUs, endUs }: { startUs: number; endUs: number }) {
    return { startUs: this.at(startUs), endUs: this.at(endUs) };
  }

  /** The turns in own time. */
  turns(): Slice[] {
    return this.slices.map((slice) => ({
      block: slice.block,
      place: slice.place,
      startUs: this.at(slice.startUs),
      settledUs: this.at(slice.settledUs),
      endUs: this.at(slice.endUs),
      drainedUs: this.at(slice.drainedUs),
    }));
  }

  /** The place of the last turn that has begun by then. */
  #turnAt(timeUs: number): number {
    let [low, high] = [0, this.slices.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.slices[middle]!.startUs <= timeUs) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The own time of the run in a folder; null where it was loaded all the time. */
export function ownTimeOf(folder: string): OwnTime | null {
  const slices = readSlices(folder);
  return slices === null ? null : new OwnTime(slices);
}

/** Requests with their starts in own time, and with when they were due in an open loop. */
export function requestsInOwnTime(requests: DataFrame, own: OwnTime): DataFrame {
  const at = (timeUs: number) => own.at(timeUs);
  const started = withTimes(requests, "start_us", at);
  const isOpen = requests.getColumn("intended_start_us").nullCount() < requests.height;
  return isOpen ? withTimes(started, "intended_start_us", at) : started;
}

/**
 * Samples in own time. Gauges of the idle time would dilute those of the turns: they are left out, but
 * for the last ones before the blocks and of all, by which counters are counted.
 */
export function samplesInOwnTime(samples: DataFrame, own: OwnTime, keepAll: boolean): DataFrame {
  if (samples.height === 0) return samples;
  const times = numbers(samples, "time_us");
  const begin = own.slices.find(({ block }) => block > 0)?.startUs ?? Infinity;
  const lastBefore = times.findLast((timeUs) => timeUs <= begin);
  const kept = keepAll ? samples : samples.filter(
    polars().Series(
      "kept",
      times.map((timeUs) => own.isTurn(timeUs) || timeUs === lastBefore || timeUs === times.at(-1)),
      // Of a file without rows, it would be one of numbers.
      polars().Bool,
    ) as never,
  );
  return withTimes(kept, "time_us", (timeUs) => own.at(timeUs));
}

/**
 * Resources in own time. What serves all runs of a group, the machine and the generator, works in the
 * others' turns as well: of its counters only what they rose by within the run's own turns counts.
 */
export function resourcesInOwnTime(resources: DataFrame, own: OwnTime): DataFrame {
  const services = resources.getColumn("service").toArray() as string[];
  const times = numbers(resources, "time_us");
  let frame = resources;
  for (const column of ["cpu_s", "throttled_s", "context_switches"]) {
    const values = resources.getColumn(column).toArray() as (number | null)[];
    const counted: (number | null)[] = [...values];
    for (const shared of ["host", "locust"]) {
      const rows = services.flatMap((service, i) =>
        service === shared && values[i] !== null ? [i] : []
      );
      const series = {
        times: rows.map((i) => times[i]!),
        values: rows.map((i) => Number(values[i])),
      };
      withinTurns(series, own).forEach((value, k) => counted[rows[k]!] = value);
    }
    const type = resources.getColumn(column).dtype;
    frame = frame.withColumn(polars().Series(column, counted, type as never));
  }
  return samplesInOwnTime(frame, own, true);
}

/** A counter that stands still outside a run's turns, at the times of its readings. */
function withinTurns(
  { times, values }: { times: readonly number[]; values: readonly number[] },
  own: OwnTime,
): number[] {
  let counted = values[0] ?? 0;
  return values.map((value, k) => {
    if (k === 0) return counted;
    const [from, to] = [times[k - 1]!, times[k]!];
    const share = to > from ? (own.at(to) - own.at(from)) / (to - from) : 0;
    counted += share * (value - values[k - 1]!);
    return counted;
  });
}

function numbers(frame: DataFrame, column: string): number[] {
  return (frame.getColumn(column).toArray() as (number | bigint)[]).map(Number);
}

function withTimes(frame: DataFrame, column: string, map: (timeUs: number) => number): DataFrame {
  const pl = polars();
  const mapped = numbers(frame, column).map(map);
  return frame.withColumn(pl.Series(column, mapped, pl.Int64));
}
