/**
 * Blocks of real A/A pairs: an arm and its copy that took turns, in many fresh starts. Studies are drawn
 * of them, so that what is asked of the intervals is asked with the noise of real slices and starts.
 */

import { existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  readRecordedBlocks,
  RECORDED_BLOCK_COLUMNS,
  type RecordedBlock,
} from "../frames/recorded_runs.ts";
import { FRAMEWORKS, type Plan } from "../plan.ts";
import { runStudy } from "../run_study.ts";
import { createScenario, type Path, PATHS } from "../scenario.ts";
import type { RoundPair } from "../stats/blocks.ts";
import { decideFamily, stoppingRule } from "../stats/family.ts";
import type { Pair } from "../stats/interval.ts";
import { normalTail, twoSidedP } from "../stats/probability.ts";
import type { RunSummary } from "../stats/summary.ts";
import { writeAtomic } from "../store/files.ts";
import { ROOT } from "../store/layout.ts";
import type { BenchOptions } from "./options.ts";
import type { Random } from "./random.ts";

/** The recorded blocks. */
export const RECORDED_BLOCKS: string = join(ROOT, "data", "published", "aa", "blocks.csv");

/** Starts of each pair that one recording adds, with so many seconds of blocks. */
const STARTS = 5;
const BLOCKS_S = 40;
/** Start and warm-ups of a group of two, as `lib/groups.ts` reckons them. */
const AROUND_BLOCKS_S = 18;
/** Starts of a pair in a study. */
const STARTS_OF_STUDY = 3;
/** Of a direct and of a pooled arm. */
const USERS = { direct: 20, pooled: 100 };

/** The starts of each pair; all blocks of a start in their order. */
export type RecordedStarts = Pair[][][];

/** An arm has its copy alone beside it: there is no other path to compare it with. */
function blocksPlan(seed: number, path: Path): Plan {
  const scenarios = FRAMEWORKS
    .map((framework) => createScenario({ framework, path, users: USERS[path] }))
    .flatMap((scenario) => [scenario, { ...scenario, replica: 1 }]);
  return {
    name: "aa-blocks",
    purpose: "A/A pairs in turns: how often are equal things called different?",
    functionalCheck: false,
    seed,
    rounds: STARTS,
    scenarios,
    design: "alternating",
    minutes: scenarios.length / 2 * STARTS * (BLOCKS_S + AROUND_BLOCKS_S) / 60,
    warmUpS: 6,
    windowS: 1,
  };
}

/** The blocks that both runs of a pair have, of a study that is made of pairs. */
export function blocksOf(runs: readonly RunSummary[], seed: number): RecordedBlock[] {
  const counted = runs.filter(({ status, slices }) => status === "ok" && slices !== null);
  const copies = counted.filter(({ scenario }) => scenario.replica > 0);
  return copies.flatMap((copy) => {
    const original = counted.find(({ scenario, round }) =>
      round === copy.round && scenario.replica === 0 &&
      scenario.framework === copy.scenario.framework && scenario.path === copy.scenario.path
    );
    if (original === undefined) return [];
    const { framework, path } = original.scenario;
    const beside = new Map(copy.slices!.map((slice) => [slice.block, slice]));
    return original.slices!.flatMap(({ block, place, rps }) => {
      const other = beside.get(block);
      if (other === undefined) return [];
      return [{
        seed,
        arm: `${framework}-${path}`,
        round: copy.round,
        block,
        place,
        base: Number(rps.toFixed(2)),
        other: Number(other.rps.toFixed(2)),
      }];
    });
  });
}

/** Starts all pairs anew, and adds their blocks to the file. */
export async function recordBlockPairs(
  { seed, signal, log, onEvent }: BenchOptions,
  plans: readonly Plan[] = PATHS.map((path) => blocksPlan(seed, path)),
  file: string = RECORDED_BLOCKS,
): Promise<void> {
  const known = existsSync(file) ? await readRecordedBlocks(file) : [];
  if (known.some((row) => row.seed === seed)) {
    return log(`The blocks of seed ${seed} are recorded; another --seed adds to them`);
  }
  const rows = [...known];
  for (const plan of plans) {
    const name = `blocks-${Deno.pid}`;
    const study = await runStudy({ plan, signal, onEvent, study: name, start: true });
    rows.push(...blocksOf(study.runs, seed));
    rmSync(study.folder, { recursive: true, force: true });
  }
  const lines = rows.map((row) => RECORDED_BLOCK_COLUMNS.map((column) => row[column]).join(","));
  mkdirSync(dirname(file), { recursive: true });
  writeAtomic(file, [RECORDED_BLOCK_COLUMNS.join(","), ...lines].join("\n") + "\n");
}

/** The recorded starts, pair by pair. */
export function startsOf(rows: readonly RecordedBlock[]): RecordedStarts {
  const pairs = Map.groupBy(rows, ({ arm }) => arm);
  return [...pairs.values()].map((
    own,
  ) => [...Map.groupBy(own, ({ seed, round }) => `${seed} ${round}`).values()]);
}

function roundsOf(starts: readonly Pair[][]): RoundPair[] {
  return starts.map((blocks, i) => ({ round: i + 1, base: 1, other: 1, blocks }));
}

function comparisonOf(id: number, starts: readonly Pair[][]) {
  const pairs = roundsOf(starts);
  return { id: String(id), scenarios: [`${id}a`, `${id}b`], rounds: pairs.length, pairs };
}

/** Some starts of a pair; in each it is drawn which of the two is which, so that none is the faster. */
function draw(recorded: readonly Pair[][], n: number, ratio: number, random: Random): Pair[][] {
  return Array.from({ length: n }, () => {
    const isSwapped = random.uniform() < 0.5;
    return random.pick(recorded).map(({ base, other }) =>
      isSwapped ? { base: other, other: ratio * base } : { base, other: ratio * other }
    );
  });
}

/** What studies came to that were drawn of recorded starts, in shares of them. */
export interface DrawnStudies {
  falseAlarms: number;
  /** All intervals of a study contain 1. */
  covered: number;
  /** One interval by itself does. */
  oneCovers: number;
  /** One pair is slower by 5%, in twice as many starts, and called so. */
  power: number;
}

/** Draws studies of all pairs, and decides them as real ones are decided. */
export function drawStudies(
  recorded: RecordedStarts,
  studies: number,
  random: Random,
  signal?: AbortSignal,
): DrawnStudies {
  const m = recorded.length;
  const rule = (starts: number) => stoppingRule(starts, starts, true);
  const counts = { falseAlarms: 0, covered: 0, oneCovers: 0, power: 0 };
  const contains = ({ ratio }: { ratio: { low: number | null; high: number | null } | null }) =>
    ratio!.low! <= 1 && ratio!.high! >= 1;
  const family = (starts: number, slow: number) =>
    recorded.map((own, i) => comparisonOf(i, draw(own, starts, i === slow ? 0.95 : 1, random)));
  for (let study = 0; study < studies; study++) {
    if (study % 100 === 0) signal?.throwIfAborted();
    const equal = family(STARTS_OF_STUDY, -1);
    const { comparisons } = decideFamily(equal, rule(STARTS_OF_STUDY));
    if (comparisons.some(({ verdict }) => verdict === "higher" || verdict === "lower")) {
      counts.falseAlarms++;
    }
    if (comparisons.every(contains)) counts.covered++;
    // Bonferroni's level of so many is then 5% for each, at the only look.
    const fixed = stoppingRule(STARTS_OF_STUDY);
    const alone = decideFamily(equal, { ...fixed, alpha: fixed.alpha * m }).comparisons;
    counts.oneCovers += alone.filter(contains).length / m;
    const slow = study % m;
    const longer = family(2 * STARTS_OF_STUDY, slow);
    const found = decideFamily(longer, rule(2 * STARTS_OF_STUDY)).comparisons[slow]!;
    if (found.verdict === "lower") counts.power++;
  }
  return {
    falseAlarms: counts.falseAlarms / studies,
    covered: counts.covered / studies,
    oneCovers: counts.oneCovers / studies,
    power: counts.power / studies,
  };
}

/** The size of a standard normal variable that is exceeded, to either side, with a probability. */
function normalOf(p: number): number {
  let [low, high] = [0, 38];
  while (high - low > 1e-9) {
    const middle = (low + high) / 2;
    if (2 * normalTail(middle) > p) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * The probability that a sum of so many squares of standard normal variables is at least so large, by
 * the cube root of Wilson & Hilferty ("The distribution of chi-square", PNAS 17(12), 1931): to three
 * digits from ten on.
 */
export function chiSquareTail(sum: number, degrees: number): number {
  const spread = 2 / (9 * degrees);
  return normalTail(((sum / degrees) ** (1 / 3) - (1 - spread)) / Math.sqrt(spread));
}

/**
 * The squares of the standardised ratios of real studies: each of the starts is used once. If the
 * intervals are right, their sum has a χ² distribution with as many degrees of freedom.
 */
export function squaredDeviations(recorded: RecordedStarts): number[] {
  const studies = Math.floor(Math.min(...recorded.map((own) => own.length)) / STARTS_OF_STUDY);
  return Array.from({ length: studies }, (_, study) => {
    const from = study * STARTS_OF_STUDY;
    const family = recorded.map((own, i) =>
      comparisonOf(i, own.slice(from, from + STARTS_OF_STUDY))
    );
    return decideFamily(family, stoppingRule(STARTS_OF_STUDY)).comparisons.map(
      ({ ratio, n, deviation, df }) => {
        const t = Math.log(ratio!.value) * Math.sqrt(n) / deviation!;
        return normalOf(twoSidedP(t, df!)) ** 2;
      },
    );
  }).flat();
}
