/** The real Locust loads several arms in turn, and what it leaves is read back and checked. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLocustTotals } from "../../frames/locust.ts";
import { ROOT } from "../../store/layout.ts";
import type { FinalAccount } from "../../store/manifest.ts";
import { explainExit, groupCommand, LOCUSTFILE } from "../locust.ts";
import { checkCounts, convertRequests, type LiveSample, readFinal, readLive } from "../requests.ts";
import type { MisbehavingServer } from "./misbehaving_server.ts";
import { testPython } from "./python.ts";

interface Arm {
  server: MisbehavingServer;
  /** Of its only route. @default "/posts" */
  path?: string;
  /** @default 8 */
  users?: number;
  /** Of an open loop, whose arrivals are Poisson's. @default {a closed loop} */
  arrivalRate?: number;
  /** @default 0 */
  thinkTimeS?: number;
  /** @default "lean" */
  client?: "lean" | "fast";
  /** A locustfile of its own. @default none */
  ownLocustfile?: string;
}

interface Schedule {
  /** @default 0.3 */
  sliceS?: number;
  /** @default 0.9 */
  warmUpS?: number;
  blocksS: number;
  /** Places of those of which one is to be selected. @default none */
  candidates?: number[];
  /** Silence after which a request fails, in seconds. @default 60 */
  timeoutS?: number;
  /** Called each second; the signal is sent when it is true. */
  terminateWhen?: (live: LiveSample) => boolean;
  /** @default "SIGTERM" */
  signal?: "SIGTERM" | "SIGINT";
}

export interface Slice {
  arm: number;
  block: number;
  place: number;
  start: number;
  settled: number;
  end: number;
  drained: number;
}

export interface Outcome {
  folder: string;
  final: FinalAccount;
  slices: Slice[];
  /** `due` is 0 in a closed loop. */
  requests: { due: number; start: number; end: number; route: string; error: string }[];
}

function routeOf(path: string) {
  return { name: `GET ${path}`, path, weight: 1, status: 200 };
}

/** The rows of a CSV file, without its header. */
function readRows(file: string, header: string): string[][] {
  const [first, ...lines] = readFileSync(file, "utf8").trimEnd().split("\n");
  assert.equal(first, header);
  return lines.map((line) => line.split(","));
}

async function readOutcome(folder: string, arm: number): Promise<Outcome> {
  const counts = await convertRequests(folder);
  const final = readFinal(folder);
  assert.equal(checkCounts(counts, final, readLocustTotals(folder)), null);
  const requests = readRows(
    join(folder, "requests.csv"),
    "intended_start_us,start_us,service_us,response_us,route,status,error,bytes",
  ).map(([due, start, service, , route, , error]) => ({
    due: Number(due),
    start: Number(start),
    end: Number(start) + Number(service),
    route: route!,
    error: error!,
  }));
  const slices = readRows(
    join(folder, "slices.csv"),
    "block,place,start_us,settled_us,end_us,drained_us",
  ).map((row) => {
    const [block, place, start, settled, end, drained] = row.map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    return { arm, block, place, start, settled, end, drained };
  });
  return { folder, final, slices, requests };
}

/** What must hold for each group: never two arms at once, and each request within one slice. */
function assertTurns(arms: readonly Outcome[]): void {
  const all = arms.flatMap(({ slices }) => slices).sort((a, b) => a.start - b.start);
  all.forEach((slice, i) => {
    assert.ok(slice.start <= slice.settled && slice.settled <= slice.end);
    assert.ok(slice.end <= slice.drained);
    assert.ok(i === 0 || all[i - 1]!.drained < slice.start, "never two arms at once");
  });
  for (const { requests, slices, final } of arms) {
    for (const { due, start, end, error } of requests) {
      const slice = slices.findLast((slice) => slice.start <= start)!;
      // Arrivals go on until what was due is answered.
      const isInTurn = due === 0 ? start <= slice.end : slice.start <= due && due <= start;
      assert.ok(isInTurn && end <= slice.drained, `${due} ${start} ${end} of ${error}`);
    }
    const inWindow = slices.filter(({ block }) => block > 0);
    if (slices.length > 0) assert.equal(slices[0]!.start, final.loadStartUs);
    assert.ok(inWindow.every(({ start }) => start >= final.windowStartUs));
    assert.ok(slices.every(({ drained }) => drained <= final.windowEndUs));
  }
}

/** Loads servers in turn, checks that turns are turns, and hands over what was recorded of each. */
export async function loadArms(
  arms: readonly Arm[],
  schedule: Schedule,
  examine: (arms: Outcome[], live: LiveSample[]) => void,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "poolscope-arms-"));
  try {
    const folders = arms.map((_, i) => join(folder, `arm-${i}`));
    folders.forEach((folder) => mkdirSync(folder));
    const { argv, env, files, startFile } = groupCommand({
      python: testPython(),
      locustfile: LOCUSTFILE,
      folder,
      sliceS: schedule.sliceS ?? 0.3,
      warmUpS: schedule.warmUpS ?? 0.9,
      blocksS: schedule.blocksS,
      seed: 3,
      candidates: schedule.candidates,
      arms: arms.map((arm, i) => ({
        folder: folders[i]!,
        host: arm.server.url,
        routes: [routeOf(arm.path ?? "/posts")],
        scenario: {
          users: arm.arrivalRate === undefined ? arm.users ?? 8 : null,
          arrivalRate: arm.arrivalRate ?? null,
          arrivals: "poisson",
          client: arm.client ?? "lean",
          spawnRate: 40,
          thinkTimeMinS: arm.thinkTimeS ?? 0,
          thinkTimeMaxS: arm.thinkTimeS ?? 0,
        },
        ...(arm.ownLocustfile !== undefined && { ownLocustfile: arm.ownLocustfile }),
        seed: 7,
      })),
    });
    for (const [file, text] of Object.entries(files)) writeFileSync(file, text);
    writeFileSync(startFile, "");
    const child = new Deno.Command(argv[0]!, {
      args: argv.slice(1),
      env: { ...env, POOLSCOPE_TIMEOUT_S: String(schedule.timeoutS ?? 60) },
      cwd: ROOT,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const live: LiveSample[] = [];
    let isTerminated = false;
    const watch = setInterval(() => {
      const sample = readLive(folder);
      if (sample !== null && sample.timeS !== live.at(-1)?.timeS) live.push(sample);
      if (sample === null || isTerminated || !schedule.terminateWhen?.(sample)) return;
      isTerminated = true;
      child.kill(schedule.signal ?? "SIGTERM");
    }, 20);
    try {
      const { code, signal, stderr } = await child.output();
      const log = new TextDecoder().decode(stderr);
      assert.equal(explainExit(code, signal, log), null, log);
      assert.doesNotMatch(log, /Traceback/);
    } finally {
      clearInterval(watch);
    }
    assert.equal(readLive(folder), null);
    const outcomes = await Promise.all(folders.map(readOutcome));
    assertTurns(outcomes);
    examine(outcomes, live);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** How long a slice was, in microseconds. */
export const lengthUs = ({ start, end }: Slice) => end - start;

/** Whether the warm-up is over. */
export const isInWindow = (live: LiveSample) => live.phase === "window";

/** Answers per second of the settled part of an arm's slice, block by block. */
export function throughputs({ requests, slices }: Outcome): number[] {
  return slices.filter(({ block }) => block > 0).map(({ settled, end }) => {
    const answered = requests.filter((request) => request.end >= settled && request.end < end);
    return answered.length / (end - settled) * 1e6;
  });
}
