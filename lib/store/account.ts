/** The counts of a run's requests by all who wrote them down, and whether these agree. */

import { join } from "node:path";
import { readRecord } from "./files.ts";
import { FINAL, type FinalAccount } from "./manifest.ts";

/** What the rows of `requests.csv` add up to, by the names of the account. */
export interface Counts extends Pick<FinalAccount, typeof COUNTED[number]> {
  rows: number;
}

export interface LocustTotals {
  requests: number;
  failures: number;
  /** Exceptions raised by the locustfile, warm-up included. */
  exceptions: number;
}

/** Reads the generator's closing account, `final.json`, from a run's folder. */
export function readFinal(folder: string): FinalAccount {
  return readRecord(join(folder, "final.json"), FINAL);
}

const COUNTED = [
  "requests",
  "failures",
  "unfinished",
  "dropped",
  "warmUpRequests",
  "drainRequests",
] as const;

/** What counts of `requests.csv`, `final.json` and Locust's own CSVs disagree, in one sentence. */
export function checkCounts(
  counts: Counts,
  final: FinalAccount,
  locust: LocustTotals,
): string | null {
  if (locust.exceptions > 0) {
    return `the locustfile raised ${locust.exceptions} exceptions, see locust_exceptions.csv; a task marks a wrong answer by response.failure()`;
  }
  for (const field of COUNTED) {
    if (counts[field] !== final[field]) {
      return `requests.csv has ${counts[field]} ${field}, final.json ${final[field]}`;
    }
  }
  const window = final.requests + final.unfinished + final.dropped;
  if (final.arrivals > 0 && window !== final.arrivals) {
    return `final.json has ${final.arrivals} arrivals, and accounts for ${window}`;
  }
  const expected = window + final.warmUpRequests + final.drainRequests;
  if (counts.rows !== expected) {
    return `requests.csv has ${counts.rows} rows, final.json accounts for ${expected}`;
  }
  for (const field of ["requests", "failures"] as const) {
    if (locust[field] !== final[field]) {
      return `locust_stats.csv has ${locust[field]} ${field}, final.json ${final[field]}`;
    }
  }
  return null;
}
