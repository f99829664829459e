/**
 * The requests of a run as plain arrays: what is done with every request of millions is done here
 * several times faster than by filters over whole dataframes.
 *
 * @module
 */

import type { DataFrame } from "nodejs-polars";

/** What became of a request. */
export const OUTCOMES = { correct: 0, failed: 1, unfinished: 2, dropped: 3 } as const;

/** Requests, column by column; each array has a value for each request. */
export interface RequestColumns {
  /** How many there are. */
  length: number;
  startUs: Float64Array;
  serviceUs: Float64Array;
  /** Null in a closed loop. */
  intendedUs: Float64Array | null;
  /** Null in a closed loop. */
  responseUs: Float64Array | null;
  /** One of {@linkcode OUTCOMES}. */
  outcome: Uint8Array;
}

/** A column of whole numbers; NaN where a value is missing. */
function numbers(frame: DataFrame, name: string): Float64Array {
  const column = frame.getColumn(name);
  if (column.nullCount() > 0) {
    return Float64Array.from(column.toArray(), (value) => value === null ? NaN : Number(value));
  }
  const whole = column.toTypedArray() as unknown as BigInt64Array;
  // Each 64-bit number is read as two of 32 bits: a conversion by way of bigint takes far longer.
  const halves = new Int32Array(whole.buffer, whole.byteOffset, 2 * whole.length);
  const values = new Float64Array(whole.length);
  for (let i = 0; i < values.length; i++) {
    values[i] = halves[2 * i + 1]! * 2 ** 32 + (halves[2 * i]! >>> 0);
  }
  return values;
}

/** A column of which all values may be missing. */
function optionalNumbers(frame: DataFrame, name: string): Float64Array | null {
  return frame.getColumn(name).nullCount() === frame.height ? null : numbers(frame, name);
}

/**
 * Takes the columns that the numbers of a run come from.
 *
 * @param requests A frame of `readRequests`.
 */
export function requestColumns(requests: DataFrame): RequestColumns {
  const outcome = new Uint8Array(requests.height);
  const errors = requests.getColumn("error");
  if (errors.nullCount() < errors.length) {
    const present = errors.isNotNull();
    const texts = errors.filter(present).toArray() as string[];
    const places = present.argTrue().toTypedArray() as unknown as Uint32Array;
    for (let i = 0; i < places.length; i++) {
      const text = texts[i]!;
      outcome[places[i]!] = text === "unfinished"
        ? OUTCOMES.unfinished
        : text === "dropped"
        ? OUTCOMES.dropped
        : OUTCOMES.failed;
    }
  }
  return {
    length: requests.height,
    startUs: numbers(requests, "start_us"),
    serviceUs: numbers(requests, "service_us"),
    intendedUs: optionalNumbers(requests, "intended_start_us"),
    responseUs: optionalNumbers(requests, "response_us"),
    outcome,
  };
}
