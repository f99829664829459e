/** Noise of real runs, to be drawn again. */

import { join } from "node:path";
import { readRecordedRuns, type RecordedRun } from "../frames/recorded_runs.ts";
import { ROOT } from "../store/layout.ts";

/** The recorded runs that the noise is taken from. */
export const RECORDED_RUNS: string = join(ROOT, "data", "published", "noise", "runs.csv");

/** The least noise that the simulations use: what identical runs showed on two shared cores. */
export const MIN_CV = 0.09;

/** What runs of one scenario differ by, on the logarithm of their throughput. */
export interface Noise {
  /** Deviations from the scenario's mean, all scenarios together, their own mean 0. */
  deviations: number[];
  /** Their coefficient of variation. */
  cv: number;
  /** Runs behind them. */
  runs: number;
}

/**
 * Takes the noise from runs: deviations of log throughput from the mean of the scenario, inflated
 * by √(n / (n − 1)) for the degree of freedom that the mean took (Davison & Hinkley, Bootstrap
 * Methods and their Application, 1997, §3.2). Scenarios lend each other their deviations: five runs
 * of one have no tail to draw from. Noise below `least` is scaled up to it.
 */
export function noiseOf(runs: readonly RecordedRun[], least = MIN_CV): Noise {
  const logs = new Map<string, number[]>();
  for (const { scenario_id: id, status, rps } of runs) {
    if (status === "ok" && rps > 0) logs.set(id, [...(logs.get(id) ?? []), Math.log(rps)]);
  }
  const deviations = [...logs.values()].filter((values) => values.length > 1).flatMap((values) => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const scale = Math.sqrt(values.length / (values.length - 1));
    return values.map((value) => scale * (value - mean));
  });
  const squares = deviations.reduce((sum, value) => sum + value ** 2, 0);
  const cv = Math.sqrt(squares / deviations.length);
  const scale = Math.max(1, least / cv);
  return {
    deviations: deviations.map((value) => scale * value),
    cv: scale * cv,
    runs: deviations.length,
  };
}

/** Reads the recorded noise. */
export async function readNoise(): Promise<Noise> {
  return noiseOf(await readRecordedRuns(RECORDED_RUNS));
}

/** The noise with outliers added: one run in twenty loses 40% of its throughput. */
export function withOutliers({ deviations, runs }: Noise): Noise {
  const all = deviations.flatMap((value) => [...Array(19).fill(value), value + Math.log(0.6)]);
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  const centred = all.map((value) => value - mean);
  const squares = centred.reduce((sum, value) => sum + value ** 2, 0);
  return { deviations: centred, cv: Math.sqrt(squares / centred.length), runs };
}
